// SPDX-License-Identifier: BSD-3-Clause
// What one worker does with a packet that the flow table cannot simply forward: first packets, the
// first reply, questions to the switch itself, ICMP errors, TTL and size limits, connections of
// older policies, odd shapes. It says what is to become of the packet; the worker does it. Owned by
// one worker. Free of DPDK.
//
//   slow_path           sorts packets by shape
//   slow_path_tracking  first packets and those of connections
//   slow_path_icmp      ICMP errors
//   slow_path_answers   what senders are told of drops
//   slow_path_news      what the control thread is told
#pragma once

#include "dataplane/arp_queue.hpp"
#include "dataplane/connections.hpp"
#include "dataplane/icmp_error.hpp"
#include "dataplane/neighbors.hpp"
#include "dataplane/news.hpp"
#include "dataplane/outcome.hpp"
#include "dataplane/slow_packet.hpp"
#include "dataplane/snapshot.hpp"

#include <cstdint>

namespace gannet::dataplane {

class SlowPath final {
 public:
  SlowPath(Connections& connections, NeighborTable& neighbors, NewsBox news)
      : connections_(connections), neighbors_(neighbors), news_(news) {}

  [[nodiscard]] Outcome handle(SlowPacket& packet, const Snapshot& policy, Nanos now);

  /// The flow of an outcome, and the key that replies to it will have.
  template <typename Key>
  [[nodiscard]] const flows::Flow<Key>& flow(flows::FlowRef ref) {
    return connections_.table<Key>().flow(ref);
  }
  template <typename Key>
  [[nodiscard]] const Key& reply_key(flows::FlowRef ref) {
    return connections_.table<Key>()[ref.connection()].flow(opposite(ref.direction())).key;
  }
  /// Whether packets of the flow leave with an address that stands for many hosts (NAT gateways).
  template <typename Key>
  [[nodiscard]] bool hides_many(flows::FlowRef ref) {
    const auto& shared = connections_.table<Key>()[ref.connection()].shared;
    return ref.direction() == flows::Direction::kForward &&
           (shared.flags & flows::kHasNatMapping) != 0;
  }
  /// A later fragment of a packet whose first one is forwarded: by the same flow, if its own TTL
  /// and size allow it. `packet` is parsed.
  [[nodiscard]] Outcome follow(SlowPacket& packet, const Outcome& first, const Snapshot& policy,
                               Nanos now);
  /// Judges a packet anew that was finished under an older policy and has waited since, as the next
  /// packet of its connection would be. \param hop that it was finished for. \return of reason
  /// kNone if it is still what the policy makes of it.
  [[nodiscard]] Admission judge_waiting(const Judgement& before, const flows::NextHop& hop,
                                        const Snapshot& policy, Nanos now);

 private:
  [[nodiscard]] Outcome handle_arp(SlowPacket& packet, const Snapshot& policy, Nanos now);
  [[nodiscard]] Outcome handle_ip(SlowPacket& packet, const Snapshot& policy, Nanos now);
  [[nodiscard]] Outcome handle_addressed(SlowPacket& packet, const IpTuple& addresses,
                                         std::uint16_t collector, const Snapshot& policy,
                                         Nanos now);
  [[nodiscard]] std::uint16_t collector_of(const Snapshot& policy, flows::Zone zone,
                                           IpTuple addresses) const;
  template <typename Key>
  [[nodiscard]] Outcome handle_known_shape(SlowPacket& packet, const Snapshot& policy, Nanos now);
  template <typename Key>
  [[nodiscard]] Outcome handle_hit(SlowPacket& packet, const IpTuple& tuple, flows::FlowRef ref,
                                   const Snapshot& policy, Nanos now);
  template <typename Key>
  [[nodiscard]] Outcome handle_miss(SlowPacket& packet, const IpTuple& tuple,
                                    std::uint32_t replaces, const Snapshot& policy, Nanos now);
  template <typename Key>
  [[nodiscard]] Outcome handle_icmp_error(SlowPacket& packet, const Snapshot& policy, Nanos now);
  template <typename Key>
  [[nodiscard]] Admission judge_waiting(const JudgedFlow<Key>& flow, const Judgement& before,
                                        const flows::NextHop& hop, const Snapshot& policy,
                                        Nanos now);
  [[nodiscard]] DropReason may_open(const SlowPacket& packet, const IpTuple& tuple,
                                    const flows::TcpSegment* segment, const Snapshot& policy,
                                    Nanos now) const;
  // What a flow refuses of its packets; of reason kNone if nothing.
  struct Limit {
    DropReason reason = DropReason::kNone;
    IcmpProblem problem{};
    std::uint16_t mtu = 0;
  };
  template <typename Key>
  [[nodiscard]] Limit limit_of(const SlowPacket& packet, flows::FlowRef ref);
  [[nodiscard]] Outcome report(SlowPacket& packet, DropReason reason, IcmpProblem problem,
                               std::uint16_t mtu, const Snapshot& policy, Nanos now);
  [[nodiscard]] Outcome refuse(SlowPacket& packet, const IpTuple& tuple, const Admission& admission,
                               const Snapshot& policy, Nanos now);
  [[nodiscard]] Outcome reset(SlowPacket& packet, const IpTuple& tuple, DropReason reason,
                              Nanos now);
  [[nodiscard]] static bool is_about_tunnel(const SlowPacket& packet, const packet::Parsed& quoted,
                                            const Snapshot& policy);
  [[nodiscard]] Outcome take_path_mtu(const SlowPacket& packet, const packet::Parsed& quoted,
                                      const Snapshot& policy, Nanos now);
  void tell_log(const FirstPacket& first, Nanos now);
  [[nodiscard]] static bool is_probe_answer(const SlowPacket& packet, const IpTuple& tuple,
                                            const Snapshot& policy);
  [[nodiscard]] Outcome take_probe_answer(const SlowPacket& packet, const IpTuple& tuple,
                                          Nanos now);

  Connections& connections_;
  NeighborTable& neighbors_;
  NewsBox news_;
};

}  // namespace gannet::dataplane
