// SPDX-License-Identifier: BSD-3-Clause
#include "flows/flow_index.hpp"

#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

namespace gannet::flows {
namespace {

FlowIndex make_index(std::uint32_t flow_count) {
  auto index = FlowIndex::create(flow_count, false);
  EXPECT_TRUE(index);
  return std::move(*index);
}
FlowRef ref(std::uint32_t i) { return {i, Direction::kForward}; }
bool has(const FlowIndex& index, std::uint64_t hash, FlowRef wanted) {
  return index.find(hash, [wanted](FlowRef candidate) { return candidate == wanted; }).is_valid();
}

TEST(FlowRef, NamesAConnectionAndADirection) {
  const FlowRef r(0x7fff'fffe, Direction::kReverse);
  EXPECT_EQ(r.connection(), 0x7fff'fffeu);
  EXPECT_EQ(r.direction(), Direction::kReverse);
  EXPECT_TRUE(r.is_valid());
  EXPECT_FALSE(FlowRef().is_valid());
}

TEST(FlowIndex, FindsNothingWhenEmpty) {
  const FlowIndex index = make_index(100);
  EXPECT_FALSE(index.first_candidate(0).is_valid());
  EXPECT_FALSE(has(index, 0, ref(0)));
  EXPECT_FALSE(has(index, ~0ull, ref(0)));
}

TEST(FlowIndex, FirstCandidateIsTheOnlyFlowWithThatTag) {
  FlowIndex index = make_index(100);
  ASSERT_TRUE(index.insert(0x8000'0000'0000'1234, ref(5)));
  EXPECT_EQ(index.first_candidate(0x8000'0000'0000'1234), ref(5));
  EXPECT_FALSE(index.first_candidate(0x8000'0000'0000'1235).is_valid());
}

// A tag of 0 means an empty slot and is kept as 1.
TEST(FlowIndex, TagZeroIsATag) {
  FlowIndex index = make_index(100);
  ASSERT_TRUE(index.insert(0x10000, ref(5)));
  EXPECT_TRUE(has(index, 0x10000, ref(5)));
  index.erase(0x10000, ref(5));
  EXPECT_FALSE(has(index, 0x10000, ref(5)));
}

TEST(FlowIndex, OffersEveryFlowWithAnEqualHash) {
  FlowIndex index = make_index(100);
  for (std::uint32_t i = 0; i < 25; ++i) ASSERT_TRUE(index.insert(42, ref(i)));
  std::vector<bool> seen(25);
  const FlowRef none = index.find(42, [&](FlowRef candidate) {
    seen[candidate.connection()] = true;
    return false;
  });
  EXPECT_FALSE(none.is_valid());
  EXPECT_EQ(seen, std::vector<bool>(25, true));
}

// S4, S5: a bucket that somebody fills on purpose costs overflow buckets, says when they are used
// up, and gives every one of them back.
TEST(FlowIndex, OverflowBucketsAreBoundedAndReturned) {
  FlowIndex index = make_index(100);
  for (int round = 0; round < 3; ++round) {
    std::uint32_t count = 0;
    while (index.insert(7, ref(count))) ++count;
    EXPECT_GT(count, 10u);
    EXPECT_LT(count, 200u);
    EXPECT_TRUE(index.insert(0x8000'0000'0000'0000, ref(9'999))) << "other buckets still have room";
    index.erase(0x8000'0000'0000'0000, ref(9'999));
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_TRUE(has(index, 7, ref(i)));
    // From the front, so that the chain is emptied in the middle too.
    for (std::uint32_t i = 0; i < count; ++i) index.erase(7, ref(i));
    EXPECT_FALSE(index.first_candidate(7).is_valid());
  }
}

TEST(FlowIndex, HasRoomForWhatItPromises) {
  constexpr std::uint32_t kCount = 100'000;
  FlowIndex index = make_index(kCount);
  std::mt19937_64 random(1);
  for (std::uint32_t i = 0; i < kCount; ++i) ASSERT_TRUE(index.insert(random(), ref(i))) << i;
}

// S2: a full index whose flows come and go for long needs no more overflow buckets than a fresh
// one.
TEST(FlowIndex, S2HasThatRoomAfterAnyAmountOfChange) {
  constexpr std::uint32_t kCount = 10'000;
  FlowIndex index = make_index(kCount);
  std::mt19937_64 random(3);
  std::vector<std::uint64_t> hashes(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i)
    ASSERT_TRUE(index.insert(hashes[i] = random(), ref(i)));
  for (std::uint32_t step = 0; step < 20 * kCount; ++step) {
    const auto i = static_cast<std::uint32_t>(random() % kCount);
    index.erase(hashes[i], ref(i));
    ASSERT_TRUE(index.insert(hashes[i] = random(), ref(i))) << "after " << step << " changes";
  }
  for (std::uint32_t i = 0; i < kCount; ++i) ASSERT_TRUE(has(index, hashes[i], ref(i)));
}

// A random walk beside a map: the same flows are found, and only those.
TEST(FlowIndex, IsAMap) {
  constexpr std::uint32_t kFlows = 400;
  std::mt19937_64 random(2);
  FlowIndex index = make_index(kFlows);
  std::vector<std::uint64_t> hashes(kFlows);
  // Few different hashes: long chains, equal tags in one bucket.
  for (auto& h : hashes) h = (random() & 0xf000'0000'0000'0003) | (random() % 4) << 8;
  std::vector<bool> is_in(kFlows);
  unsigned refused = 0;
  for (int step = 0; step < 100'000; ++step) {
    const auto i = static_cast<std::uint32_t>(random() % kFlows);
    if (is_in[i]) {
      index.erase(hashes[i], ref(i));
      is_in[i] = false;
    } else {
      is_in[i] = index.insert(hashes[i], ref(i));
      refused += is_in[i] ? 0 : 1;
    }
    const auto other = static_cast<std::uint32_t>(random() % kFlows);
    ASSERT_EQ(has(index, hashes[other], ref(other)), is_in[other]) << step;
  }
  EXPECT_GT(refused, 0u) << "the walk never ran out of overflow buckets";
}

}  // namespace
}  // namespace gannet::flows
