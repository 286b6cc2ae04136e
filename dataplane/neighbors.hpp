// SPDX-License-Identifier: BSD-3-Clause
// The underlay's neighbours: which MAC has each next hop (ARP, RFC 826). The control thread gives
// out the entries when it compiles a policy; workers read a MAC with one load for every packet that
// leaves by the underlay, and any worker that sees an ARP message writes what it learns. One worker
// asks and probes (run()).
//
// An ARP message, which anybody can send, costs one look-up in a hash table; a round of questions
// is made in pieces, so that a worker with 65,536 neighbours has no longer turns than others.
//
// An entry's MAC is one 64-bit word: it is seen whole or not at all. Entries are never moved; one
// that no policy uses any more is simply no longer probed.
#pragma once

#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"
#include "flows/base/time.hpp"
#include "flows/next_hop.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace gannet::dataplane {

class NeighborTable {
 public:
  static constexpr std::uint32_t kCapacity = 65'536;

  NeighborTable()
      : entries_(std::make_unique<Entry[]>(kCapacity)),
        macs_(std::make_unique<std::atomic<std::uint64_t>[]>(kCapacity)),
        buckets_(std::make_unique<std::atomic<std::uint32_t>[]>(kBucketCount)) {}

  /// The entry for an address, made if there is none. Control thread only.
  /// \return flows::kNoNeighbor if the table is full.
  [[nodiscard]] std::uint32_t find_or_add(Ip4 ip);

  /// The MAC of an entry as Mac::raw(), or 0 while nobody has answered. Any worker.
  [[nodiscard]] std::uint64_t mac_of(std::uint32_t index) const {
    return macs_[index].load(std::memory_order_relaxed);
  }
  /// The same of all entries by index, to be read with relaxed order. For loops that keep it in a
  /// register.
  [[nodiscard]] const std::atomic<std::uint64_t>* macs() const { return macs_.get(); }

  /// Counts changes of MACs. Any thread.
  [[nodiscard]] std::uint32_t change_count() const {
    return change_count_.load(std::memory_order_acquire);
  }

  /// Says that a packet waits for the entry. Any worker.
  void want(std::uint32_t index) {
    entries_[index].is_wanted.store(true, std::memory_order_relaxed);
  }

  /// Takes note of what an ARP message says of its sender; unknown addresses are ignored. One that
  /// has a MAC already keeps it until run() has asked there and nobody has answered: a message that
  /// anybody can send does not take a host's traffic away from it. Any worker.
  void learn(Ip4 ip, const Mac& mac, Ticks now);

  /// Goes on with a round over all entries, at most `budget` of them. One worker begins one a few
  /// times a second. Calls `ask(ip, mac)` for each question to send: mac is the address to probe,
  /// or zero to ask everybody. \return whether the round is over.
  template <typename Ask>
  [[nodiscard]] bool run(Ticks now, std::uint32_t budget, Ask&& ask) {
    const std::uint32_t count = count_.load(std::memory_order_acquire);
    for (; cursor_ < count && budget != 0; ++cursor_, --budget) {
      if (!(verify_claim(cursor_, now) || is_due(cursor_, now))) continue;
      ask(entries_[cursor_].ip, Mac::from_raw(mac_of(cursor_)));
    }
    if (cursor_ < count) return false;
    cursor_ = 0;
    return true;
  }

 private:
  struct Entry {
    Ip4 ip{};
    std::atomic<Ticks> confirmed{0};  // When it was last heard.
    std::atomic<bool> is_wanted{false};
    std::atomic<std::uint64_t> claim{0};  // Another MAC that says it is the one; 0: none.
    // These belong to the worker that runs.
    Ticks asked = 0;
    Ticks doubted = 0;                // When the claim was first looked at.
    std::uint8_t question_count = 0;  // Unanswered ones.
    std::uint8_t doubt_count = 0;     // Questions about the claim.
  };

  // Where an address is looked for first; at most half of the buckets are ever in use.
  static constexpr unsigned kBucketBits = 17;
  static constexpr std::uint32_t kBucketCount = 1u << kBucketBits;
  static_assert(kBucketCount == 2 * kCapacity);
  [[nodiscard]] static std::uint32_t bucket_of(Ip4 ip) {
    constexpr std::uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;  // Neighbours are often in a row.
    return static_cast<std::uint32_t>(ip.value.host() * kGoldenRatio >> (64 - kBucketBits));
  }
  // \return the bucket of an address, or the empty one where it would be.
  [[nodiscard]] std::uint32_t find_bucket(Ip4 ip) const;

  [[nodiscard]] bool is_due(std::uint32_t index, Ticks now);
  [[nodiscard]] bool verify_claim(std::uint32_t index, Ticks now);
  void set_mac(std::uint32_t index, std::uint64_t mac);

  std::unique_ptr<Entry[]> entries_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> macs_;  // Of the entries, densely: for packets.
  // An entry's index plus one, or 0. Released by find_or_add, acquired by whoever looks: the
  // entry's address is there by then, and never changes.
  std::unique_ptr<std::atomic<std::uint32_t>[]> buckets_;
  std::uint32_t cursor_ = 0;                    // Of the round that run() is on.
  std::atomic<std::uint32_t> change_count_{0};  // Released behind the MAC that has changed.
  std::atomic<std::uint32_t> count_{0};  // Released by find_or_add, acquired by readers of entries.
};

}  // namespace gannet::dataplane
