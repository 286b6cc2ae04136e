// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/slow_path.hpp"

#include "dataplane/bare_segment.hpp"
#include "dataplane/layers/anti_spoof.hpp"
#include "dataplane/layers/dhcp.hpp"
#include "dataplane/layers/gateway.hpp"
#include "dataplane/layers/neighbor.hpp"

namespace gannet::dataplane {
namespace {

using flows::FlowKind;
using flows::Ip4Key;
using flows::Ip6Key;
using flows::kNoConnection;

Outcome drop(DropReason reason, std::uint32_t rule = flows::kNoRule) {
  Outcome outcome;
  outcome.reason = reason;
  outcome.rule = rule;
  return outcome;
}

// An answer if the layer gave one, else a drop with the layer's reason.
Outcome answer_or_drop(DropReason reason) {
  Outcome outcome = drop(reason);
  if (reason == DropReason::kNone) outcome.disposition = Disposition::kReturn;
  return outcome;
}

Outcome hand_over(std::uint16_t worker) {
  Outcome outcome;
  outcome.disposition = Disposition::kHandOver;
  outcome.worker = worker;
  return outcome;
}

Outcome collect() {
  Outcome outcome;
  outcome.disposition = Disposition::kCollect;
  return outcome;
}

template <typename Key>
constexpr Family family_of = sizeof(Key) == sizeof(Ip4Key) ? Family::kIpv4 : Family::kIpv6;

template <typename Key>
Outcome forward_by(flows::FlowRef ref) {
  Outcome outcome;
  outcome.disposition = Disposition::kForward;
  outcome.family = family_of<Key>;
  outcome.flow = ref;
  return outcome;
}

template <typename Key>
Outcome forward_first(const Admission& admission) {
  Outcome outcome;
  outcome.disposition = Disposition::kForward;
  outcome.family = family_of<Key>;
  outcome.flow = admission.flow;
  outcome.is_first = true;
  outcome.redirect_worker = admission.redirect_worker;
  return outcome;
}

// Addresses of a packet of which nothing but the IP header may be there (fragments).
IpTuple address_tuple(const Frame& frame, const packet::Parsed& parsed) {
  if (parsed.l3 == packet::L3::kIpv4) {
    return tuple_of(flows::make_key<Ip4Key>({}, frame.data, parsed));
  }
  return tuple_of(flows::make_key<Ip6Key>({}, frame.data, parsed));
}

bool is_icmp(const packet::Parsed& parsed) {
  return (parsed.l3 == packet::L3::kIpv4 && parsed.protocol == packet::kProtoIcmp) ||
         (parsed.l3 == packet::L3::kIpv6 && parsed.protocol == packet::kProtoIcmp6);
}

std::uint8_t icmp_type(const packet::Parsed& parsed) {
  return static_cast<std::uint8_t>(parsed.destination_port >> 8);
}

bool may_be_fragmented(const Frame& frame, const packet::Parsed& parsed) {
  if (parsed.l3 != packet::L3::kIpv4) return false;
  const auto& ip = packet::header_at<packet::Ipv4Header>(frame.data + parsed.l3_offset);
  return (ip.flags_offset.host() & packet::kIpv4DontFragment) == 0;
}

// Of a packet in fragments, which are all here, the payload is that of all of them.
flows::TcpSegment segment_of(const SlowPacket& packet) {
  const packet::Parsed& parsed = packet.parsed;
  const std::uint32_t end = parsed.is_fragment ? parsed.fragment_start + packet.whole_bytes
                                               : std::uint32_t{parsed.end_offset};
  return flows::read_segment(packet.frame.data + parsed.l4_offset,
                             unsigned{parsed.payload_offset} - parsed.l4_offset,
                             end - parsed.payload_offset);
}

// Whether a packet to the switch is what a backend that is being probed would send.
bool is_probe_answer(const SlowPacket& packet, const IpTuple& tuple, const Snapshot& policy) {
  constexpr std::uint8_t kAnswers = packet::kTcpAck | packet::kTcpRst;
  if (packet.in.is_uplink() || tuple.protocol != packet::kProtoTcp || packet.parsed.is_fragment ||
      tuple.destination_port < kFirstProbePort) {
    return false;
  }
  const auto& tcp =
      packet::header_at<packet::TcpHeader>(packet.frame.data + packet.parsed.l4_offset);
  return (tcp.flags & kAnswers) != 0 && policy.is_probed(packet.in.vpc, tuple.source);
}

// Whether an ICMP error from the underlay quotes a packet that this host's tunnels could have sent.
bool is_about_tunnel(const SlowPacket& packet, const packet::Parsed& quoted,
                     const Snapshot& policy) {
  if (!packet.in.is_uplink() || quoted.l3 != packet::L3::kIpv4 ||
      quoted.protocol != packet::kProtoUdp ||
      quoted.destination_port != policy.underlay.vxlan_port) {
    return false;
  }
  const auto& ip = packet::header_at<packet::Ipv4Header>(packet.frame.data + quoted.l3_offset);
  return ip.source == policy.underlay.vtep;
}

// The address under which the switch reports about a packet: the gateway that the sender sees.
bool reporter(const Ingress& in, const IpTuple& tuple, const Snapshot& policy, IpAddress& out) {
  const Endpoint* endpoint = nullptr;
  if (in.is_vm()) endpoint = policy.find_endpoint(in.vpc, tuple.source);
  if (in.is_tunnel()) endpoint = policy.find_endpoint(in.vpc, tuple.destination);
  if (endpoint != nullptr && endpoint->subnet != kNoIndex) {
    for (const IpAddress& gateway : policy.subnets[endpoint->subnet].gateways) {
      if (gateway.family() != tuple.family()) continue;
      out = gateway;
      return true;
    }
  }
  if (tuple.family() == Family::kIpv6) {
    out = kGatewayLinkLocal;
    return !in.is_uplink();
  }
  out = policy.underlay.vtep;
  return in.is_uplink();
}

}  // namespace

Outcome SlowPath::handle(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  packet::Parsed& parsed = packet.parsed;
  const packet::ParseError error = packet::parse(packet.frame.data, packet.frame.size, parsed);
  if (error != packet::ParseError::kNone) return drop(reason_of(error));
  if (parsed.vlan_tag_count != 0) {
    return drop(packet.in.is_tunnel() ? DropReason::inner_vlan : DropReason::vlan_not_allowed);
  }
  if (packet.in.is_vm()) {
    const Eni* const eni = policy.find_eni(packet.in.zone.index);
    if (eni == nullptr) return drop(DropReason::port_has_no_eni);
    if (packet.frame.ethernet().source != eni->mac) return drop(DropReason::spoofed_mac);
  }
  switch (parsed.l3) {
    case packet::L3::kArp: return handle_arp(packet, policy, now);
    case packet::L3::kIpv4:
    case packet::L3::kIpv6: return handle_ip(packet, policy, now);
    case packet::L3::kOther: break;
  }
  return drop(DropReason::unsupported_ethertype);
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

void SlowPath::abandon(const Outcome& outcome, Ticks now) {
  const std::uint32_t index = outcome.flow.connection();
  if (outcome.family == Family::kIpv4) {
    connections_.forget_redirect<Ip4Key>(index);
    connections_.close<Ip4Key>(index, now);
  } else {
    connections_.forget_redirect<Ip6Key>(index);
    connections_.close<Ip6Key>(index, now);
  }
}

Outcome SlowPath::handle_arp(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  if (packet.in.is_vm()) {
    return answer_or_drop(
        NeighborAnswers::answer_arp(packet.frame, packet.parsed, packet.in, policy));
  }
  if (!packet.in.is_uplink()) return drop(DropReason::arp_not_answered);
  const auto& arp =
      packet::header_at<packet::ArpHeader>(packet.frame.data + packet.parsed.l3_offset);
  if (!is_ipv4_arp(arp)) return drop(DropReason::arp_not_answered);
  neighbors_.learn(arp.sender_ip, arp.sender_mac, to_ticks(now));
  const bool is_reply = arp.operation.host() == packet::kArpReply;
  // An answer to this host's own question has done its work.
  if (is_reply) return drop(DropReason::consumed);
  return answer_or_drop(NeighborAnswers::answer_underlay_arp(packet.frame, packet.parsed, policy));
}

Outcome SlowPath::handle_ip(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  const packet::Parsed& parsed = packet.parsed;
  Frame& frame = packet.frame;
  const bool is_v4 = parsed.l3 == packet::L3::kIpv4;
  if (is_v4 && !packet::has_good_ipv4_checksum(frame.data, parsed)) {
    return drop(DropReason::bad_ip_header);
  }
  // Also of a packet that came in fragments (RFC 7610, 7113).
  const bool has_ports = !parsed.is_fragment || (packet.is_whole() && parsed.has_l4);
  if (packet.in.is_vm() && has_ports && Dhcp::is_server_message(parsed)) {
    return drop(DropReason::dhcp_server);
  }
  if (packet.in.is_vm() && !parsed.is_fragment) {
    if (Dhcp::is_request(parsed)) {
      return answer_or_drop(Dhcp::answer(frame, parsed, packet.in, policy));
    }
    if (!is_v4 && is_icmp(parsed) && is_nd(icmp_type(parsed))) {
      if (!packet::has_good_l4_checksum(frame.data, parsed)) {
        return drop(DropReason::bad_l4_checksum);
      }
      return answer_or_drop(NeighborAnswers::answer_nd(frame, parsed, packet.in, policy));
    }
  }
  const IpTuple addresses = address_tuple(frame, parsed);
  const std::uint16_t collector =
      parsed.is_fragment ? collector_of(policy, packet.in.zone, addresses) : kNoIndex;
  // Where the fragments of a packet have come together its owner is only found out.
  if (packet.is_whole() && collector == connections_.config().worker) packet.is_handed_over = false;
  Outcome outcome = handle_addressed(packet, addresses, collector, policy, now);
  outcome.tuple = addresses;
  return outcome;
}

// `collector` is where the fragments of the packet come together, if it is one.
Outcome SlowPath::handle_addressed(SlowPacket& packet, const IpTuple& addresses,
                                   std::uint16_t collector, const Snapshot& policy, Nanos now) {
  const DropReason martian = AntiSpoof::judge_addresses(addresses);
  if (martian != DropReason::kNone) return drop(martian);
  if (packet.in.is_vm() && !policy.enis[packet.in.zone.index].has_ip(addresses.source)) {
    return drop(DropReason::spoofed_ip);
  }
  if (packet.parsed.is_fragment && !packet.is_whole()) {
    const bool is_mine = packet.is_handed_over || collector == connections_.config().worker;
    return is_mine ? collect() : hand_over(collector);
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
  const flows::FlowRef ref = table.find(key);
  if (!ref.is_valid()) {
    return handle_miss<Key>(packet, tuple_of(key), kNoConnection, policy, now);
  }
  const auto& flow = table.flow(ref);
  if (flow.kind == FlowKind::kRedirect) {
    return packet.is_handed_over ? drop(DropReason::loop)
                                 : hand_over(static_cast<std::uint16_t>(flow.action.next_hop));
  }
  return handle_hit<Key>(packet, tuple_of(key), ref, policy, now);
}

template <typename Key>
Outcome SlowPath::handle_hit(SlowPacket& packet, const IpTuple& tuple, flows::FlowRef ref,
                             const Snapshot& policy, Nanos now) {
  // Before anything is refreshed or taken for an answer (F38).
  if (!packet::has_good_l4_checksum(packet.frame.data, packet.parsed)) {
    return drop(DropReason::bad_l4_checksum);
  }
  const bool is_tcp = tuple.protocol == packet::kProtoTcp;
  const flows::TcpSegment segment = is_tcp ? segment_of(packet) : flows::TcpSegment{};
  const Admission admission =
      connections_.refresh<Key>(ref, packet.in, policy, to_ticks(now), true);
  if (admission.reason == DropReason::policy_changed &&
      (!is_tcp || flows::opens_connection(segment.flags))) {
    return handle_miss<Key>(packet, tuple, kNoConnection, policy, now);
  }
  if (admission.reason != DropReason::kNone) return refuse(packet, tuple, admission, policy, now);

  const Limit limit = limit_of<Key>(packet, ref);
  if (limit.reason != DropReason::kNone) {
    return report(packet, limit.reason, limit.problem, limit.mtu, policy, now);
  }
  bool refreshes = true;
  if (is_tcp) {
    const flows::TcpVerdict verdict = connections_.track<Key>(ref, segment, to_ticks(now));
    if (verdict == flows::TcpVerdict::kRestart) {
      return handle_miss<Key>(packet, tuple, ref.connection(), policy, now);
    }
    if (verdict == flows::TcpVerdict::kInvalidFlags) return drop(DropReason::tcp_invalid_flags);
    if (verdict == flows::TcpVerdict::kOutOfWindow) return drop(DropReason::tcp_out_of_window);
    refreshes = verdict == flows::TcpVerdict::kPass;
  }
  connections_.account<Key>(ref, packet.frame.size, to_ticks(now), refreshes);
  if (packet.trace != nullptr) packet.trace->add(Step::kFlowHit, tuple, ref.connection());
  return forward_by<Key>(ref);
}

// Whether a packet of no connection may open one, before any policy is asked.
DropReason SlowPath::may_open(const SlowPacket& packet, const IpTuple& tuple,
                              const flows::TcpSegment* segment, const Snapshot& policy,
                              Nanos now) const {
  if (!packet::has_good_l4_checksum(packet.frame.data, packet.parsed)) {
    return DropReason::bad_l4_checksum;
  }
  if (segment != nullptr && !flows::opens_connection(segment->flags)) {
    const TrackingConfig& config = connections_.config();
    const bool joins =
        flows::may_join_midstream(segment->flags) &&
        (config.picks_up_midstream || (policy.is_first_policy && now < config.picks_up_until));
    if (joins) return DropReason::kNone;
    constexpr std::uint8_t kAnswers = packet::kTcpAck | packet::kTcpRst;
    return (segment->flags & kAnswers) != 0 && (segment->flags & packet::kTcpSyn) == 0
               ? DropReason::no_connection
               : DropReason::tcp_invalid_flags;
  }
  if (tuple.is_icmp() && packet::icmp_answer_type(tuple.protocol, icmp_type(packet.parsed)) < 0) {
    return DropReason::no_connection;
  }
  return DropReason::kNone;
}

template <typename Key>
Outcome SlowPath::handle_miss(SlowPacket& packet, const IpTuple& tuple, std::uint32_t replaces,
                              const Snapshot& policy, Nanos now) {
  if (!packet.is_handed_over && replaces == kNoConnection) {
    const std::uint16_t owner = connections_.natural_owner(policy, packet.in.zone, tuple);
    if (owner != connections_.config().worker) return hand_over(owner);
  }
  if (packet.trace != nullptr) packet.trace->add(Step::kFlowMiss, tuple);
  if (GatewayService::is_addressed(tuple, packet.in, policy)) {
    if (is_probe_answer(packet, tuple, policy)) return take_probe_answer(packet, tuple, now);
    const DropReason reason = GatewayService::answer(packet.frame, packet.parsed, tuple);
    const bool is_service = reason == DropReason::gateway_service && packet.in.is_uplink();
    return answer_or_drop(is_service ? DropReason::underlay_service : reason);
  }
  const bool is_tcp = tuple.protocol == packet::kProtoTcp;
  flows::TcpSegment segment{};
  if (is_tcp) segment = segment_of(packet);
  const DropReason shape = may_open(packet, tuple, is_tcp ? &segment : nullptr, policy, now);
  if (shape != DropReason::kNone) return drop(shape);

  FirstPacket first(policy, packet.in, tuple);
  first.worker = connections_.config().worker;
  first.now = to_ticks(now);
  first.trace = packet.trace;
  const PacketFacts facts{is_tcp ? &segment : nullptr, packet.parsed.ttl, now};
  const Admission admission = connections_.open<Key>(first, facts, replaces);
  tell_log(first, now);
  if (admission.reason == DropReason::ttl_expired) {
    return report(packet, admission.reason, IcmpProblem::kTtlExpired, 0, policy, now);
  }
  if (admission.reason == DropReason::nat_out_of_ports) {
    return report(packet, admission.reason, IcmpProblem::kProhibited, 0, policy, now);
  }
  if (admission.reason != DropReason::kNone) return refuse(packet, tuple, admission, policy, now);

  const Limit limit = limit_of<Key>(packet, admission.flow);
  if (limit.reason != DropReason::kNone) {
    // Nobody has told the other worker about the replies, and later packets would not.
    if (admission.redirect_worker != kNoIndex) {
      abandon(forward_by<Key>(admission.flow), to_ticks(now));
    }
    return report(packet, limit.reason, limit.problem, limit.mtu, policy, now);
  }
  connections_.account<Key>(admission.flow, packet.frame.size, to_ticks(now), true);
  return forward_first<Key>(admission);
}

// An error about a packet that left by where the error comes in: the quoted packet's reply would
// take the flow that the error has to take.
template <typename Key>
Outcome SlowPath::handle_icmp_error(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  const packet::Parsed& parsed = packet.parsed;
  const std::uint8_t type = icmp_type(parsed);
  // An error is never so long that it has to come in fragments (RFC 1812, 4.3.2.3; RFC 4443, 2.4),
  // and without the rest its checksum cannot be made anew.
  if (parsed.is_fragment) return drop(DropReason::icmp_error_unrelated);
  if (!packet::has_good_l4_checksum(packet.frame.data, parsed)) {
    return drop(DropReason::bad_l4_checksum);
  }
  if (parsed.protocol == packet::kProtoIcmp && type == packet::kIcmpRedirect) {
    return drop(DropReason::icmp_redirect);
  }
  packet::Parsed quoted;
  if (packet::parse_quoted(packet.frame.data, parsed.end_offset, parsed.payload_offset, quoted) !=
          packet::ParseError::kNone ||
      quoted.l3 != parsed.l3) {
    return drop(DropReason::icmp_error_unrelated);
  }
  if (is_about_tunnel(packet, quoted, policy)) return take_path_mtu(packet, quoted, policy, now);
  const Key sent = flows::make_key<Key>(packet.in.zone, packet.frame.data, quoted);
  const Key reply = flows::reply_key(sent, packet.in.zone);
  auto& table = connections_.table<Key>();
  const flows::FlowRef ref = table.find(reply);
  if (!ref.is_valid()) {
    const std::uint16_t owner = connections_.natural_owner(policy, packet.in.zone, tuple_of(reply));
    const bool is_elsewhere = !packet.is_handed_over && owner != connections_.config().worker;
    return is_elsewhere ? hand_over(owner) : drop(DropReason::icmp_error_unrelated);
  }
  if (table.flow(ref).kind == FlowKind::kRedirect) {
    return packet.is_handed_over
               ? drop(DropReason::loop)
               : hand_over(static_cast<std::uint16_t>(table.flow(ref).action.next_hop));
  }
  const Admission admission =
      connections_.refresh<Key>(ref, packet.in, policy, to_ticks(now), false);
  if (admission.reason != DropReason::kNone) return drop(admission.reason, admission.rule);
  const auto& flow = table.flow(ref);
  const Limit limit = limit_of<Key>(packet, ref);
  if (limit.reason != DropReason::kNone) {
    return report(packet, limit.reason, limit.problem, limit.mtu, policy, now);
  }
  Key translated = reply;
  translated.tuple = flow.action.tuple;
  const IpAddress source = address_tuple(packet.frame, parsed).source;
  // A router outside keeps its address; whoever is inside shows the connection's (RFC 5508, REQ-5).
  const bool is_endpoint = source == IpAddress(reply.tuple.source) || packet.in.is_vm();
  translate_icmp_error(
      packet.frame, parsed, quoted,
      {tuple_of(sent), reply_tuple(tuple_of(translated)),
       is_endpoint ? IpAddress(translated.tuple.source) : source, translated.tuple.destination});
  Outcome forward = forward_by<Key>(ref);
  forward.is_translated = true;
  return forward;
}

// TTL and size, which no flow may overlook (G15, G16, G17). A packet that may be fragmented passes:
// the worker does it.
template <typename Key>
SlowPath::Limit SlowPath::limit_of(const SlowPacket& packet, flows::FlowRef ref) {
  const packet::Parsed& parsed = packet.parsed;
  const auto& action = connections_.table<Key>().flow(ref).action;
  if ((action.flags & flows::kDecrementTtl) != 0 && parsed.ttl <= 1) {
    return {DropReason::ttl_expired, IcmpProblem::kTtlExpired, 0};
  }
  const unsigned ip_bytes = unsigned{parsed.end_offset} - parsed.l3_offset;
  if (ip_bytes > action.max_ip_bytes && !may_be_fragmented(packet.frame, parsed)) {
    return {DropReason::too_big, IcmpProblem::kTooBig, action.max_ip_bytes};
  }
  return {};
}

// What a backend says to a probe is the control thread's to read; here the packet has come to its
// end.
Outcome SlowPath::take_probe_answer(const SlowPacket& packet, const IpTuple& tuple, Nanos now) {
  if (!packet::has_good_l4_checksum(packet.frame.data, packet.parsed)) {
    return drop(DropReason::bad_l4_checksum);
  }
  const flows::TcpSegment segment = segment_of(packet);
  News answer;
  answer.kind = NewsKind::kProbeAnswer;
  answer.flags = segment.flags;
  answer.vpc = packet.in.vpc;
  answer.tuple = tuple;
  answer.sequence = segment.sequence;
  answer.acknowledgment = segment.acknowledgment;
  answer.payload_bytes = segment.payload_bytes;
  if (connections_.may_answer_probe(packet.in.zone, now)) news_.put(news_.context, answer);
  return drop(DropReason::consumed);
}

// Only "too big" is of use, and only if the quoted packet is one of a tunnel that there is, VNI
// included: whoever forges one must have seen such a packet, or guess.
Outcome SlowPath::take_path_mtu(const SlowPacket& packet, const packet::Parsed& quoted,
                                const Snapshot& policy, Nanos now) {
  const std::uint8_t* const bytes = packet.frame.data;
  const auto& icmp = packet::header_at<packet::IcmpHeader>(bytes + packet.parsed.l4_offset);
  const std::size_t vxlan_offset = quoted.l4_offset + sizeof(packet::UdpHeader);
  const bool is_too_big =
      icmp.type == packet::kIcmpUnreachable && icmp.code == packet::kIcmpCodeFragmentationNeeded;
  if (!is_too_big || vxlan_offset + sizeof(packet::VxlanHeader) > packet.parsed.end_offset) {
    return drop(DropReason::icmp_error_unrelated);
  }
  const auto& ip = packet::header_at<packet::Ipv4Header>(bytes + quoted.l3_offset);
  const auto& vxlan = packet::header_at<packet::VxlanHeader>(bytes + vxlan_offset);
  const std::uint16_t vpc = policy.find_vpc(Vni{vxlan.vni_reserved.host() >> 8});
  if (vpc == kNoIndex || policy.find_peer(vpc, ip.destination) == nullptr) {
    return drop(DropReason::icmp_error_unrelated);
  }
  News news;
  news.kind = NewsKind::kPathMtu;
  news.vpc = vpc;
  news.tuple.source = ip.source;
  news.tuple.destination = ip.destination;
  news.mtu = icmp.sequence.host();
  news.when = now;
  if (connections_.may_answer_probe(packet.in.zone, now)) news_.put(news_.context, news);
  return drop(DropReason::consumed);
}

// What rules with `log` have decided of a first packet (F51).
void SlowPath::tell_log(const FirstPacket& first, Nanos now) {
  for (unsigned i = 0; i < first.logged_count; ++i) {
    if (!connections_.may_log(first.in.zone, now)) {
      news_.lose(news_.context);
      continue;
    }
    News match;
    match.kind = NewsKind::kRuleMatch;
    match.rule = first.logged_rules[i];
    match.is_allowed = first.policy.rules[match.rule].allows;
    match.generation = first.policy.generation;
    match.vpc = first.in.vpc;
    match.tuple = first.original;
    match.when = now;
    news_.put(news_.context, match);
  }
}

// A packet that the policy does not let through. If a rule says so its sender learns of it (F50).
Outcome SlowPath::refuse(SlowPacket& packet, const IpTuple& tuple, const Admission& admission,
                         const Snapshot& policy, Nanos now) {
  const bool rejects = admission.rule != flows::kNoRule && policy.rules[admission.rule].rejects;
  Outcome outcome = drop(admission.reason);
  if (rejects && tuple.protocol == packet::kProtoTcp) {
    outcome = reset(packet, tuple, admission.reason, now);
  } else if (rejects) {
    outcome = report(packet, admission.reason, IcmpProblem::kProhibited, 0, policy, now);
  }
  outcome.rule = admission.rule;
  return outcome;
}

// Drops a TCP segment and, unless it is itself a reset, answers with one.
Outcome SlowPath::reset(SlowPacket& packet, const IpTuple& tuple, DropReason reason, Nanos now) {
  Outcome outcome = drop(reason);
  if (packet.parsed.is_fragment || !may_report(packet.frame, packet.parsed)) return outcome;
  const flows::TcpSegment segment = segment_of(packet);
  if ((segment.flags & packet::kTcpRst) != 0) return outcome;
  if (!connections_.may_send_icmp_error(packet.in.zone, now)) return outcome;
  if (make_reset(packet.frame, packet.parsed, tuple, segment)) {
    outcome.disposition = Disposition::kReturn;
  }
  return outcome;
}

// Drops a packet and, where that is allowed, tells its sender why.
Outcome SlowPath::report(SlowPacket& packet, DropReason reason, IcmpProblem problem,
                         std::uint16_t mtu, const Snapshot& policy, Nanos now) {
  Outcome outcome = drop(reason);
  IpAddress source;
  const IpTuple addresses = address_tuple(packet.frame, packet.parsed);
  if (!may_report(packet.frame, packet.parsed)) return outcome;
  if (!reporter(packet.in, addresses, policy, source)) return outcome;
  if (!connections_.may_send_icmp_error(packet.in.zone, now)) return outcome;
  if (make_icmp_error(packet.frame, packet.parsed, problem, source, mtu)) {
    outcome.disposition = Disposition::kReturn;
  }
  return outcome;
}

}  // namespace gannet::dataplane
