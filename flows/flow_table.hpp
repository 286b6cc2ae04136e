// SPDX-License-Identifier: BSD-3-Clause
// The flow table of one worker and one address family: a slab of connections, the index that finds
// their flows, the timer wheel that ages them, and the list of those that nobody has answered yet,
// which are the first to go when the slab is full (S2, S3).
//
// Behind the connections the slab has redirects, two a record: single flows that lead to the worker
// that owns the connection. They are found by the same look-up and have room of their own, so that
// neither can take the other's (S2).
//
// Everything is allocated at start. A full table is an answer, not an error: allocate() says so.
// Owned by one worker; nothing here is shared.
#pragma once

#include "flows/base/check.hpp"
#include "flows/base/region.hpp"
#include "flows/base/time.hpp"
#include "flows/connection.hpp"
#include "flows/flow_index.hpp"
#include "flows/key.hpp"
#include "flows/timer_wheel.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace gannet::flows {

template <typename Key>
class FlowTable {
 public:
  using Record = Connection<Key>;

  /// \param capacity connections, at least 1; \param now the current time; \param
  /// redirect_capacity redirects beside them.
  [[nodiscard]] static Result<std::unique_ptr<FlowTable>> create(
      std::uint32_t capacity, const HashSeed& seed, Ticks now, bool use_huge_pages,
      std::uint32_t redirect_capacity = 0);

  template <typename KeyOrWords>
  [[nodiscard]] std::uint64_t hash_of(const KeyOrWords& key) const {
    return hash(key, seed_);
  }
  [[nodiscard]] const HashSeed& seed() const { return seed_; }
  [[nodiscard]] const FlowIndex& index() const { return index_; }
  [[nodiscard]] Record& operator[](std::uint32_t i) { return records_[i]; }
  [[nodiscard]] const Record& operator[](std::uint32_t i) const { return records_[i]; }
  /// All records, the one of connection 0 first.
  [[nodiscard]] Record* records() { return records_; }
  [[nodiscard]] Flow<Key>& flow(FlowRef ref) {
    return records_[ref.connection()].flow(ref.direction());
  }

  /// The flow with this key, invalid if there is none.
  [[nodiscard]] FlowRef find(const Key& key, std::uint64_t key_hash) {
    return index_.find(key_hash, [&](FlowRef ref) { return flow(ref).key == key; });
  }
  [[nodiscard]] FlowRef find(const Key& key) { return find(key, hash_of(key)); }

  /// A zeroed record that is in use but in no index yet; kNoConnection if all are in use.
  [[nodiscard]] std::uint32_t allocate();
  /// Makes the record's flows findable, but for a reverse one of kind kUnindexed. Neither key is in
  /// the table. \return false if the index has no room; the record can then only be released.
  [[nodiscard]] bool publish(std::uint32_t i) {
    return publish(i, hash_of(records_[i].flows[0].key), hash_of(records_[i].flows[1].key));
  }
  /// The same, if the hashes of the forward key and of the reverse key are known.
  [[nodiscard]] bool publish(std::uint32_t i, std::uint64_t forward, std::uint64_t reverse);
  /// Takes a record out of everything and frees it; its flows are of kind kUnindexed from now on.
  void release(std::uint32_t i);

  /// Adds a redirect to another worker. The key is not in the table. \return false if there is no
  /// room.
  [[nodiscard]] bool add_redirect(const Key& key, std::uint16_t worker);
  /// Takes a redirect out; its flow is of kind kUnindexed from now on.
  void remove_redirect(FlowRef ref);
  [[nodiscard]] std::uint32_t redirect_count() const { return redirect_count_; }

  /// Arms, or moves, the record's timer.
  void arm(std::uint32_t i, Ticks deadline) {
    wheel_.disarm(i);
    wheel_.arm(i, deadline);
  }
  /// Calls `on_due(index)` for records whose timer has come due, disarmed, at most `budget`.
  template <typename OnDue>
  unsigned advance(Ticks now, unsigned budget, OnDue&& on_due) {
    return wheel_.advance(now, budget, std::forward<OnDue>(on_due));
  }

  /// Puts a record at the young end of the list of unanswered connections, or takes it out.
  void mark_embryonic(std::uint32_t i);
  void clear_embryonic(std::uint32_t i);
  /// The unanswered connection that has waited longest; kNoConnection if there is none.
  [[nodiscard]] std::uint32_t oldest_embryonic() const { return embryonic_head_; }

  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint32_t used_count() const { return used_count_; }
  [[nodiscard]] std::uint32_t high_water() const { return high_water_; }
  /// Connections with an index at or above this have never been used.
  [[nodiscard]] std::uint32_t touched_count() const { return touched_count_; }
  [[nodiscard]] bool is_used(std::uint32_t i) const {
    return (records_[i].shared.flags & kInUse) != 0;
  }
  /// Bytes of memory for each connection of the capacity, index included.
  [[nodiscard]] std::size_t bytes_per_connection() const;

  /// For TimerWheel.
  [[nodiscard]] TimerPlace timer_place(std::uint32_t i) {
    ConnectionShared& s = records_[i].shared;
    return {s.timer, s.timer_level, s.timer_slot};
  }

 private:
  static constexpr std::uint32_t kNoRedirect = 0xffff'ffff;

  FlowTable(Region slab, FlowIndex index, std::uint32_t capacity, std::uint32_t redirect_capacity,
            const HashSeed& seed, Ticks now);

  [[nodiscard]] FlowRef redirect(std::uint32_t number) const {
    return {capacity_ + number / 2, static_cast<Direction>(number % 2)};
  }
  void free_redirect(FlowRef ref);

  // By force, as FlowBuckets::prefetch.
  [[gnu::always_inline]] void prefetch_next_free() const;

  Region slab_;
  Record* records_;
  FlowIndex index_;
  TimerWheel<FlowTable> wheel_;
  HashSeed seed_;
  std::uint32_t capacity_;
  std::uint32_t used_count_ = 0;
  std::uint32_t high_water_ = 0;
  std::uint32_t touched_count_ = 0;
  std::uint32_t free_head_ = kNoConnection;  // Linked through shared.timer.next.
  std::uint32_t redirect_capacity_;
  std::uint32_t redirect_count_ = 0;
  std::uint32_t touched_redirects_ = 0;
  std::uint32_t free_redirect_head_ = kNoRedirect;  // Linked through the action's next_hop.
  std::uint32_t embryonic_head_ = kNoConnection;
  std::uint32_t embryonic_tail_ = kNoConnection;
};

using Ip4FlowTable = FlowTable<Ip4Key>;
using Ip6FlowTable = FlowTable<Ip6Key>;
extern template class FlowTable<Ip4Key>;
extern template class FlowTable<Ip6Key>;

}  // namespace gannet::flows
