// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/identities.hpp"

#include "tests/support/literals.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace gannet::control {
namespace {

using test::operator""_ip4;

TEST(IndexPool, AnObjectKeepsItsIndex) {
  IndexPool pool(10);
  EXPECT_EQ(pool.get("a", 0), 0);
  EXPECT_EQ(pool.get("b", 0), 1);
  pool.end_of_policy(1);
  EXPECT_EQ(pool.get("b", 1), 1);
  EXPECT_EQ(pool.get("a", 1), 0);
  pool.end_of_policy(2);
  EXPECT_EQ(pool.size(), 2);
}

// A flow of the old owner must be gone before another has the number.
TEST(IndexPool, AFreedIndexRestsUntilEveryFlowConforms) {
  IndexPool pool(3);
  (void)pool.get("a", 0);
  (void)pool.get("b", 0);
  pool.end_of_policy(1);
  (void)pool.get("b", 1);
  pool.end_of_policy(2);  // "a" is gone as of generation 2.
  EXPECT_EQ(pool.get("c", 1), 2);
  EXPECT_EQ(pool.get("d", 1), std::nullopt);
  EXPECT_EQ(pool.get("d", 2), 0);
}

class BlockPoolTest : public testing::Test {
 protected:
  // As text: which address, which block.
  std::string get(const std::string& eni, std::uint16_t ports = 16'128) {
    const auto block = pool_.get("egress", eni, addresses_, ports);
    return block
               ? gannet::to_string(addresses_[block->address]) + "#" + std::to_string(block->number)
               : "none";
  }
  std::vector<Ip4> addresses_{"203.0.113.20"_ip4, "203.0.113.21"_ip4};
  BlockPool pool_;
};

TEST_F(BlockPoolTest, NoTwoEnisShareABlock) {
  std::set<std::string> seen;
  for (int i = 0; i < 8; ++i) seen.insert(get("e" + std::to_string(i)));
  EXPECT_EQ(seen.size(), 8U);
  EXPECT_FALSE(seen.contains("none"));
  EXPECT_EQ(get("e8"), "none");
}

TEST_F(BlockPoolTest, AnEniKeepsItsBlockWhereverItsAddressStands) {
  (void)get("a");
  const auto before = get("b");
  std::swap(addresses_[0], addresses_[1]);
  EXPECT_EQ(get("b"), before);
}

TEST_F(BlockPoolTest, AnAddressThatGoesTakesItsBlocks) {
  (void)get("a");
  EXPECT_EQ(get("b"), "203.0.113.21#0");
  addresses_.pop_back();
  EXPECT_EQ(get("b"), "203.0.113.20#1");
}

TEST_F(BlockPoolTest, AnEniThatGoesLeavesItsBlock) {
  const auto first = get("a");
  pool_.end_of_policy();
  pool_.end_of_policy();  // A policy in which nobody asked for it.
  EXPECT_EQ(get("b"), first);
}

TEST_F(BlockPoolTest, BlocksOfAnotherSizeAreOthers) {
  EXPECT_EQ(get("a", 1024), "203.0.113.20#0");
  EXPECT_EQ(get("a", 2048), "203.0.113.20#0");
  EXPECT_EQ(get("b", 2048), "203.0.113.21#0");
}

}  // namespace
}  // namespace gannet::control
