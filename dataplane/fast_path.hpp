// SPDX-License-Identifier: BSD-3-Clause
// The fast path: a burst of packets is read, looked up and sent in passes, so that the memory that
// each needs is on its way while the others are worked on:
//
//   1  read the headers, build and hash the key, prefetch the bucket
//   2  match the tags, prefetch the flow and its connection
//   3  compare the key, check, rewrite, send — or give the packet to the slow path, in order
//
// Nothing in it locks, allocates, logs or asks the time. Owned by one worker.
#pragma once

#include "dataplane/common_shape.hpp"
#include "dataplane/connections.hpp"
#include "dataplane/neighbors.hpp"
#include "dataplane/port_context.hpp"
#include "dataplane/transmit.hpp"

#include <cstdint>

#include <rte_mbuf.h>

namespace gannet::dataplane {

class FastPath final {
 public:
  static constexpr unsigned kBurst = 64;

  FastPath(Connections& connections, const NeighborTable& neighbors, Transmitter& transmitter,
           PathCounters& counters)
      : connections_(connections),
        neighbors_(neighbors),
        transmitter_(transmitter),
        counters_(counters) {}

  /// Works on packets that have come in by `port`, at most kBurst. Calls `slow(packet)` for each
  /// one that it leaves alone; all others are sent or dropped.
  template <typename Slow>
  void process(PortContext& port, rte_mbuf** packets, unsigned count, const Snapshot& policy,
               Nanos now, Slow&& slow) {
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < count; ++i) bytes += packets[i]->pkt_len;
    port.counters->rx_packets.add(count);
    port.counters->rx_bytes.add(bytes);
    read(port, packets, count, policy);
    look_up(count);
    unsigned slow_count = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (forward(slots_[i], port, packets[i], policy, now)) continue;
      ++slow_count;
      slow(packets[i]);
    }
    counters_.fast_packets.add(count - slow_count);
  }

 private:
  enum class Shape : std::uint8_t { kOdd, kV4, kV6 };

  struct alignas(64) Slot {
    flows::Ip4Key key4;
    std::uint64_t hash;
    CommonPacket packet;
    Ip4 tunnel_source;
    flows::FlowRef ref;
    Shape shape;
  };

  void read(PortContext& port, rte_mbuf** packets, unsigned count, const Snapshot& policy);
  void read_one(const PortContext& port, rte_mbuf* packet, const Snapshot& policy, unsigned i);
  void look_up(unsigned count);

  // \return false if the packet is for the slow path, untouched.
  bool forward(Slot& slot, PortContext& port, rte_mbuf* packet, const Snapshot& policy, Nanos now);
  template <typename Key>
  bool forward_hit(const Slot& slot, const Key& key, flows::FlowRef ref, PortContext& port,
                   rte_mbuf* packet, const Snapshot& policy, Nanos now);

  Connections& connections_;
  const NeighborTable& neighbors_;
  Transmitter& transmitter_;
  PathCounters& counters_;
  std::uint32_t last_vni_ = 0;  // A tunnel's packets mostly come in a row.
  std::uint16_t last_vpc_ = kNoIndex;
  std::uint32_t last_generation_ = 0;
  Slot slots_[kBurst];
  flows::Ip6Key keys6_[kBurst];
};

}  // namespace gannet::dataplane
