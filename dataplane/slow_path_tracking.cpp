// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/gateway.hpp"
#include "dataplane/slow_path.hpp"

#include <algorithm>

namespace gannet::dataplane {
namespace {

template <typename Key>
Outcome forward_first(const Admission& admission) {
  Outcome outcome = Outcome::forward_by<Key>(admission.flow);
  outcome.is_first = true;
  return outcome;
}

bool may_be_fragmented(const Frame& frame, const packet::Parsed& parsed) {
  if (parsed.l3 != packet::L3::kIpv4) return false;
  const auto& ip = packet::header_at<packet::Ipv4Header>(frame.data + parsed.l3_offset);
  return (ip.flags_offset.host() & packet::kIpv4DontFragment) == 0;
}

}  // namespace

template <typename Key>
Outcome SlowPath::handle_hit(SlowPacket& packet, const IpTuple& tuple, flows::FlowRef ref,
                             const Snapshot& policy, Nanos now) {
  // Before anything is refreshed or taken for an answer (F38).
  if (!packet::has_good_l4_checksum(packet.frame.data, packet.parsed)) {
    return Outcome::drop(DropReason::bad_l4_checksum);
  }
  const bool is_tcp = tuple.protocol == packet::kProtoTcp;
  const flows::TcpSegment segment = is_tcp ? segment_of(packet) : flows::TcpSegment{};
  const Admission admission =
      connections_.refresh<Key>(ref, packet.in, policy, to_ticks(now), true);
  if (admission.reason == DropReason::policy_changed &&
      (!is_tcp || flows::opens_connection(segment.flags))) {
    return handle_miss<Key>(packet, tuple, flows::kNoConnection, policy, now);
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
    if (verdict == flows::TcpVerdict::kInvalidFlags)
      return Outcome::drop(DropReason::tcp_invalid_flags);
    if (verdict == flows::TcpVerdict::kOutOfWindow)
      return Outcome::drop(DropReason::tcp_out_of_window);
    refreshes = verdict == flows::TcpVerdict::kPass;
  }
  connections_.account<Key>(ref, packet.frame.size, to_ticks(now), refreshes);
  if (packet.trace != nullptr) packet.trace->add(Step::kFlowHit, tuple, ref.connection());
  return Outcome::forward_by<Key>(ref);
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
  const HandOver onward = on_by_nature(packet.came);
  if (onward != HandOver::kNone && replaces == flows::kNoConnection) {
    const std::uint16_t owner = connections_.natural_owner(policy, packet.in.zone, tuple);
    if (owner != connections_.config().worker) return Outcome::hand_over(owner, onward);
  }
  if (packet.trace != nullptr) packet.trace->add(Step::kFlowMiss, tuple);
  if (GatewayService::is_addressed(tuple, packet.in, policy)) {
    if (is_probe_answer(packet, tuple, policy)) return take_probe_answer(packet, tuple, now);
    const DropReason reason = GatewayService::answer(packet.frame, packet.parsed, tuple);
    const bool is_service = reason == DropReason::gateway_service && packet.in.is_uplink();
    return Outcome::answer_or_drop(is_service ? DropReason::underlay_service : reason);
  }
  const bool is_tcp = tuple.protocol == packet::kProtoTcp;
  flows::TcpSegment segment{};
  if (is_tcp) segment = segment_of(packet);
  const DropReason shape = may_open(packet, tuple, is_tcp ? &segment : nullptr, policy, now);
  if (shape != DropReason::kNone) return Outcome::drop(shape);

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
    return report(packet, limit.reason, limit.problem, limit.mtu, policy, now);
  }
  connections_.account<Key>(admission.flow, packet.frame.size, to_ticks(now), true);
  return forward_first<Key>(admission);
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

template <typename Key>
Admission SlowPath::judge_waiting(const JudgedFlow<Key>& flow, const Judgement& before,
                                  const flows::NextHop& hop, const Snapshot& policy, Nanos now) {
  auto& table = connections_.table<Key>();
  Admission admission;
  admission.reason = DropReason::policy_changed;
  const flows::FlowRef ref = table.find(flow.key);
  if (!(ref == before.flow) || table.flow(ref).kind != flows::FlowKind::kForward) return admission;
  admission = connections_.refresh<Key>(ref, before.in, policy, to_ticks(now), false);
  if (admission.reason != DropReason::kNone) return admission;
  // The way can be another, and the connection one that has come in place of the packet's.
  const auto& action = table.flow(ref).action;
  const flows::NextHop& next = policy.next_hops[action.next_hop];
  const bool is_same = action.tuple == flow.translated &&
                       std::equal(hop.bytes(), hop.bytes() + sizeof hop, next.bytes());
  if (!is_same) admission.reason = DropReason::policy_changed;
  return admission;
}

Admission SlowPath::judge_waiting(const Judgement& before, const flows::NextHop& hop,
                                  const Snapshot& policy, Nanos now) {
  if (before.flow.is_valid()) {
    return before.family == Family::kIpv4 ? judge_waiting(before.v4, before, hop, policy, now)
                                          : judge_waiting(before.v6, before, hop, policy, now);
  }
  // What the switch says itself it says again, if there is still a reason.
  Admission admission;
  admission.reason = DropReason::policy_changed;
  return admission;
}

template Outcome SlowPath::handle_hit<flows::Ip4Key>(SlowPacket&, const IpTuple&, flows::FlowRef,
                                                     const Snapshot&, Nanos);
template Outcome SlowPath::handle_hit<flows::Ip6Key>(SlowPacket&, const IpTuple&, flows::FlowRef,
                                                     const Snapshot&, Nanos);
template Outcome SlowPath::handle_miss<flows::Ip4Key>(SlowPacket&, const IpTuple&, std::uint32_t,
                                                      const Snapshot&, Nanos);
template Outcome SlowPath::handle_miss<flows::Ip6Key>(SlowPacket&, const IpTuple&, std::uint32_t,
                                                      const Snapshot&, Nanos);
template SlowPath::Limit SlowPath::limit_of<flows::Ip4Key>(const SlowPacket&, flows::FlowRef);
template SlowPath::Limit SlowPath::limit_of<flows::Ip6Key>(const SlowPacket&, flows::FlowRef);

}  // namespace gannet::dataplane
