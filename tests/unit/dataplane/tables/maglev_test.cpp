// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tables/maglev.hpp"

#include "tests/support/literals.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace gannet::dataplane {
namespace {

using test::operator""_ip;

std::vector<Maglev::Backend> backends(unsigned count, std::uint16_t weight = 100) {
  std::vector<Maglev::Backend> out;
  for (unsigned i = 0; i < count; ++i) {
    out.push_back({Ip4(Be32(0x0a000001 + i)), 8080, weight});
  }
  return out;
}

// What share of the table each backend has.
std::vector<double> shares(const Maglev& maglev, std::size_t count) {
  std::vector<double> out(count);
  for (const auto backend : maglev.table()) out[backend] += 1.0 / maglev.table().size();
  return out;
}

TEST(Maglev, WithoutBackendsPicksNone) {
  EXPECT_EQ(Maglev().pick(1), Maglev::kNone);
  EXPECT_EQ(Maglev(backends(3, 0)).pick(1), Maglev::kNone);
}

TEST(Maglev, EqualBackendsHaveEqualShares) {
  for (const double share : shares(Maglev(backends(10)), 10)) EXPECT_NEAR(share, 0.1, 0.002);
}

// A hundred entries for each, so that shares are even, and not so many that building takes long.
TEST(Maglev, ManyBackendsHaveATableOfTheirSize) {
  constexpr std::size_t kCount = 1'000;
  const Maglev maglev(backends(kCount));
  const std::size_t size = maglev.table().size();
  EXPECT_GE(size, 100 * kCount);
  EXPECT_LE(size, 1'000 * kCount);
  const double entry = 1.0 / static_cast<double>(size);
  for (const double share : shares(maglev, kCount)) EXPECT_NEAR(share, 1.0 / kCount, 1.5 * entry);
}

// L4: shares follow weights; weight 0 gets nothing.
TEST(Maglev, L4SharesFollowWeights) {
  auto list = backends(4);
  list[0].weight = 300;
  list[1].weight = 100;
  list[2].weight = 50;
  list[3].weight = 0;
  const auto share = shares(Maglev(list), 4);
  EXPECT_NEAR(share[0], 300 / 450.0, 0.01);
  EXPECT_NEAR(share[1], 100 / 450.0, 0.01);
  EXPECT_NEAR(share[2], 50 / 450.0, 0.01);
  EXPECT_EQ(share[3], 0);
}

// L2: when one of N backends goes, of the others' entries nearly all stay.
TEST(Maglev, L2AFailureMovesLittleElse) {
  auto list = backends(20);
  const Maglev before(list);
  list[7].weight = 0;
  const Maglev after(list);
  ASSERT_EQ(before.table().size(), after.table().size());
  std::size_t moved = 0;
  for (std::size_t i = 0; i < before.table().size(); ++i) {
    EXPECT_NE(after.table()[i], 7);
    if (before.table()[i] != 7 && before.table()[i] != after.table()[i]) ++moved;
  }
  // Eisenbud et al., figure 12: a few per cent at this ratio of table to backends.
  EXPECT_LT(static_cast<double>(moved) / before.table().size(), 0.03);
}

// L20: the order in which a host has heard of backends makes no difference.
TEST(Maglev, L20EveryHostHasTheSameTable) {
  auto list = backends(9);
  list[2].weight = 30;
  auto other = list;
  std::reverse(other.begin(), other.end());
  const Maglev a(list);
  const Maglev b(other);
  ASSERT_EQ(a.table().size(), b.table().size());
  for (std::size_t i = 0; i < a.table().size(); ++i) {
    ASSERT_EQ(list[a.table()[i]].ip, other[b.table()[i]].ip) << i;
  }
}

TEST(AffinityHash, BySourceOnlyLooksAtTheSource) {
  const auto hash = [](std::uint16_t port, bool by_source) {
    return affinity_hash("10.0.0.1"_ip, "10.9.9.9"_ip, port, 443, 6, by_source);
  };
  EXPECT_EQ(hash(1000, true), hash(1001, true));
  EXPECT_NE(hash(1000, false), hash(1001, false));
  EXPECT_NE(affinity_hash("10.0.0.1"_ip, "10.9.9.9"_ip, 1, 443, 6, true),
            affinity_hash("10.0.0.2"_ip, "10.9.9.9"_ip, 1, 443, 6, true));
}

// Clients that differ in one port are spread like any others.
TEST(AffinityHash, SpreadsNeighbouringPorts) {
  const Maglev maglev(backends(4));
  std::vector<int> count(4);
  for (std::uint16_t port = 10'000; port < 14'000; ++port) {
    ++count[maglev.pick(affinity_hash("10.0.0.1"_ip, "10.9.9.9"_ip, port, 443, 6, false))];
  }
  for (const int n : count) EXPECT_NEAR(n, 1000, 150);
}

}  // namespace
}  // namespace gannet::dataplane
