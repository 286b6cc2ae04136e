// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/compose.hpp"

namespace gannet::dataplane {
namespace {

using flows::ZoneKind;

std::uint32_t internet_hop(const Underlay& underlay, const IpAddress& destination) {
  if (underlay.on_link_hops != kNoHop && underlay.on_link.contains(destination)) {
    return underlay.on_link_hops + destination.v4().host() - underlay.on_link.address.v4().host();
  }
  return underlay.gateway_hop.of(destination.family());
}

Way way_to(const Snapshot& policy, std::uint16_t vpc, const Endpoint& to, Family family) {
  Way way;
  way.mac = &to.mac;
  way.subnet = to.subnet;
  if (to.kind == EndpointKind::kLocal) {
    way.out = {ZoneKind::kEni, to.eni};
    way.hop = policy.enis[to.eni].hop.of(family);
    way.max_ip_bytes = vpc_mtu(policy.underlay);
    way.is_local = true;
  } else {
    way.out = {ZoneKind::kTunnel, vpc};
    way.hop = to.hop.of(family);
    way.max_ip_bytes = to.max_ip_bytes;
    way.is_tunnel = true;
  }
  return way;
}

Way way_to_internet(const Snapshot& policy, const IpAddress& destination) {
  Way way;
  way.out = {ZoneKind::kUplink, 0};
  way.max_ip_bytes = policy.underlay.mtu;
  way.hop = internet_hop(policy.underlay, destination);
  return way;
}

// Whether the switch is a router for packets that come in so and go this way (R26). A packet from a
// tunnel has been routed already by the host that sent it, unless it is addressed to the gateway.
bool is_routed(const Ingress& in, const Way& way, std::uint16_t from_subnet) {
  if (in.is_uplink()) return true;
  if (in.is_tunnel()) return in.destination_mac == kGatewayMac;
  return way.subnet == kNoIndex || way.subnet != from_subnet;
}

}  // namespace

std::uint16_t tunnel_source_port(const IpTuple& t) {
  const std::uint64_t h =
      affinity_hash(t.source, t.destination, t.source_port, t.destination_port, t.protocol, false);
  return static_cast<std::uint16_t>(0xc000 | (h >> 50));
}

Way way_of(const FirstPacket& first) {
  if (first.target == Target::kEndpoint) {
    return way_to(first.policy, first.vpc, *first.to, first.current.family());
  }
  return way_to_internet(first.policy, first.current.destination);
}

Way way_back(const Snapshot& policy, flows::Zone zone, const IpTuple& original, Ip4 tunnel_source) {
  if (zone.kind == ZoneKind::kUplink) return way_to_internet(policy, original.source);
  const bool is_eni = zone.kind == ZoneKind::kEni;
  const std::uint16_t vpc = is_eni ? policy.enis[zone.index].vpc : zone.index;
  const Endpoint* const sender = policy.find_endpoint(vpc, original.source);
  const bool is_placed = sender != nullptr && (sender->kind == EndpointKind::kLocal ||
                                               sender->kind == EndpointKind::kRemote);
  if (is_placed) return way_to(policy, vpc, *sender, original.family());
  Way way;
  way.out = zone;
  way.is_tunnel = true;
  const TunnelPeer* const peer = policy.find_peer(vpc, tunnel_source);
  if (peer != nullptr) {
    way.hop = peer->return_hop.of(original.family());
    way.max_ip_bytes = peer->max_ip_bytes;
  }
  return way;
}

template <typename Key>
Key reply_key_of(const FirstPacket& first, const Way& way) {
  return flows::reply_key(key_of<Key>(first.current, way.out), way.out);
}

template <typename Key>
void compose(const FirstPacket& first, const Way& way, flows::Connection<Key>& connection) {
  auto& forward = connection.flows[0];
  auto& reverse = connection.flows[1];
  forward.kind = reverse.kind = flows::FlowKind::kForward;
  forward.key = key_of<Key>(first.original, first.in.zone);
  const Key leaving = key_of<Key>(first.current, way.out);
  reverse.key = flows::reply_key(leaving, way.out);
  forward.action.tuple = leaving.tuple;
  reverse.action.tuple = flows::reply_key(forward.key, first.in.zone).tuple;
  forward.action.outer_source_port = Be16(tunnel_source_port(first.current));
  reverse.action.outer_source_port = Be16(tunnel_source_port(reply_tuple(first.original)));
  // Generation 0 is no policy's: the first packet of the direction has to attach the flow.
  forward.generation = reverse.generation = 0;
}

template <typename Key>
DropReason attach(flows::Flow<Key>& flow, const Ingress& in, const Way& way,
                  std::uint16_t from_subnet, const Snapshot& policy) {
  if (way.hop == kNoHop) return DropReason::no_route;
  const bool keeps_macs = way.mac != nullptr && !in.is_uplink() && in.destination_mac == *way.mac;
  const bool is_to_gateway = in.is_uplink() || in.destination_mac == kGatewayMac;
  if (!keeps_macs && !is_to_gateway) return DropReason::wrong_destination_mac;

  unsigned flags = 0;
  if (in.is_tunnel()) flags |= flows::kDecapsulate;
  if (way.is_tunnel) flags |= flows::kEncapsulate;
  if (!keeps_macs) flags |= flows::kRewriteMacs;
  if (is_routed(in, way, from_subnet)) flags |= flows::kDecrementTtl;
  if (!(flow.action.tuple == flow.key.tuple)) flags |= flows::kRewriteTuple;
  flow.action.flags = static_cast<std::uint16_t>(flags);
  flow.action.next_hop = way.hop;
  flow.action.max_ip_bytes = way.max_ip_bytes;
  flows::compute_deltas(flow.action, flow.key.protocol, flow.key.tuple);
  flow.tunnel_source = in.tunnel_source;
  flow.destination_mac = in.destination_mac;
  flow.generation = policy.generation;
  return DropReason::kNone;
}

template flows::Ip4Key reply_key_of(const FirstPacket&, const Way&);
template flows::Ip6Key reply_key_of(const FirstPacket&, const Way&);
template void compose(const FirstPacket&, const Way&, flows::Ip4Connection&);
template void compose(const FirstPacket&, const Way&, flows::Ip6Connection&);
template DropReason attach(flows::Flow<flows::Ip4Key>&, const Ingress&, const Way&, std::uint16_t,
                           const Snapshot&);
template DropReason attach(flows::Flow<flows::Ip6Key>&, const Ingress&, const Way&, std::uint16_t,
                           const Snapshot&);

}  // namespace gannet::dataplane
