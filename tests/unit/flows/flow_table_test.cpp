// SPDX-License-Identifier: BSD-3-Clause
#include "flows/flow_table.hpp"

#include <deque>
#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

namespace gannet::flows {
namespace {

constexpr HashSeed kSeed{
    {0x243f'6a88'85a3'08d3, 0x1319'8a2e'0370'7344, 0xa409'3822'299f'31d0, 0x082e'fa98'ec4e'6c89}};

template <typename Key>
std::unique_ptr<FlowTable<Key>> make_table(std::uint32_t capacity, std::uint32_t redirects = 0) {
  auto table = FlowTable<Key>::create(capacity, kSeed, 0, false, redirects);
  EXPECT_TRUE(table);
  return std::move(*table);
}

template <typename Key>
Key numbered_key(std::uint32_t number, std::uint16_t zone = 1) {
  Key key{};
  key.zone_kind = ZoneKind::kEni;
  key.zone_index = zone;
  key.protocol = 17;
  store(reinterpret_cast<std::uint8_t*>(&key.tuple.source), Be32(number));
  return key;
}

// A connection between `forward` and `reverse`, findable by both; kNoConnection if there is no
// room.
template <typename Key>
std::uint32_t add(FlowTable<Key>& table, const Key& forward, const Key& reverse) {
  const std::uint32_t i = table.allocate();
  if (i == kNoConnection) return i;
  table[i].flows[0].key = forward;
  table[i].flows[1].key = reverse;
  table[i].flows[0].kind = table[i].flows[1].kind = FlowKind::kForward;
  if (table.publish(i)) return i;
  table.release(i);
  return kNoConnection;
}

template <typename Key>
class FlowTableOf : public testing::Test {};
using Keys = testing::Types<Ip4Key, Ip6Key>;
TYPED_TEST_SUITE(FlowTableOf, Keys);

TYPED_TEST(FlowTableOf, FindsBothFlowsOfAConnection) {
  auto table = make_table<TypeParam>(10);
  const auto forward = numbered_key<TypeParam>(1);
  const auto reverse = numbered_key<TypeParam>(2);
  const std::uint32_t i = add(*table, forward, reverse);
  ASSERT_NE(i, kNoConnection);
  EXPECT_EQ(table->find(forward), FlowRef(i, Direction::kForward));
  EXPECT_EQ(table->find(reverse), FlowRef(i, Direction::kReverse));
  EXPECT_FALSE(table->find(numbered_key<TypeParam>(3)).is_valid());
  table->release(i);
  EXPECT_FALSE(table->find(forward).is_valid());
  EXPECT_FALSE(table->find(reverse).is_valid());
}

TYPED_TEST(FlowTableOf, AReleasedRecordsFlowsCarryNothing) {
  auto table = make_table<TypeParam>(10);
  const std::uint32_t i = add(*table, numbered_key<TypeParam>(1), numbered_key<TypeParam>(2));
  ASSERT_NE(i, kNoConnection);
  table->release(i);
  // Somebody may have looked them up before the release.
  EXPECT_EQ((*table)[i].flows[0].kind, FlowKind::kUnindexed);
  EXPECT_EQ((*table)[i].flows[1].kind, FlowKind::kUnindexed);
}

// S2: neither takes the other's room.
TYPED_TEST(FlowTableOf, S2RedirectsHaveRoomOfTheirOwn) {
  constexpr std::uint32_t kRedirects = 7;
  auto table = make_table<TypeParam>(10, kRedirects);
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t n = 0; n < kRedirects; ++n) {
      ASSERT_TRUE(table->add_redirect(numbered_key<TypeParam>(n), static_cast<std::uint16_t>(n)));
    }
    EXPECT_FALSE(table->add_redirect(numbered_key<TypeParam>(99), 1));
    for (std::uint32_t n = 0; n < 10; ++n) {
      ASSERT_NE(add(*table, numbered_key<TypeParam>(100 + n), numbered_key<TypeParam>(200 + n)),
                kNoConnection);
    }
    EXPECT_EQ(table->used_count(), 10u);
    EXPECT_EQ(table->redirect_count(), kRedirects);
    for (std::uint32_t n = 0; n < kRedirects; ++n) {
      const FlowRef ref = table->find(numbered_key<TypeParam>(n));
      ASSERT_TRUE(ref.is_valid());
      EXPECT_EQ(table->flow(ref).kind, FlowKind::kRedirect);
      EXPECT_EQ(table->flow(ref).action.next_hop, n);
      table->remove_redirect(ref);
      EXPECT_FALSE(table->find(numbered_key<TypeParam>(n)).is_valid());
      EXPECT_EQ(table->flow(ref).kind, FlowKind::kUnindexed) << "somebody may have found it before";
    }
    for (std::uint32_t n = 0; n < 10; ++n) {
      table->release(table->find(numbered_key<TypeParam>(100 + n)).connection());
    }
  }
  EXPECT_EQ(table->touched_count(), 10u);
}

