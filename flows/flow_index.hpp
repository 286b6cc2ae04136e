// SPDX-License-Identifier: BSD-3-Clause
// The exact-match index: from the hash of a key to the flows that may have it. A bucket is one
// cache line with ten 16-bit tags and ten references; a look-up reads that line and compares all
// tags at once. Full buckets chain to overflow buckets, so an insertion moves nothing and a key is
// found wherever its bucket says. The index knows no keys: the caller compares the keys of the
// candidates.
//
// Memory is fixed at start. Owned by one worker. A look-up costs one cache line, an insertion and
// an erasure the same.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "flows/base/region.hpp"
#include "flows/tcp.hpp"

namespace gannet::flows {

/// Names one flow: a connection's index and a direction.
struct FlowRef {
  std::uint32_t value = 0xffff'ffff;

  FlowRef() = default;
  FlowRef(std::uint32_t connection, Direction direction)
      : value(connection << 1 | static_cast<std::uint32_t>(direction)) {}

  [[nodiscard]] bool is_valid() const { return value != 0xffff'ffff; }
  [[nodiscard]] std::uint32_t connection() const { return value >> 1; }
  [[nodiscard]] Direction direction() const { return static_cast<Direction>(value & 1); }
  friend bool operator==(FlowRef, FlowRef) = default;
};

/// What look-ups need of an index: two words that a loop may hold in registers. Valid as long as
/// the index.
class FlowBuckets {
 public:
  // Inlined by force: the compiler takes a call of a function that only prefetches for one that
  // does nothing, and leaves it out.
  [[gnu::always_inline]] void prefetch(std::uint64_t hash) const {
    __builtin_prefetch(&buckets_[home_of(hash)]);
  }

  /// The first candidate in the hash's first bucket, invalid if there is none. Nearly always it is
  /// the flow looked for, so its record can be prefetched before the key is compared.
  [[nodiscard]] FlowRef first_candidate(std::uint64_t hash) const {
    const Bucket& bucket = buckets_[home_of(hash)];
    const std::uint32_t matches = match(bucket, tag_of(hash));
    FlowRef ref;
    if (matches != 0) [[likely]]
      ref.value = bucket.refs[__builtin_ctz(matches)];
    return ref;
  }

  /// Calls `is_it(FlowRef)` for every candidate until it says true. \return that one, else invalid.
  template <typename IsIt>
  [[nodiscard]] FlowRef find(std::uint64_t hash, IsIt&& is_it) const {
    const std::uint16_t tag = tag_of(hash);
    for (const Bucket* bucket = &buckets_[home_of(hash)];; bucket = &buckets_[bucket->overflow]) {
      for (std::uint32_t m = match(*bucket, tag); m != 0; m &= m - 1) {
        FlowRef ref;
        ref.value = bucket->refs[__builtin_ctz(m)];
        if (is_it(ref)) return ref;
      }
      if (bucket->overflow == kNoBucket) return {};
    }
  }

 protected:
  static constexpr unsigned kSlots = 10;
  static constexpr std::uint32_t kAllSlots = (1u << kSlots) - 1;
  static constexpr std::uint32_t kNoBucket = 0;  // Bucket 0 is never an overflow bucket.

  struct alignas(64) Bucket {
    std::uint16_t tags[kSlots];  // 0: empty.
    std::uint32_t refs[kSlots];
    std::uint32_t overflow;
  };
  static_assert(sizeof(Bucket) == 64);

  FlowBuckets(Bucket* buckets, std::uint32_t home_count)
      : buckets_(buckets), home_count_(home_count) {}

  [[nodiscard]] std::uint32_t home_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(((hash >> 32) * home_count_) >> 32);
  }
  [[nodiscard]] static std::uint16_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint16_t>(hash | 0x8000);
  }

  // One bit for each slot whose tag is `tag`.
  [[nodiscard]] static std::uint32_t match(const Bucket& bucket, std::uint16_t tag) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    const __m256i tags = _mm256_load_si256(reinterpret_cast<const __m256i*>(&bucket));
    return _mm256_cmpeq_epi16_mask(tags, _mm256_set1_epi16(static_cast<short>(tag))) & kAllSlots;
#elif defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
    const auto* const p = reinterpret_cast<const __m128i*>(&bucket);
    const __m128i low = _mm_cmpeq_epi16(_mm_load_si128(p), wanted);
    const __m128i high = _mm_cmpeq_epi16(_mm_load_si128(p + 1), wanted);
    const __m128i packed = _mm_packs_epi16(low, high);
    return static_cast<std::uint32_t>(_mm_movemask_epi8(packed)) & kAllSlots;
#else
    std::uint32_t bits = 0;
    for (unsigned i = 0; i < kSlots; ++i) bits |= std::uint32_t{bucket.tags[i] == tag} << i;
    return bits;
#endif
  }

  Bucket* buckets_ = nullptr;  // Home buckets, then overflow buckets.
  std::uint32_t home_count_ = 0;
};

class FlowIndex : public FlowBuckets {
 public:
  /// Room for `flow_count` flows with about one in a thousand buckets overflowing.
  [[nodiscard]] static Result<FlowIndex> create(std::uint32_t flow_count, bool use_huge_pages);

  /// Adds a flow; the caller knows that it is not there. \return false if there is no room.
  [[nodiscard]] bool insert(std::uint64_t hash, FlowRef ref);
  /// Takes a flow out. It must be there.
  void erase(std::uint64_t hash, FlowRef ref);

  [[nodiscard]] std::size_t size_bytes() const { return region_.size(); }

 private:
  FlowIndex(Region region, std::uint32_t home_count, std::uint32_t overflow_count);

  Region region_;
  std::uint32_t free_overflow_ = kNoBucket;  // Linked through Bucket::overflow.
};

}  // namespace gannet::flows
