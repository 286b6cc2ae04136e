// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/slow_path.hpp"

namespace gannet::dataplane {

// Whether a packet to the switch is what a backend that is being probed would send.
bool SlowPath::is_probe_answer(const SlowPacket& packet, const IpTuple& tuple,
                               const Snapshot& policy) {
  constexpr std::uint8_t kAnswers = packet::kTcpAck | packet::kTcpRst;
  if (packet.in.is_uplink() || tuple.protocol != packet::kProtoTcp || packet.parsed.is_fragment ||
      tuple.destination_port < kFirstProbePort) {
    return false;
  }
  const auto& tcp =
      packet::header_at<packet::TcpHeader>(packet.frame.data + packet.parsed.l4_offset);
  return (tcp.flags & kAnswers) != 0 && policy.is_probed(packet.in.vpc, tuple.source);
}

// What a backend says to a probe is the control thread's to read; here the packet has come to its
// end.
Outcome SlowPath::take_probe_answer(const SlowPacket& packet, const IpTuple& tuple, Nanos now) {
  if (!packet::has_good_l4_checksum(packet.frame.data, packet.parsed)) {
    return Outcome::drop(DropReason::bad_l4_checksum);
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
  return Outcome::drop(DropReason::consumed);
}

// Whether an ICMP error from the underlay quotes a packet that this host's tunnels could have sent.
bool SlowPath::is_about_tunnel(const SlowPacket& packet, const packet::Parsed& quoted,
                               const Snapshot& policy) {
  if (!packet.in.is_uplink() || quoted.l3 != packet::L3::kIpv4 ||
      quoted.protocol != packet::kProtoUdp ||
      quoted.destination_port != policy.underlay.vxlan_port) {
    return false;
  }
  const auto& ip = packet::header_at<packet::Ipv4Header>(packet.frame.data + quoted.l3_offset);
  return ip.source == policy.underlay.vtep;
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
    return Outcome::drop(DropReason::icmp_error_unrelated);
  }
  const auto& ip = packet::header_at<packet::Ipv4Header>(bytes + quoted.l3_offset);
  const auto& vxlan = packet::header_at<packet::VxlanHeader>(bytes + vxlan_offset);
  const std::uint16_t vpc = policy.find_vpc(Vni{vxlan.vni_reserved.host() >> 8});
  if (vpc == kNoIndex || policy.find_peer(vpc, ip.destination) == nullptr) {
    return Outcome::drop(DropReason::icmp_error_unrelated);
  }
  News news;
  news.kind = NewsKind::kPathMtu;
  news.vpc = vpc;
  news.tuple.source = ip.source;
  news.tuple.destination = ip.destination;
  news.mtu = icmp.sequence.host();
  news.when = now;
  if (connections_.may_answer_probe(packet.in.zone, now)) news_.put(news_.context, news);
  return Outcome::drop(DropReason::consumed);
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

}  // namespace gannet::dataplane