TYPED_TEST(FlowTableOf, ANewRecordRemembersNothing) {
  auto table = make_table<TypeParam>(1);
  const std::uint32_t i = add(*table, numbered_key<TypeParam>(1), numbered_key<TypeParam>(2));
  (*table)[i].shared.packets[0] = 5;
  (*table)[i].shared.flags |= kSeenReply;
  (*table)[i].details.tcp.peers[0].end = 7;
  table->mark_embryonic(i);
  table->arm(i, 100);
  table->release(i);
  EXPECT_FALSE(table->is_used(i));
  ASSERT_EQ(table->allocate(), i);
  EXPECT_EQ((*table)[i].shared.packets[0], 0u);
  EXPECT_EQ((*table)[i].shared.flags, kInUse);
  EXPECT_EQ((*table)[i].shared.owner_eni, kNoEni);
  EXPECT_EQ((*table)[i].details.tcp.peers[0].end, 0u);
  EXPECT_EQ(table->oldest_embryonic(), kNoConnection);
  EXPECT_EQ(table->advance(1'000, ~0u, [](std::uint32_t) {}), 0u) << "its timer is gone";
}

// F43: the count goes up to the capacity and back to nothing.
TYPED_TEST(FlowTableOf, F43AFullTableSaysSo) {
  auto table = make_table<TypeParam>(100);
  for (std::uint32_t n = 0; n < 100; ++n) {
    ASSERT_NE(add(*table, numbered_key<TypeParam>(n), numbered_key<TypeParam>(n + 1'000)),
              kNoConnection);
  }
  EXPECT_EQ(table->allocate(), kNoConnection);
  EXPECT_EQ(table->used_count(), 100u);
  EXPECT_EQ(table->touched_count(), 100u);
  for (std::uint32_t i = 0; i < 100; ++i) table->release(i);
  EXPECT_EQ(table->used_count(), 0u);
  EXPECT_EQ(table->high_water(), 100u);
  EXPECT_NE(table->allocate(), kNoConnection);
}

// F45, V23: equal tuples of 2,000 tenants are 2,000 flows, and finding one compares no other.
TYPED_TEST(FlowTableOf, F45TheSameTupleInManyZonesIsAsManyFlows) {
  auto table = make_table<TypeParam>(2'000);
  for (std::uint16_t zone = 0; zone < 2'000; ++zone) {
    ASSERT_NE(add(*table, numbered_key<TypeParam>(1, zone), numbered_key<TypeParam>(2, zone)),
              kNoConnection);
  }
  unsigned compared = 0;
  for (std::uint16_t zone = 0; zone < 2'000; ++zone) {
    const auto key = numbered_key<TypeParam>(1, zone);
    const FlowRef ref = table->index().find(table->hash_of(key), [&](FlowRef candidate) {
      ++compared;
      return table->flow(candidate).key == key;
    });
    ASSERT_EQ(ref, FlowRef(zone, Direction::kForward));
  }
  EXPECT_LT(compared, 2'010u);
}

// S3: the order is that of being marked; those who are answered leave it wherever they stand.
TYPED_TEST(FlowTableOf, S3TheOldestUnansweredConnectionIsFirst) {
  auto table = make_table<TypeParam>(64);
  std::deque<std::uint32_t> model;
  std::mt19937 random(3);
  for (std::uint32_t n = 0; n < 64; ++n) ASSERT_EQ(table->allocate(), n);
  for (int step = 0; step < 20'000; ++step) {
    const std::uint32_t i = random() % 64;
    std::erase(model, i);
    if (random() % 2 == 0) {
      table->mark_embryonic(i);
      model.push_back(i);
    } else {
      table->clear_embryonic(i);
    }
    ASSERT_EQ(table->oldest_embryonic(), model.empty() ? kNoConnection : model.front()) << step;
  }
  while (!model.empty()) {
    ASSERT_EQ(table->oldest_embryonic(), model.front());
    table->release(model.front());
    model.pop_front();
  }
  EXPECT_EQ(table->oldest_embryonic(), kNoConnection);
}

struct KeyHash {
  template <typename Key>
  std::size_t operator()(const Key& key) const {
    return hash(key, HashSeed{{1, 2, 3, 4}});
  }
};

// A random walk beside a map: add and release until the table is full, over and over.
TYPED_TEST(FlowTableOf, IsAMap) {
  constexpr std::uint32_t kCapacity = 300;
  auto table = make_table<TypeParam>(kCapacity);
  std::unordered_map<TypeParam, FlowRef, KeyHash> model;
  std::vector<std::uint32_t> used;
  std::mt19937 random(4);
  unsigned refused = 0;
  for (int step = 0; step < 100'000; ++step) {
    const auto forward = numbered_key<TypeParam>(random() % 1'000);
    const auto reverse = numbered_key<TypeParam>(0x8000'0000 | random() % 1'000);
    // Phases of growing and shrinking.
    const bool grows = random() % 100 < (step / 5'000 % 2 == 0 ? 70u : 30u);
    if (grows && !model.contains(forward) && !model.contains(reverse)) {
      const std::uint32_t i = add(*table, forward, reverse);
      if (i == kNoConnection) {
        ++refused;
        ASSERT_EQ(used.size(), kCapacity) << "refused while there was room";
      } else {
        model[forward] = FlowRef(i, Direction::kForward);
        model[reverse] = FlowRef(i, Direction::kReverse);
        used.push_back(i);
      }
    } else if (!grows && !used.empty()) {
      std::swap(used[random() % used.size()], used.back());
      const std::uint32_t i = used.back();
      used.pop_back();
      model.erase((*table)[i].flows[0].key);
      model.erase((*table)[i].flows[1].key);
      table->release(i);
    }
    ASSERT_EQ(table->used_count(), used.size());
    for (const TypeParam& key : {forward, reverse}) {
      const auto it = model.find(key);
      ASSERT_EQ(table->find(key), it == model.end() ? FlowRef() : it->second) << step;
    }
  }
  EXPECT_GT(refused, 0u) << "the walk never filled the table";
}

// S5: with its index full of colliding keys the table refuses and stays whole.
TYPED_TEST(FlowTableOf, S5AConnectionThatFindsNoIndexSlotIsNotHalfThere) {
  auto table = make_table<TypeParam>(1'000);
  // Equal keys collide for sure. A real caller never adds a key twice.
  std::vector<std::uint32_t> used;
  for (;;) {
    const auto i = add(*table, numbered_key<TypeParam>(static_cast<std::uint32_t>(used.size())),
                       numbered_key<TypeParam>(0xffff'ffff));
    if (i == kNoConnection) break;
    used.push_back(i);
  }
  ASSERT_LT(used.size(), 1'000u) << "the index never ran full";
  EXPECT_FALSE(
      table->find(numbered_key<TypeParam>(static_cast<std::uint32_t>(used.size()))).is_valid())
      << "the forward flow of the refused connection";
  EXPECT_EQ(table->used_count(), used.size());
  for (const std::uint32_t i : used) table->release(i);
  EXPECT_EQ(table->used_count(), 0u);
}

TYPED_TEST(FlowTableOf, CostsSomeThreeHundredBytesAConnection) {
  auto table = make_table<TypeParam>(1'000'000);
  EXPECT_LT(table->bytes_per_connection(), sizeof(Connection<TypeParam>) + 40);
}

}  // namespace
}  // namespace gannet::flows
