// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fragments.hpp"

#include "tests/support/literals.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace gannet::dataplane {
namespace {

using test::operator""_ip;

constexpr Ticks kTimeout = 100;

Fragments::Handle handle(std::uintptr_t n) { return reinterpret_cast<Fragments::Handle>(n + 1); }

Fragments::Piece piece(std::uint16_t offset, std::uint16_t size, bool is_last, std::uint32_t id = 1,
                       std::uint16_t eni = 1) {
  return {{flows::ZoneKind::kEni, eni},
          "10.0.0.1"_ip,
          "10.0.0.2"_ip,
          id,
          17,
          offset,
          size,
          is_last,
          handle(std::size_t{id} << 20 | std::size_t{offset} << 1 | (is_last ? 1 : 0))};
}

TEST(Fragments, F4WaitForTheWholePacketAndComeBackInOrder) {
  Fragments fragments({kTimeout, 8, 480});
  EXPECT_FALSE(fragments.add(piece(16, 5, true), 0).is_whole);
  EXPECT_FALSE(fragments.add(piece(8, 8, false), 0).is_whole);
  EXPECT_EQ(fragments.held_count(), 2U);
  const auto result = fragments.add(piece(0, 8, false), 0);
  ASSERT_TRUE(result.is_whole);
  ASSERT_EQ(result.count, 3U);
  EXPECT_EQ(result.give_back[0], piece(0, 8, false).handle);
  EXPECT_EQ(result.give_back[1], piece(8, 8, false).handle);
  EXPECT_EQ(result.give_back[2], piece(16, 5, true).handle);
  EXPECT_EQ(fragments.held_count(), 0U);
}

TEST(Fragments, ADuplicateIsDroppedAlone) {
  Fragments fragments({kTimeout, 8, 480});
  (void)fragments.add(piece(0, 8, false), 0);
  const auto result = fragments.add(piece(0, 8, false), 0);
  EXPECT_EQ(result.reason, DropReason::fragment_duplicate);
  EXPECT_EQ(result.count, 1U);
  EXPECT_TRUE(fragments.add(piece(8, 1, true), 0).is_whole);
}

// R11: the packet goes as a whole, and what comes of it later too.
TEST(Fragments, R11OverlapDropsThePacket) {
  for (const auto& bad : {piece(8, 16, false), piece(4, 8, false), piece(0, 16, false)}) {
    Fragments fragments({kTimeout, 8, 480});
    (void)fragments.add(piece(0, 12, false), 0);
    (void)fragments.add(piece(16, 8, false), 0);
    const auto result = fragments.add(bad, 0);
    EXPECT_EQ(result.reason, DropReason::fragment_overlap);
    EXPECT_EQ(result.count, 3U);
    EXPECT_EQ(fragments.held_count(), 0U);
    const auto late = fragments.add(piece(24, 8, true), 0);
    EXPECT_EQ(late.reason, DropReason::fragment_overlap);
    EXPECT_EQ(late.count, 1U);
  }
}

TEST(Fragments, TwoEndsContradictEachOther) {
  Fragments fragments({kTimeout, 8, 480});
  (void)fragments.add(piece(16, 8, true), 0);
  EXPECT_EQ(fragments.add(piece(24, 8, true), 0).reason, DropReason::fragment_overlap);
}

TEST(Fragments, TimeOutTogether) {
  Fragments fragments({kTimeout, 8, 480});
  (void)fragments.add(piece(0, 8, false), 10);
  (void)fragments.add(piece(8, 8, false), 90);
  EXPECT_EQ(fragments.expire(109).reason, DropReason::kNone);
  const auto result = fragments.expire(110);
  EXPECT_EQ(result.reason, DropReason::fragment_timeout);
  EXPECT_EQ(result.count, 2U);
  EXPECT_EQ(fragments.expire(110).reason, DropReason::kNone);
  EXPECT_EQ(fragments.held_count(), 0U);
}

// G14, S10: a flood of one tenant leaves the others their room.
TEST(Fragments, G14OneZoneCannotTakeAllTheRoom) {
  Fragments fragments({kTimeout, 8, 480});
  for (std::uint32_t id = 0; id < 100; ++id) (void)fragments.add(piece(0, 8, false, id), 0);
  EXPECT_EQ(fragments.held_count(), 2U);
  EXPECT_EQ(fragments.add(piece(0, 8, false, 1, 2), 0).reason, DropReason::kNone);
  EXPECT_TRUE(fragments.add(piece(8, 8, true, 1, 2), 0).is_whole);
}

Fragments::Piece from_underlay(const char* source, std::uint32_t id, std::uint16_t offset,
                               bool is_last) {
  Fragments::Piece p = piece(offset, 8, is_last, id);
  p.zone = {flows::ZoneKind::kUplink, 0};
  p.source = *parse_ip(source);
  return p;
}

// S10: of those who send from outside nobody can take the room of the others.
TEST(Fragments, S10OneSenderCannotTakeTheRoomOfAZone) {
  Fragments fragments({kTimeout, 16, 480});
  for (std::uint32_t id = 0; id < 100; ++id) {
    const auto result = fragments.add(from_underlay("198.51.100.1", id, 0, false), 0);
    EXPECT_EQ(result.reason, id < 2 ? DropReason::kNone : DropReason::fragment_limit);
    EXPECT_EQ(result.evicted_count, 0U);
  }
  EXPECT_EQ(fragments.held_count(), 2U);
  EXPECT_EQ(fragments.add(from_underlay("198.51.100.2", 1, 0, false), 1).reason, DropReason::kNone);
  EXPECT_TRUE(fragments.add(from_underlay("198.51.100.2", 1, 8, true), 1).is_whole);
}

// S10: senders whose addresses are made up do not keep out a packet that is whole at once.
TEST(Fragments, S10TheOldestMakesRoomInAZoneThatIsFull) {
  Fragments fragments({kTimeout, 16, 480});
  unsigned evicted = 0;
  for (int n = 1; n <= 100; ++n) {
    const std::string source = "203.0.113." + std::to_string(n);
    const auto result =
        fragments.add(from_underlay(source.c_str(), 7, 0, false), static_cast<Ticks>(n));
    ASSERT_EQ(result.reason, DropReason::kNone);
    evicted += result.evicted_count;
  }
  EXPECT_EQ(evicted, 96U);
  EXPECT_EQ(fragments.held_count(), 4U);
  const auto first = fragments.add(from_underlay("198.51.100.2", 1, 0, false), 100);
  EXPECT_EQ(first.reason, DropReason::kNone);
  ASSERT_EQ(first.evicted_count, 1U);
  EXPECT_TRUE(fragments.add(from_underlay("198.51.100.2", 1, 8, true), 100).is_whole);
}

// S11: fragments never hold more buffers than they may, whoever sends them.
TEST(Fragments, S11NoMoreBuffersAreHeldThanAllowed) {
  Fragments fragments({kTimeout, 256, 64});
  for (std::uint16_t eni = 0; eni < 8; ++eni) {
    for (std::uint32_t id = 0; id < 4; ++id) {
      for (std::uint16_t i = 0; i < 40; ++i) {
        static_cast<void>(
            fragments.add(piece(static_cast<std::uint16_t>(8 * i), 8, false, id, eni), eni));
        ASSERT_LE(fragments.held_count(), 64U);
      }
    }
  }
}

TEST(Fragments, PacketsOfTwoZonesDoNotMix) {
  Fragments fragments({kTimeout, 8, 480});
  (void)fragments.add(piece(0, 8, false, 1, 1), 0);
  EXPECT_FALSE(fragments.add(piece(8, 8, true, 1, 2), 0).is_whole);
}

TEST(Fragments, OnePacketHasABoundedNumber) {
  Fragments fragments({kTimeout, 8, 480});
  for (unsigned i = 0; i < Fragments::kMaxFragments; ++i) {
    ASSERT_EQ(fragments.add(piece(static_cast<std::uint16_t>(8 * i), 8, false), 0).reason,
              DropReason::kNone);
  }
  const auto result =
      fragments.add(piece(static_cast<std::uint16_t>(8 * Fragments::kMaxFragments), 8, false), 0);
  EXPECT_EQ(result.reason, DropReason::fragment_limit);
  EXPECT_EQ(result.count, Fragments::kMaxFragments + 1);
}

// Whatever comes in whatever order, each handle comes back exactly once.
RC_GTEST_PROP(Fragments, GiveEveryHandleBackOnce, ()) {
  Fragments fragments({kTimeout, 4, 480});
  std::multiset<Fragments::Handle> out;
  const auto take = [&out](const Fragments::Result& result) {
    for (unsigned i = 0; i < result.evicted_count; ++i) out.insert(result.evicted[i]);
    RC_ASSERT(result.count == 0 || result.is_whole || result.reason != DropReason::kNone);
    for (unsigned i = 0; i < result.count; ++i) out.insert(result.give_back[i]);
    return result.count != 0;
  };
  const auto count = *rc::gen::inRange<std::uintptr_t>(0, 60);
  Ticks now = 0;
  for (std::uintptr_t i = 0; i < count; ++i) {
    auto p =
        piece(*rc::gen::elementOf(std::vector<std::uint16_t>{0, 8, 16, 24}),
              *rc::gen::elementOf(std::vector<std::uint16_t>{8, 16}), *rc::gen::inRange(0, 4) == 0,
              *rc::gen::inRange(0U, 3U), *rc::gen::inRange<std::uint16_t>(0, 2));
    p.handle = handle(i);
    now += *rc::gen::inRange<Ticks>(0, 40);
    (void)take(fragments.add(p, now));
    while (take(fragments.expire(now))) {
    }
  }
  while (take(fragments.drain())) {
  }
  RC_ASSERT(fragments.held_count() == 0U);
  RC_ASSERT(out.size() == count);
  for (std::uintptr_t i = 0; i < count; ++i) RC_ASSERT(out.count(handle(i)) == 1U);
}

}  // namespace
}  // namespace gannet::dataplane
