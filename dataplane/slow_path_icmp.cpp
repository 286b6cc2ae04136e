// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/slow_path.hpp"

namespace gannet::dataplane {

// An error about a packet that left by where the error comes in: the quoted packet's reply would
// take the flow that the error has to take.
template <typename Key>
Outcome SlowPath::handle_icmp_error(SlowPacket& packet, const Snapshot& policy, Nanos now) {
  const packet::Parsed& parsed = packet.parsed;
  const std::uint8_t type = icmp_type(parsed);
  // An error is never so long that it has to come in fragments (RFC 1812, 4.3.2.3; RFC 4443, 2.4),
  // and without the rest its checksum cannot be made anew.
  if (parsed.is_fragment) return Outcome::drop(DropReason::icmp_error_unrelated);
  if (!packet::has_good_l4_checksum(packet.frame.data, parsed)) {
    return Outcome::drop(DropReason::bad_l4_checksum);
  }
  if (parsed.protocol == packet::kProtoIcmp && type == packet::kIcmpRedirect) {
    return Outcome::drop(DropReason::icmp_redirect);
  }
  packet::Parsed quoted;
  if (packet::parse_quoted(packet.frame.data, parsed.end_offset, parsed.payload_offset, quoted) !=
          packet::ParseError::kNone ||
      quoted.l3 != parsed.l3) {
    return Outcome::drop(DropReason::icmp_error_unrelated);
  }
  if (is_about_tunnel(packet, quoted, policy)) return take_path_mtu(packet, quoted, policy, now);
  const Key sent = flows::make_key<Key>(packet.in.zone, packet.frame.data, quoted);
  const Key reply = flows::reply_key(sent, packet.in.zone);
  auto& table = connections_.table<Key>();
  flows::FlowRef ref = table.find(reply);
  if (!ref.is_valid() && connections_.read_notices(to_ticks(now)) != 0) ref = table.find(reply);
  if (!ref.is_valid()) {
    const std::uint16_t owner = connections_.natural_owner(policy, packet.in.zone, tuple_of(reply));
    const bool is_elsewhere =
        packet.came == HandOver::kNone && owner != connections_.config().worker;
    return is_elsewhere ? Outcome::hand_over(owner, HandOver::kByNature)
                        : Outcome::drop(DropReason::icmp_error_unrelated);
  }
  if (table.flow(ref).kind == flows::FlowKind::kRedirect) {
    return Outcome::hand_over(static_cast<std::uint16_t>(table.flow(ref).action.next_hop),
                              on_by_redirect(packet.came));
  }
  const Admission admission =
      connections_.refresh<Key>(ref, packet.in, policy, to_ticks(now), false);
  if (admission.reason != DropReason::kNone) return Outcome::drop(admission.reason, admission.rule);
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
  Outcome forward = Outcome::forward_by<Key>(ref);
  forward.is_translated = true;
  return forward;
}

template Outcome SlowPath::handle_icmp_error<flows::Ip4Key>(SlowPacket&, const Snapshot&, Nanos);
template Outcome SlowPath::handle_icmp_error<flows::Ip6Key>(SlowPacket&, const Snapshot&, Nanos);

}  // namespace gannet::dataplane
