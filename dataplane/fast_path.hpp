// SPDX-License-Identifier: BSD-3-Clause
// The fast path: a burst of packets is read, looked up and sent in passes, so that the memory that
// each needs is on its way while the others are worked on:
//
//   1  read the headers, build and hash the key, prefetch the bucket
//   2  match the tags, prefetch the flow and its connection
//   3  compare the key, check, count — or give the packet to the worker that owns its connection,
//      or to the slow path, in order
//   4  rewrite those that go out, and put them into their port's queue
//
// Nothing in it locks, allocates, logs or asks the time. Owned by one worker.
#pragma once

#include "dataplane/arp_queue.hpp"
#include "dataplane/common_shape.hpp"
#include "dataplane/connections.hpp"
#include "dataplane/drop_log.hpp"
#include "dataplane/loop_steps.hpp"
#include "dataplane/neighbors.hpp"
#include "dataplane/port_context.hpp"
#include "dataplane/transmit.hpp"

#include <cstdint>

#include <rte_mbuf.h>

namespace gannet::dataplane {

class FastPath final {
 public:
  static constexpr unsigned kBurst = 32;

  FastPath(Connections& connections, const NeighborTable& neighbors, const ArpQueue& arp_queue,
           Transmitter& transmitter, PathCounters& counters, DropLog& drops)
      : connections_(connections),
        neighbors_(neighbors),
        arp_queue_(arp_queue),
        transmitter_(transmitter),
        counters_(counters),
        drops_(drops) {}

  /// Packets that have come in by one port, at most kBurst.
  struct Burst {
    PortContext& port;
    rte_mbuf** packets;
    unsigned count;
    HandOver came;
    const Snapshot& policy;
    Nanos now;
  };

  /// Works on a burst. Calls `slow(packet)` for each packet that it leaves alone; all others are
  /// sent, handed over or dropped. Tells `steps` at the end of each. \return the bytes of all
  /// packets as they came in.
  template <typename Steps, typename Slow>
  std::uint64_t process(const Burst& burst, Steps& steps, Slow&& slow) {
    const std::uint64_t bytes = read(burst);
    steps.end(LoopStep::kParse);
    look_up(burst.count);
    if (!connections_.is_settled(burst.policy)) [[unlikely]]
      bring_up(burst);
    steps.end(LoopStep::kLookUp);
    for (unsigned i = forward_until_slow(burst, 0); i < burst.count;
         i = forward_until_slow(burst, i + 1)) {
      slow(burst.packets[i]);
    }
    steps.end(LoopStep::kApply);
    return bytes;
  }

 private:
  enum class Fate : std::uint8_t {
    kAdmitted,
    kDropped,
    kHandedOver,
    kFound,  // Untouched, but its slot names another flow now.
    kSlow,   // Untouched.
  };
  enum class Shape : std::uint8_t { kOdd, kV4, kV6 };

  // What is looked for,
  struct Wanted {
    flows::Ip4Key key4;
    std::uint64_t hash;
    std::uint64_t origin;  // Flow::origin_word() of flows that the packet may take.
  };
  // and how a packet leaves that has been admitted.
  struct Way {
    const void* flow;  // Of the key's family.
    const flows::NextHop* hop;
    std::uint64_t mac;  // Of the underlay neighbour, Mac::raw(), if the hop leaves by one.
  };
  struct alignas(64) Slot {
    union {
      Wanted wanted;
      Way way;
    };
    rte_mbuf* packet;     // Null: it is gone.
    std::uint8_t* frame;  // The (inner) Ethernet header.
    void* connection;     // The candidate, of the key's family; null: none.
    flows::Direction direction;
    Shape shape;
    std::uint16_t frame_bytes;  // Of the (inner) frame, padding included.
  };

  struct OutFrame {
    std::uint8_t* begin;
    std::uint32_t bytes;
  };

