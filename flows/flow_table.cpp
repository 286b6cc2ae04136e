// SPDX-License-Identifier: BSD-3-Clause
#include "flows/flow_table.hpp"

#include <algorithm>

namespace gannet::flows {

template <typename Key>
Result<std::unique_ptr<FlowTable<Key>>> FlowTable<Key>::create(std::uint32_t capacity,
                                                               const HashSeed& seed, Ticks now,
                                                               bool use_huge_pages,
                                                               std::uint32_t redirect_capacity) {
  const std::uint64_t record_count = capacity + std::uint64_t{redirect_capacity} / 2 + 1;
  GANNET_CHECK(capacity >= 1 && record_count < kNoConnection / 2);
  auto slab = Region::map(record_count * sizeof(Record), use_huge_pages);
  if (!slab) return tl::unexpected(slab.error());
  auto index = FlowIndex::create(2 * capacity + redirect_capacity, use_huge_pages);
  if (!index) return tl::unexpected(index.error());
  return std::unique_ptr<FlowTable>(
      new FlowTable(std::move(*slab), std::move(*index), capacity, redirect_capacity, seed, now));
}

template <typename Key>
FlowTable<Key>::FlowTable(Region slab, FlowIndex index, std::uint32_t capacity,
                          std::uint32_t redirect_capacity, const HashSeed& seed, Ticks now)
    : slab_(std::move(slab)),
      records_(reinterpret_cast<Record*>(slab_.data())),
      index_(std::move(index)),
      wheel_(*this, now),
      seed_(seed),
      capacity_(capacity),
      redirect_capacity_(redirect_capacity) {}

// A record that has not been used for long is in no cache, and to know the next but one of those
// that are free takes a look at the next. So the next is fetched now.
template <typename Key>
inline void FlowTable<Key>::prefetch_next_free() const {
  const std::uint32_t next = free_head_ == kNoConnection ? touched_count_ : free_head_;
  if (next >= capacity_) return;
  const auto* const bytes = reinterpret_cast<const char*>(&records_[next]);
  for (std::size_t line = 0; line < sizeof(Record); line += 64) {
    __builtin_prefetch(bytes + line, 1);
  }
}

template <typename Key>
std::uint32_t FlowTable<Key>::allocate() {
  std::uint32_t i = free_head_;
  if (i != kNoConnection) {
    free_head_ = records_[i].shared.timer.next;
  } else if (touched_count_ < capacity_) {
    i = touched_count_++;
  } else {
    return kNoConnection;
  }
  prefetch_next_free();
  records_[i] = Record{};
  records_[i].shared.flags = kInUse;
  records_[i].shared.timer_level = TimerWheel<FlowTable>::kUnarmed;
  records_[i].shared.owner_eni = kNoEni;
  high_water_ = std::max(high_water_, ++used_count_);
  return i;
}

template <typename Key>
bool FlowTable<Key>::publish(std::uint32_t i, std::uint64_t forward, std::uint64_t reverse) {
  Flow<Key>* const flows = records_[i].flows;
  if (index_.insert(forward, FlowRef(i, Direction::kForward))) {
    if (flows[1].kind == FlowKind::kUnindexed) return true;
    if (index_.insert(reverse, FlowRef(i, Direction::kReverse))) return true;
    index_.erase(forward, FlowRef(i, Direction::kForward));
  }
  flows[0].kind = flows[1].kind = FlowKind::kUnindexed;
  return false;
}

template <typename Key>
void FlowTable<Key>::release(std::uint32_t i) {
  Record& record = records_[i];
  GANNET_DCHECK(is_used(i));
  for (const Direction d : {Direction::kForward, Direction::kReverse}) {
    if (record.flow(d).kind == FlowKind::kUnindexed) continue;
    index_.erase(hash_of(record.flow(d).key), FlowRef(i, d));
    record.flow(d).kind = FlowKind::kUnindexed;  // For who has found it before, in the same burst.
  }
  clear_embryonic(i);
  wheel_.disarm(i);
  record.shared.flags = 0;
  record.shared.timer.next = std::exchange(free_head_, i);
  --used_count_;
}

template <typename Key>
bool FlowTable<Key>::add_redirect(const Key& key, std::uint16_t worker) {
  FlowRef ref;
  if (free_redirect_head_ != kNoRedirect) {
    ref.value = free_redirect_head_;
    free_redirect_head_ = flow(ref).action.next_hop;
  } else if (touched_redirects_ < redirect_capacity_) {
    ref = redirect(touched_redirects_++);
  } else {
    return false;
  }
  Flow<Key>& added = flow(ref);
  added = Flow<Key>{};
  if (!index_.insert(hash_of(key), ref)) {
    free_redirect(ref);
    return false;
  }
  added.key = key;
  added.kind = FlowKind::kRedirect;
  added.action.next_hop = worker;
  ++redirect_count_;
  return true;
}

template <typename Key>
void FlowTable<Key>::remove_redirect(FlowRef ref) {
  GANNET_DCHECK(flow(ref).kind == FlowKind::kRedirect);
  index_.erase(hash_of(flow(ref).key), ref);
  free_redirect(ref);
  --redirect_count_;
}

template <typename Key>
void FlowTable<Key>::free_redirect(FlowRef ref) {
  flow(ref).kind = FlowKind::kUnindexed;  // For who has found it before, in the same burst.
  flow(ref).action.next_hop = std::exchange(free_redirect_head_, ref.value);
}

template <typename Key>
void FlowTable<Key>::mark_embryonic(std::uint32_t i) {
  Record& record = records_[i];
  clear_embryonic(i);
  record.shared.flags |= kEmbryonic;
  record.details.embryonic = {kNoConnection, embryonic_tail_};
  if (embryonic_tail_ == kNoConnection) {
    embryonic_head_ = i;
  } else {
    records_[embryonic_tail_].details.embryonic.next = i;
  }
  embryonic_tail_ = i;
}

template <typename Key>
void FlowTable<Key>::clear_embryonic(std::uint32_t i) {
  Record& record = records_[i];
  if ((record.shared.flags & kEmbryonic) == 0) return;
  record.shared.flags &= static_cast<std::uint8_t>(~kEmbryonic);
  const Links links = record.details.embryonic;
  std::uint32_t& from_previous = links.previous == kNoConnection
                                     ? embryonic_head_
                                     : records_[links.previous].details.embryonic.next;
  std::uint32_t& from_next = links.next == kNoConnection
                                 ? embryonic_tail_
                                 : records_[links.next].details.embryonic.previous;
  from_previous = links.next;
  from_next = links.previous;
}

template <typename Key>
std::size_t FlowTable<Key>::bytes_per_connection() const {
  return (slab_.size() + index_.size_bytes()) / capacity_;
}

template class FlowTable<Ip4Key>;
template class FlowTable<Ip6Key>;

}  // namespace gannet::flows
