// SPDX-License-Identifier: BSD-3-Clause
// The fast path: a burst of packets is read, looked up and sent in passes, so that the memory that
// each needs is on its way while the others are worked on:
//
//   1  read the headers, build and hash the key, prefetch the bucket
//   2  match the tags, prefetch the flow and its connection
//   3  compare the key, check, rewrite, send — or give the packet to the worker that owns its
//      connection, or to the slow path, in order
//
// Nothing in it locks, allocates, logs or asks the time. Owned by one worker.
#pragma once

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

  FastPath(Connections& connections, const NeighborTable& neighbors, Transmitter& transmitter,
           PathCounters& counters, DropLog& drops)
      : connections_(connections),
        neighbors_(neighbors),
        transmitter_(transmitter),
        counters_(counters),
        drops_(drops) {}

  /// Packets that have come in by one port, at most kBurst.
  struct Burst {
    PortContext& port;
    rte_mbuf** packets;
    unsigned count;
    bool is_handed_over;  // By the worker that received them; this one owns their connections.
    const Snapshot& policy;
    Nanos now;
  };

  /// Works on a burst. Calls `slow(packet)` for each packet that it leaves alone; all others are
  /// sent, handed over or dropped. Tells `steps` at the end of each.
  template <typename Steps, typename Slow>
  void process(const Burst& burst, Steps& steps, Slow&& slow) {
    read(burst);
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
  }

 private:
  enum class Fate : std::uint8_t {
    kForwarded,  // Or dropped because the flow says so.
    kHandedOver,
    kFound,  // Untouched, but its slot names another flow now.
    kSlow,   // Untouched.
  };
  enum class Shape : std::uint8_t { kOdd, kV4, kV6 };

  struct alignas(64) Slot {
    flows::Ip4Key key4;
    std::uint64_t hash;
    std::uint8_t* frame;        // The (inner) Ethernet header.
    std::uint64_t origin;       // Flow::origin_word() of flows that the packet may take.
    std::uint32_t frame_bytes;  // Of the (inner) frame, padding included.
    flows::FlowRef ref;
    Shape shape;
  };

  // What the packets of a burst have in common, for reading them and for forwarding them. These
  // live in local variables, out of reach of the stores to packets: for all that the compiler
  // knows, each of those may change whatever lies behind a pointer.
  struct Arrival;
  template <typename Key>
  struct Departure;

  void read(const Burst& burst);
  template <PortRole role>
  void read_all(const Burst& burst);
  template <PortRole role>
  void read_one(const Arrival& arrival, const rte_mbuf* packet, Slot& slot);
  bool open_tunnel(const Arrival& arrival, Slot& slot, std::uint64_t& zone_word);
  [[gnu::noinline]] void read_v6(Slot& slot, std::uint64_t zone_word);
  void look_up(unsigned count);
  [[gnu::cold, gnu::noinline]] void bring_up(const Burst& burst);

  // Goes on from packet i to the next that is for the slow path. \return its place, or the count.
  unsigned forward_until_slow(const Burst& burst, unsigned i);
  // The same, but only as far as the keys are of one family.
  template <typename Key>
  [[gnu::noinline]] unsigned forward_row(const Burst& burst, unsigned i);
  template <typename Key>
  Fate forward(Slot& slot, const Key& key, const Burst& burst, Departure<Key>& departure,
               rte_mbuf* packet);
  template <typename Key>
  Fate forward_odd(const flows::Flow<Key>& flow, const Burst& burst, rte_mbuf* packet);
  template <typename Key>
  [[gnu::cold, gnu::noinline]] Fate find_again(Slot& slot, const Key& key, const Burst& burst,
                                               rte_mbuf* packet);
  Fate hand_over(std::uint16_t owner, const Burst& burst, rte_mbuf* packet);
  template <typename Key>
  void forward_hit(const Slot& slot, flows::FlowRef ref, flows::Connection<Key>& connection,
                   const flows::NextHop& hop, std::uint64_t neighbor_mac, const Burst& burst,
                   Departure<Key>& departure, rte_mbuf* packet);
  template <typename Key>
  [[gnu::cold, gnu::noinline]] void drop_segment(const Key& key, flows::TcpVerdict verdict,
                                                 const Burst& burst, rte_mbuf* packet);
  [[nodiscard]] static bool exceeds_rate(const Burst& burst, const rte_mbuf* packet);

  Connections& connections_;
  const NeighborTable& neighbors_;
  Transmitter& transmitter_;
  PathCounters& counters_;
  DropLog& drops_;
  // A tunnel's packets mostly come in a row.
  Be32 last_vni_{kNoVni};  // As CommonTunnel has it.
  std::uint64_t last_zone_word_ = kNoZone;
  std::uint32_t last_generation_ = 0;
  static constexpr std::uint32_t kNoVni = 0xff;  // Its lowest byte would be 0.
  static constexpr std::uint64_t kNoZone = 0;    // No zone is of kind 0.
  Slot slots_[kBurst];
  flows::Ip6Key keys6_[kBurst];
};

}  // namespace gannet::dataplane