  // What the packets of a burst have in common, for reading them and for admitting them. These
  // live in local variables, out of reach of the stores to packets: for all that the compiler
  // knows, each of those may change whatever lies behind a pointer.
  struct Arrival;
  struct Admission;
  struct Reading;

  // The first pass. \return the burst's bytes.
  std::uint64_t read(const Burst& burst);
  template <PortRole role>
  std::uint64_t read_all(const Burst& burst);
  template <PortRole role>
  Shape read_one(Arrival& arrival, const rte_mbuf* packet, Slot& slot);
  static bool open_tunnel(Arrival& arrival, Reading& reading);
  [[gnu::noinline]] Shape read_v6(Slot& slot, std::uint64_t zone_word);
  void look_up(unsigned count);
  [[gnu::cold, gnu::noinline]] void bring_up(const Burst& burst);
  template <typename Key>
  [[nodiscard]] flows::FlowRef ref_of(const Slot& slot,
                                      const flows::Connection<Key>& connection) const {
    const auto index = &connection - connections_.table<Key>().records();
    return {static_cast<std::uint32_t>(index), slot.direction};
  }
  template <typename Key>
  static void set_candidate(Slot& slot, flows::Connection<Key>* records, flows::FlowRef ref);

  // Goes on from packet i to the next that is for the slow path. \return its place, or the count.
  unsigned forward_until_slow(const Burst& burst, unsigned i);
  // The same, but only as far as the keys are of one family.
  template <typename Key>
  unsigned forward_row(const Burst& burst, unsigned begin);
  // The third pass. \return the first packet that it does not reach.
  template <typename Key>
  [[gnu::noinline]] Slot* admit_row(const Burst& burst, Slot* first);
  template <typename Key>
  Fate admit(Slot& slot, const Key& key, const Burst& burst, const Admission& admission);
  template <typename Key>
  Fate admit_odd(const flows::Flow<Key>& flow, const Burst& burst, rte_mbuf* packet);
  template <typename Key>
  [[gnu::cold, gnu::noinline]] Fate find_again(Slot& slot, const Key& key, const Burst& burst);
  Fate hand_over(std::uint16_t to, HandOver how, const Burst& burst, rte_mbuf* packet);
  // The fourth pass, and what it does to one packet.
  template <typename Key>
  [[gnu::noinline]] void depart_row(const Burst& burst, const Slot* first, const Slot* end);
  template <typename Key>
  static OutFrame apply(const Slot& slot, const flows::Flow<Key>& flow, std::uint16_t flags);
  template <typename Key>
  [[gnu::noinline]] bool admit_segment(const Slot& slot, flows::Connection<Key>& connection,
                                       const Burst& burst);
  template <typename Key>
  [[gnu::cold, gnu::noinline]] bool refuse_segment(const Slot& slot,
                                                   const flows::Connection<Key>& connection,
                                                   const Burst& burst, DropReason reason);
  template <typename Key>
  [[gnu::noinline]] void notice(const Slot& slot, const flows::Connection<Key>& connection,
                                const Burst& burst);
  [[nodiscard]] static bool exceeds_rate(const Burst& burst, const rte_mbuf* packet);

  Connections& connections_;
  const NeighborTable& neighbors_;
  const ArpQueue& arp_queue_;
  Transmitter& transmitter_;
  PathCounters& counters_;
  DropLog& drops_;

  // The tunnel of the last packet that came by one: packets of a tunnel mostly come in a row.
  struct LastTunnel {
    Be32 vni{0xff};  // As CommonTunnel has it, where the lowest byte is 0: none.
    std::uint64_t zone_word = kNoZone;
  };
  static constexpr std::uint64_t kNoZone = 0;  // No zone is of kind 0.
  LastTunnel last_tunnel_;
  std::uint32_t last_generation_ = 0;  // Of the policy that last_tunnel_ is of.
  Slot slots_[kBurst];
  flows::Ip6Key keys6_[kBurst];
};

}  // namespace gannet::dataplane
