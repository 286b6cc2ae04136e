// SPDX-License-Identifier: BSD-3-Clause
// Finished frames that lack only the MAC of their next hop: they wait here until it has answered,
// in the order in which they came. Whoever sends to many neighbours that are not there finds his
// own share of the room full, not that of others: a port has a share, and of that a neighbour. What
// waits remembers the policy that let it through, and what is needed to ask again. Owned by one
// worker. No operation costs more than one look at each of the 256 places. Free of DPDK.
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/neighbors.hpp"
#include "dataplane/tuple.hpp"
#include "flows/connection.hpp"
#include "flows/flow_table.hpp"
#include "flows/key.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

struct rte_mbuf;

namespace gannet::dataplane {

/// The flow of a family that has forwarded a packet, and what it has made of it.
template <typename Key>
struct JudgedFlow {
  Key key{};
  flows::Tuple<typename Key::Ip> translated{};
};

/// How a packet has been judged.
struct Judgement {
  std::uint32_t generation = 0;   // Of the policy.
  Family family = Family::kIpv4;  // Of the flow that forwards it,
  flows::FlowRef flow;            // which is none if the switch itself is the sender.
  Ingress in;
  JudgedFlow<flows::Ip4Key> v4;  // Of its family.
  JudgedFlow<flows::Ip6Key> v6;
};

class ArpQueue final {
 public:
  static constexpr unsigned kMaxFrames = 256;
  static constexpr unsigned kMaxPerPort = 64;      // That the packets came in by, and of
  static constexpr unsigned kMaxPerNeighbor = 16;  // these for one neighbour.

  struct Entry {
    rte_mbuf* packet = nullptr;
    std::uint16_t ingress_port = 0;
    Ticks deadline = 0;
    flows::NextHop hop{};  // Its headers, as they are in the frame.
    Judgement judgement{};
  };

  explicit ArpQueue(std::size_t port_count);

  [[nodiscard]] bool is_empty() const { return count_ == 0; }
  /// How many frames wait for each neighbour, by its index in the table.
  [[nodiscard]] const std::uint16_t* counts() const { return of_neighbor_.get(); }
  [[nodiscard]] bool has(std::uint32_t neighbor) const { return of_neighbor_[neighbor] != 0; }

  /// Takes a frame, whose deadline is not before those of the others. \return the one for which
  /// there is no room now: this one, if its share is used up, or the oldest of the port that has
  /// the most.
  [[nodiscard]] std::optional<Entry> push(const Entry& entry);

  /// Takes out, oldest first, what `wants(neighbor)` says and gives it to `give(entry)`, which must
  /// not push.
  template <typename Wants, typename Give>
  void take(Wants&& wants, Give&& give) {
    std::array<std::uint16_t, kMaxFrames> kept;
    std::array<std::uint16_t, kMaxFrames> taken;
    unsigned kept_count = 0;
    unsigned taken_count = 0;
    for (unsigned i = 0; i < count_; ++i) {
      const std::uint16_t slot = order_[i];
      if (wants(neighbor_of(tags_[slot]))) {
        taken[taken_count++] = slot;
      } else {
        kept[kept_count++] = slot;
      }
    }
    if (taken_count == 0) return;
    for (unsigned i = 0; i < kept_count; ++i) order_[i] = kept[i];
    for (unsigned i = 0; i < taken_count; ++i) {
      order_[kept_count + i] = taken[i];
      forget(taken[i]);
    }
    count_ = kept_count;
    for (unsigned i = 0; i < taken_count; ++i) give(entries_[taken[i]]);
  }

  /// Takes out the oldest if its time is over.
  [[nodiscard]] std::optional<Entry> pop_late(Ticks now);

 private:
  // The neighbour and the port of a frame in one word, apart from the rest: they are looked
  // through.
  static std::uint64_t tag_of(std::uint16_t port, std::uint32_t neighbor) {
    return std::uint64_t{port} << 32 | neighbor;
  }
  static std::uint32_t neighbor_of(std::uint64_t tag) { return static_cast<std::uint32_t>(tag); }
  static std::uint16_t port_of(std::uint64_t tag) { return static_cast<std::uint16_t>(tag >> 32); }
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};

  void forget(std::uint16_t slot);
  [[nodiscard]] Entry remove(unsigned place);
  [[nodiscard]] unsigned oldest_of_greediest() const;

  unsigned count_ = 0;
  std::array<std::uint16_t, kMaxFrames>
      order_;                                   // Slots: those in use, oldest first; then the free.
  std::array<std::uint64_t, kMaxFrames> tags_;  // By slot.
  std::array<Entry, kMaxFrames> entries_;       // By slot.
  std::vector<std::uint16_t> of_port_;          // Frames in the queue.
  std::unique_ptr<std::uint16_t[]> of_neighbor_;
};

}  // namespace gannet::dataplane
