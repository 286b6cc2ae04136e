// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/token_bucket.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace gannet::dataplane {
namespace {

constexpr Nanos kStart = 1000 * kNanosPerSecond;

TEST(TokenBucket, WithoutARateIsNoLimit) {
  TokenBucket bucket;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(bucket.take(0, 1'000'000, kStart));
}

TEST(TokenBucket, StartsFullAndRefillsInTime) {
  TokenBucket bucket;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.take(10, 1, kStart)) << i;
  EXPECT_FALSE(bucket.take(10, 1, kStart));
  EXPECT_FALSE(bucket.take(10, 1, kStart + kNanosPerSecond / 10 - 1));
  EXPECT_TRUE(bucket.take(10, 1, kStart + kNanosPerSecond / 10));
  EXPECT_FALSE(bucket.take(10, 1, kStart + kNanosPerSecond / 10));
}

TEST(TokenBucket, SavesNoMoreThanItsBurst) {
  TokenBucket bucket;
  EXPECT_TRUE(bucket.take(10, 1, kStart));
  const Nanos later = kStart + 3600 * kNanosPerSecond;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.take(10, 1, later)) << i;
  EXPECT_FALSE(bucket.take(10, 1, later));
}

// A clock that starts at zero has no second before it to save in.
TEST(TokenBucket, IsNotConfusedByTheBeginningOfTime) {
  TokenBucket bucket;
  EXPECT_FALSE(bucket.take(10, 1, 0));
  EXPECT_TRUE(bucket.take(10, 1, kNanosPerSecond / 10));
}

// Over any time no more is given out than the rate and one burst.
RC_GTEST_PROP(TokenBucket, NeverGivesMoreThanItsRate, ()) {
  const auto rate = *rc::gen::inRange<std::uint64_t>(1, 1'000'000);
  TokenBucket bucket;
  Nanos now = kStart;
  std::uint64_t taken = 0;
  for (int i = 0; i < 300; ++i) {
    now += *rc::gen::inRange<Nanos>(0, 50 * kNanosPerMilli);
    const auto cost = *rc::gen::inRange<std::uint64_t>(1, 1500);
    if (bucket.take(rate, cost, now)) taken += cost;
  }
  const double seconds = static_cast<double>(now - kStart) / kNanosPerSecond;
  // Prices are rounded down to a nanosecond.
  RC_ASSERT(static_cast<double>(taken) <= static_cast<double>(rate) * (seconds + 1) * 1.001 + 300);
}

}  // namespace
}  // namespace gannet::dataplane
