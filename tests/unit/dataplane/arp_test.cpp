// SPDX-License-Identifier: BSD-3-Clause
// What is known of neighbours, and what waits for them.
#include "dataplane/arp_queue.hpp"
#include "dataplane/neighbors.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace gannet::dataplane {
namespace {

constexpr Mac kMac{{2, 0, 0, 0, 0, 1}};
constexpr std::size_t kPorts = 8;

Ip4 address(std::uint32_t i) { return Ip4::from_host(0x0a00'0000 + i); }

// Packets are only carried: numbers will do.
rte_mbuf* packet(std::uintptr_t number) { return reinterpret_cast<rte_mbuf*>(number); }
std::uintptr_t number_of(const ArpQueue::Entry& entry) {
  return reinterpret_cast<std::uintptr_t>(entry.packet);
}

ArpQueue::Entry frame(std::uintptr_t number, std::uint16_t port, std::uint32_t neighbor,
                      Ticks deadline = 100) {
  ArpQueue::Entry entry;
  entry.packet = packet(number);
  entry.ingress_port = port;
  entry.deadline = deadline;
  entry.hop.neighbor = neighbor;
  return entry;
}

std::vector<std::uintptr_t> take(ArpQueue& queue, std::uint32_t neighbor) {
  std::vector<std::uintptr_t> numbers;
  queue.take([neighbor](std::uint32_t n) { return n == neighbor; },
             [&](const ArpQueue::Entry& entry) { numbers.push_back(number_of(entry)); });
  return numbers;
}

TEST(NeighborTable, KeepsAsManyAddressesAsItHasRoomForAndNoMore) {
  NeighborTable table;
  for (std::uint32_t i = 0; i < NeighborTable::kCapacity; ++i) {
    ASSERT_EQ(table.find_or_add(address(i * 7)), i);
  }
  EXPECT_EQ(table.find_or_add(address(3)), flows::kNoNeighbor);
  for (std::uint32_t i = 0; i < NeighborTable::kCapacity; ++i) {
    ASSERT_EQ(table.find_or_add(address(i * 7)), i);
    table.learn(address(i * 7), Mac::from_raw(2 + 256 * std::uint64_t{i}), 1);
    table.learn(address(i * 7 + 1), kMac, 1);  // Nobody's.
  }
  for (std::uint32_t i = 0; i < NeighborTable::kCapacity; ++i) {
    ASSERT_EQ(table.mac_of(i), 2 + 256 * std::uint64_t{i});
  }
  EXPECT_EQ(table.change_count(), NeighborTable::kCapacity);
}

TEST(NeighborTable, AsksEachOnceInARoundOfPieces) {
  NeighborTable table;
  std::vector<unsigned> asked(1'000);
  for (std::uint32_t i = 0; i < asked.size(); ++i) table.want(table.find_or_add(address(i)));
  const auto ask = [&](Ip4 ip, const Mac& known) {
    EXPECT_TRUE(known.is_zero());
    ++asked[ip.host() - address(0).host()];
  };
  unsigned pieces = 1;
  while (!table.run(5'000, 64, ask)) {
    const auto count = std::count(asked.begin(), asked.end(), 1u);
    ASSERT_EQ(count, 64 * pieces++);
  }
  EXPECT_EQ(pieces, 16u);
  EXPECT_EQ(std::count(asked.begin(), asked.end(), 1u), 1'000);
}

// E14: in order, each neighbour's alone.
TEST(ArpQueue, GivesBackWhatWaitsForANeighborInOrder) {
  ArpQueue queue(kPorts);
  for (std::uintptr_t i = 0; i < 12; ++i) {
    const auto port = static_cast<std::uint16_t>(i % 3);
    EXPECT_FALSE(queue.push(frame(i + 1, port, i % 2 == 0 ? 7 : 8)));
  }
  EXPECT_TRUE(queue.has(7));
  EXPECT_FALSE(queue.has(9));
  EXPECT_EQ(take(queue, 9), std::vector<std::uintptr_t>{});
  EXPECT_EQ(take(queue, 7), (std::vector<std::uintptr_t>{1, 3, 5, 7, 9, 11}));
  EXPECT_FALSE(queue.has(7));
  EXPECT_FALSE(queue.push(frame(20, 0, 7)));
  EXPECT_EQ(take(queue, 8), (std::vector<std::uintptr_t>{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(take(queue, 7), std::vector<std::uintptr_t>{20});
  EXPECT_TRUE(queue.is_empty());
}

// S10: a port has a share, and of that a neighbour.
TEST(ArpQueue, RefusesWhatIsMoreThanItsShare) {
  ArpQueue queue(kPorts);
  for (std::uintptr_t i = 0; i < ArpQueue::kMaxPerNeighbor; ++i) {
    EXPECT_FALSE(queue.push(frame(i, 1, 7)));
  }
  const auto refused = queue.push(frame(99, 1, 7));
  ASSERT_TRUE(refused);
  EXPECT_EQ(number_of(*refused), 99u);
  EXPECT_FALSE(queue.push(frame(100, 2, 7)));  // Another port's share.
  for (std::uint32_t i = ArpQueue::kMaxPerNeighbor; i < ArpQueue::kMaxPerPort; ++i) {
    EXPECT_FALSE(queue.push(frame(i, 1, 100 + i)));
  }
  const auto too_many = queue.push(frame(101, 1, 8));
  ASSERT_TRUE(too_many);
  EXPECT_EQ(number_of(*too_many), 101u);
  EXPECT_FALSE(queue.has(8));
}

// S10: when all room is used the port that has the most loses its oldest.
TEST(ArpQueue, MakesRoomAtTheExpenseOfThePortThatHasTheMost) {
  ArpQueue queue(kPorts);
  std::uintptr_t number = 0;
  const auto fill = [&](std::uint16_t port, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      ++number;
      EXPECT_FALSE(queue.push(frame(number, port, static_cast<std::uint32_t>(number))));
    }
  };
  fill(1, 60);
  fill(2, 64);
  fill(3, 64);
  fill(4, 64);
  fill(5, 4);
  ASSERT_EQ(number, ArpQueue::kMaxFrames);
  for (std::uintptr_t oldest : {61, 125, 189, 62}) {
    const auto removed = queue.push(frame(++number, 6, 1'000));
    ASSERT_TRUE(removed);
    EXPECT_EQ(number_of(*removed), oldest);
    EXPECT_FALSE(queue.has(static_cast<std::uint32_t>(oldest)));
  }
  EXPECT_EQ(take(queue, 1'000), (std::vector<std::uintptr_t>{257, 258, 259, 260}));
}

TEST(ArpQueue, GivesUpTheOldestWhenItsTimeIsOver) {
  ArpQueue queue(kPorts);
  EXPECT_FALSE(queue.push(frame(1, 0, 7, 100)));
  EXPECT_FALSE(queue.push(frame(2, 1, 8, 101)));
  EXPECT_FALSE(queue.pop_late(99));
  const auto late = queue.pop_late(100);
  ASSERT_TRUE(late);
  EXPECT_EQ(number_of(*late), 1u);
  EXPECT_FALSE(queue.pop_late(100));
  EXPECT_TRUE(queue.pop_late(200));
  EXPECT_TRUE(queue.is_empty());
}

}  // namespace
}  // namespace gannet::dataplane
