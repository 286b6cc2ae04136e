// SPDX-License-Identifier: BSD-3-Clause
// From a decision to a pair of flows: the one place where actions are made. The forward flow
// follows from the finished FirstPacket; the reverse flow is its inverse. What depends on how the
// sender addresses its frames (which MAC it sends to, through which tunnel) is settled for each
// direction when its first packet comes: attach() does it, for the forward flow at once, for the
// reverse flow with the first reply. Called by the slow path of the owning worker.
#pragma once

#include "dataplane/drops.hpp"
#include "dataplane/first_packet.hpp"
#include "dataplane/snapshot.hpp"
#include "flows/connection.hpp"

namespace gannet::dataplane {

/// Where one direction of a connection leads.
struct Way {
  flows::Zone out;  // The zone in which its replies arrive.
  std::uint32_t hop = kNoHop;
  std::uint16_t max_ip_bytes = 0;   // That it carries.
  bool is_tunnel = false;           // The hop encapsulates.
  bool is_local = false;            // To a port of this host's VMs.
  const Mac* mac = nullptr;         // Of the receiving host, if it is an address of a VPC.
  std::uint16_t subnet = kNoIndex;  // Of the receiving host.
};

/// The way of a decided first packet. `hop` is kNoHop if the underlay has no route.
[[nodiscard]] Way way_of(const FirstPacket& first);

/// The way back to the sender of a connection's first packet.
/// \param original the tuple as the first packet had it; \param tunnel_source of zone kTunnel.
[[nodiscard]] Way way_back(const Snapshot& policy, flows::Zone zone, const IpTuple& original,
                           Ip4 tunnel_source);

/// The key that the answer to a decided first packet will have.
template <typename Key>
[[nodiscard]] Key reply_key_of(const FirstPacket& first, const Way& way);

/// Fills in the keys, tuples and checksum changes of both flows. The actions still have to be
/// attached.
template <typename Key>
void compose(const FirstPacket& first, const Way& forward_way, flows::Connection<Key>& connection);

/// Settles what a flow does for packets that come in as `in` does: guards, next hop, which headers
/// change. Stamps it with the policy's generation.
/// \param from_subnet of the sending host, kNoIndex if it is outside.
template <typename Key>
[[nodiscard]] DropReason attach(flows::Flow<Key>& flow, const Ingress& in, const Way& way,
                                std::uint16_t from_subnet, const Snapshot& policy);

/// The largest IP packet of a VPC: what its tunnels carry, wherever the VMs are. DHCP announces it.
[[nodiscard]] inline std::uint16_t vpc_mtu(const Underlay& underlay) {
  return static_cast<std::uint16_t>(underlay.mtu - packet::kVxlanOverIpv4Bytes);
}

/// The UDP source port of a tunnel for packets that carry `tuple`: the same on every host and for
/// ever, in 49152-65535 (RFC 7348, 5).
[[nodiscard]] std::uint16_t tunnel_source_port(const IpTuple& tuple);

extern template void compose(const FirstPacket&, const Way&, flows::Ip4Connection&);
extern template void compose(const FirstPacket&, const Way&, flows::Ip6Connection&);
extern template DropReason attach(flows::Flow<flows::Ip4Key>&, const Ingress&, const Way&,
                                  std::uint16_t, const Snapshot&);
extern template DropReason attach(flows::Flow<flows::Ip6Key>&, const Ingress&, const Way&,
                                  std::uint16_t, const Snapshot&);

}  // namespace gannet::dataplane
