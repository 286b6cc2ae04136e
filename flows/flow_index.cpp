// SPDX-License-Identifier: BSD-3-Clause
#include "flows/flow_index.hpp"

#include "flows/base/check.hpp"

#include <algorithm>
#include <utility>

namespace gannet::flows {
namespace {

// Ten slots filled to 5.5 on average overflow in 3 % of the buckets (Poisson); one overflow bucket
// for sixteen home buckets is twice what that needs.
constexpr double kMeanFill = 5.5;
constexpr std::uint32_t kHomePerOverflow = 16;

}  // namespace

Result<FlowIndex> FlowIndex::create(std::uint32_t flow_count, bool use_huge_pages) {
  const auto home = std::max<std::uint32_t>(static_cast<std::uint32_t>(flow_count / kMeanFill), 16);
  const std::uint32_t overflow = home / kHomePerOverflow + 4;
  auto region = Region::map((std::size_t{home} + overflow) * sizeof(Bucket), use_huge_pages);
  if (!region) return tl::unexpected(region.error());
  return FlowIndex(std::move(*region), home, overflow);
}

FlowIndex::FlowIndex(Region region, std::uint32_t home_count, std::uint32_t overflow_count)
    : FlowBuckets(reinterpret_cast<Bucket*>(region.data()), home_count),
      region_(std::move(region)) {
  for (std::uint32_t i = home_count; i < home_count + overflow_count; ++i) {
    buckets_[i].overflow = free_overflow_;
    free_overflow_ = i;
  }
}

bool FlowIndex::insert(std::uint64_t hash, FlowRef ref) {
  Bucket* bucket = &buckets_[home_of(hash)];
  for (;;) {
    const std::uint32_t empty = match(*bucket, 0);
    if (empty != 0) {
      const int slot = __builtin_ctz(empty);
      bucket->tags[slot] = tag_of(hash);
      bucket->refs[slot] = ref.value;
      return true;
    }
    if (bucket->overflow == kNoBucket) break;
    bucket = &buckets_[bucket->overflow];
  }
  if (free_overflow_ == kNoBucket) return false;
  const std::uint32_t added = std::exchange(free_overflow_, buckets_[free_overflow_].overflow);
  buckets_[added] = Bucket{};
  bucket->overflow = added;
  buckets_[added].tags[0] = tag_of(hash);
  buckets_[added].refs[0] = ref.value;
  return true;
}

// The hole is filled from the end of the chain, so that only a chain's last bucket is ever less
// than full. Were holes left, a full table whose connections come and go would run out of overflow
// buckets.
void FlowIndex::erase(std::uint64_t hash, FlowRef ref) {
  Bucket* holder = nullptr;
  int hole = 0;
  Bucket* before_last = nullptr;
  Bucket* last = &buckets_[home_of(hash)];
  for (;;) {
    for (std::uint32_t m = match(*last, tag_of(hash)); m != 0 && holder == nullptr; m &= m - 1) {
      hole = __builtin_ctz(m);
      if (last->refs[hole] == ref.value) holder = last;
    }
    if (last->overflow == kNoBucket) break;
    before_last = last;
    last = &buckets_[last->overflow];
  }
  GANNET_CHECK(holder != nullptr);
  const int end = __builtin_ctz(~match(*last, 0) & kAllSlots);
  holder->tags[hole] = last->tags[end];
  holder->refs[hole] = last->refs[end];
  last->tags[end] = 0;
  if (before_last != nullptr && match(*last, 0) == kAllSlots) {
    const std::uint32_t freed = std::exchange(before_last->overflow, kNoBucket);
    last->overflow = std::exchange(free_overflow_, freed);
  }
}

}  // namespace gannet::flows
