// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/slow_path.hpp"

#include "dataplane/layers/anti_spoof.hpp"
#include "dataplane/layers/dhcp.hpp"
#include "dataplane/layers/neighbor.hpp"

namespace gannet::dataplane {
namespace {

using flows::FlowKind;
using flows::Ip4Key;
using flows::Ip6Key;
using flows::kNoConnection;

}  // namespace

Outcome SlowPath::handle(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  packet::Parsed& parsed = packet.parsed;
  const packet::ParseError error = packet::parse(packet.frame.data, packet.frame.size, parsed);
  if (error != packet::ParseError::kNone) return Outcome::drop(reason_of(error));
  if (parsed.vlan_tag_count != 0) {
    return Outcome::drop(packet.in.is_tunnel() ? DropReason::inner_vlan
                                               : DropReason::vlan_not_allowed);
  }
  if (packet.in.is_vm()) {
    const Eni* const eni = policy.find_eni(packet.in.zone.index);
    if (eni == nullptr) return Outcome::drop(DropReason::port_has_no_eni);
    if (packet.frame.ethernet().source != eni->mac) return Outcome::drop(DropReason::spoofed_mac);
  }
  switch (parsed.l3) {
    case packet::L3::kArp: return handle_arp(packet, policy, now);
    case packet::L3::kIpv4:
    case packet::L3::kIpv6: return handle_ip(packet, policy, now);
    case packet::L3::kOther: break;
  }
  return Outcome::drop(DropReason::unsupported_ethertype);
}

Outcome SlowPath::follow(SlowPacket& packet, const Outcome& first, const Snapshot& policy,
                         Nanos now) {
  const std::uint32_t bytes = packet.frame.size;
  const bool is_v4 = first.family == Family::kIpv4;
  const Limit limit =
      is_v4 ? limit_of<Ip4Key>(packet, first.flow) : limit_of<Ip6Key>(packet, first.flow);
  const bool passes = limit.reason == DropReason::kNone;
  Outcome outcome =
      passes ? first : report(packet, limit.reason, limit.problem, limit.mtu, policy, now);
  outcome.tuple = first.tuple;
  if (!passes) return outcome;
  if (is_v4) {
    connections_.account<Ip4Key>(outcome.flow, bytes, to_ticks(now), true);
  } else {
    connections_.account<Ip6Key>(outcome.flow, bytes, to_ticks(now), true);
  }
  return outcome;
}

Outcome SlowPath::handle_arp(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  if (packet.in.is_vm()) {
    return Outcome::answer_or_drop(
        NeighborAnswers::answer_arp(packet.frame, packet.parsed, packet.in, policy));
  }
  if (!packet.in.is_uplink()) return Outcome::drop(DropReason::arp_not_answered);
  const auto& arp =
      packet::header_at<packet::ArpHeader>(packet.frame.data + packet.parsed.l3_offset);
  if (!is_ipv4_arp(arp)) return Outcome::drop(DropReason::arp_not_answered);
  neighbors_.learn(arp.sender_ip, arp.sender_mac, to_ticks(now));
  const bool is_reply = arp.operation.host() == packet::kArpReply;
  // An answer to this host's own question has done its work.
  if (is_reply) return Outcome::drop(DropReason::consumed);
  return Outcome::answer_or_drop(
      NeighborAnswers::answer_underlay_arp(packet.frame, packet.parsed, policy));
}

Outcome SlowPath::handle_ip(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  const packet::Parsed& parsed = packet.parsed;
  Frame& frame = packet.frame;
  const bool is_v4 = parsed.l3 == packet::L3::kIpv4;
  if (is_v4 && !packet::has_good_ipv4_checksum(frame.data, parsed)) {
    return Outcome::drop(DropReason::bad_ip_header);
  }
  // Also of a packet that came in fragments (RFC 7610, 7113).
  const bool has_ports = !parsed.is_fragment || (packet.is_whole() && parsed.has_l4);
  if (packet.in.is_vm() && has_ports && Dhcp::is_server_message(parsed)) {
    return Outcome::drop(DropReason::dhcp_server);
  }
  if (packet.in.is_vm() && !parsed.is_fragment) {
    if (Dhcp::is_request(parsed)) {
      return Outcome::answer_or_drop(Dhcp::answer(frame, parsed, packet.in, policy));
    }
    if (!is_v4 && is_icmp(parsed) && is_nd(icmp_type(parsed))) {
      if (!packet::has_good_l4_checksum(frame.data, parsed)) {
        return Outcome::drop(DropReason::bad_l4_checksum);
      }
      return Outcome::answer_or_drop(NeighborAnswers::answer_nd(frame, parsed, packet.in, policy));
    }
  }
  const IpTuple addresses = address_tuple(frame, parsed);
  const std::uint16_t collector =
      parsed.is_fragment ? collector_of(policy, packet.in.zone, addresses) : kNoIndex;
  // Where the fragments of a packet have come together its owner is only found out.
  const bool is_collected = packet.is_whole() && collector == connections_.config().worker;
  if (is_collected && packet.came == HandOver::kByNature) packet.came = HandOver::kNone;
  Outcome outcome = handle_addressed(packet, addresses, collector, policy, now);
  outcome.tuple = addresses;
  return outcome;
}

// `collector` is where the fragments of the packet come together, if it is one.
Outcome SlowPath::handle_addressed(SlowPacket& packet, const IpTuple& addresses,
                                   std::uint16_t collector, const Snapshot& policy, Nanos now) {
  const DropReason martian = AntiSpoof::judge_addresses(addresses);
  if (martian != DropReason::kNone) return Outcome::drop(martian);
  if (packet.in.is_vm() && !policy.enis[packet.in.zone.index].has_ip(addresses.source)) {
    return Outcome::drop(DropReason::spoofed_ip);
  }
  if (packet.parsed.is_fragment && !packet.is_whole()) {
    const bool is_mine =
        packet.came != HandOver::kNone || collector == connections_.config().worker;
    return is_mine ? Outcome::collect() : Outcome::hand_over(collector, HandOver::kByNature);
  }
  return packet.parsed.l3 == packet::L3::kIpv4 ? handle_known_shape<Ip4Key>(packet, policy, now)
                                               : handle_known_shape<Ip6Key>(packet, policy, now);
}

// The worker where the fragments of a packet come together: only their addresses count, because
// only the first has ports.
std::uint16_t SlowPath::collector_of(const Snapshot& policy, flows::Zone zone,
                                     IpTuple addresses) const {
  addresses.source_port = addresses.destination_port = 0;
  return connections_.natural_owner(policy, zone, addresses);
}

template <typename Key>
Outcome SlowPath::handle_known_shape(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  const packet::Parsed& parsed = packet.parsed;
  if (is_icmp(parsed) && packet::is_icmp_error(parsed.protocol, icmp_type(parsed))) {
    return handle_icmp_error<Key>(packet, policy, now);
  }
  const Key key = flows::make_key<Key>(packet.in.zone, packet.frame.data, parsed);
  auto& table = connections_.table<Key>();
  flows::FlowRef ref = table.find(key);
  if (!ref.is_valid() && connections_.read_notices(to_ticks(now)) != 0) ref = table.find(key);
  if (!ref.is_valid()) {
    return handle_miss<Key>(packet, tuple_of(key), kNoConnection, policy, now);
  }
  const auto& flow = table.flow(ref);
  if (flow.kind == FlowKind::kRedirect) {
    return Outcome::hand_over(static_cast<std::uint16_t>(flow.action.next_hop),
                              on_by_redirect(packet.came));
  }
  return handle_hit<Key>(packet, tuple_of(key), ref, policy, now);
}

}  // namespace gannet::dataplane
