// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/neighbors.hpp"

namespace gannet::dataplane {
namespace {

// As Linux: REACHABLE about 30 s, one question a second, three unanswered ones are the end.
constexpr Ticks kProbeAfter = duration_ticks(30 * kNanosPerSecond);
constexpr Ticks kAskEvery = duration_ticks(kNanosPerSecond);
constexpr std::uint8_t kMaxQuestions = 3;
// As long as Linux keeps a neighbour that has just been heard (its `locktime`); two questions in
// this time, since one may be lost. A real fail-over takes as long.
constexpr Ticks kDoubtFor = duration_ticks(kNanosPerSecond);
constexpr Ticks kDoubtAgainAfter = duration_ticks(kNanosPerSecond / 2);

}  // namespace

std::uint32_t NeighborTable::find_bucket(Ip4 ip) const {
  for (std::uint32_t bucket = bucket_of(ip);; bucket = (bucket + 1) % kBucketCount) {
    const std::uint32_t number = buckets_[bucket].load(std::memory_order_acquire);
    if (number == 0 || entries_[number - 1].ip == ip) return bucket;
  }
}

std::uint32_t NeighborTable::find_or_add(Ip4 ip) {
  const std::uint32_t bucket = find_bucket(ip);
  const std::uint32_t number = buckets_[bucket].load(std::memory_order_relaxed);
  if (number != 0) return number - 1;
  const std::uint32_t count = count_.load(std::memory_order_relaxed);
  if (count == kCapacity) return flows::kNoNeighbor;
  entries_[count].ip = ip;
  count_.store(count + 1, std::memory_order_release);
  buckets_[bucket].store(count + 1, std::memory_order_release);
  return count;
}

void NeighborTable::learn(Ip4 ip, const Mac& mac, Ticks now) {
  if (mac.is_group() || mac.is_zero()) return;
  const std::uint32_t number = buckets_[find_bucket(ip)].load(std::memory_order_acquire);
  if (number == 0) return;
  const std::uint32_t index = number - 1;
  Entry& e = entries_[index];
  std::uint64_t known = 0;
  if (macs_[index].compare_exchange_strong(known, mac.raw(), std::memory_order_relaxed)) {
    change_count_.fetch_add(1, std::memory_order_release);
  } else if (known != mac.raw()) {
    e.claim.store(mac.raw(), std::memory_order_relaxed);
    return;
  }
  e.confirmed.store(now, std::memory_order_relaxed);
  e.is_wanted.store(false, std::memory_order_relaxed);
}

void NeighborTable::set_mac(std::uint32_t index, std::uint64_t mac) {
  if (macs_[index].exchange(mac, std::memory_order_relaxed) == mac) return;
  change_count_.fetch_add(1, std::memory_order_release);
}

// Decides about another host's claim to the address: the one that is known keeps it if it answers.
// \return whether that one is to be asked now.
bool NeighborTable::verify_claim(std::uint32_t index, Ticks now) {
  Entry& e = entries_[index];
  const std::uint64_t claim = e.claim.load(std::memory_order_relaxed);
  if (claim == 0) return false;
  const bool is_in_doubt = e.doubt_count != 0;
  const Ticks confirmed = e.confirmed.load(std::memory_order_relaxed);
  const bool is_over = is_in_doubt && reached(now, e.doubted + kDoubtFor);
  if (is_in_doubt && reached(confirmed, e.doubted)) {
    e.claim.store(0, std::memory_order_relaxed);
    e.doubt_count = 0;
    return false;
  }
  if (is_over || mac_of(index) == 0) {
    set_mac(index, claim);
    e.confirmed.store(now, std::memory_order_relaxed);
    e.claim.store(0, std::memory_order_relaxed);
    e.doubt_count = 0;
    return false;
  }
  if (e.doubt_count == 2 || (is_in_doubt && !reached(now, e.doubted + kDoubtAgainAfter))) {
    return false;
  }
  if (!is_in_doubt) e.doubted = now;
  ++e.doubt_count;
  return true;
}

// Whether a question about the entry is to be sent now.
bool NeighborTable::is_due(std::uint32_t index, Ticks now) {
  Entry& e = entries_[index];
  const bool is_known = mac_of(index) != 0;
  const bool is_wanted = e.is_wanted.load(std::memory_order_relaxed);
  if (is_known) {
    const Ticks confirmed = e.confirmed.load(std::memory_order_relaxed);
    if (!reached(now, confirmed + kProbeAfter)) {
      e.question_count = 0;
      return false;
    }
  } else if (!is_wanted) {
    e.question_count = 0;
    return false;
  }
  if (e.question_count != 0 && !reached(now, e.asked + kAskEvery)) return false;
  if (e.question_count == kMaxQuestions) {
    // Nobody there. Asked again when the next packet wants it.
    set_mac(index, 0);
    e.is_wanted.store(false, std::memory_order_relaxed);
    e.question_count = 0;
    return false;
  }
  e.asked = now;
  ++e.question_count;
  return true;
}

}  // namespace gannet::dataplane
