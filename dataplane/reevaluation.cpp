// SPDX-License-Identifier: BSD-3-Clause
// Bringing the flows that packets hit up to the policy, and to the way in which the packets come.
#include "dataplane/connections.hpp"

namespace gannet::dataplane {
namespace {

using flows::Direction;
using flows::TimeoutClass;
using flows::ZoneKind;

// How packets of an attached flow come in, as far as the flow remembers it.
template <typename Key>
Ingress ingress_of(const flows::Flow<Key>& flow, const Snapshot& policy) {
  Ingress in;
  in.zone = flows::zone_of(flow.key);
  in.tunnel_source = flow.tunnel_source;
  in.destination_mac = flow.destination_mac;
  if (in.is_tunnel()) in.vpc = in.zone.index;
  if (const Eni* const eni = in.is_vm() ? policy.find_eni(in.zone.index) : nullptr) {
    in.vpc = eni->vpc;
    in.port = eni->port;
    in.source_mac = eni->mac;
  }
  return in;
}

// Whether the place where a flow's packets come in still exists.
DropReason judge_zone(const Ingress& in, const Snapshot& policy) {
  switch (in.zone.kind) {
    case ZoneKind::kEni: {
      const Eni* const eni = policy.find_eni(in.zone.index);
      return eni != nullptr && eni->is_local() ? DropReason::kNone : DropReason::port_has_no_eni;
    }
    case ZoneKind::kTunnel:
      if (in.vpc >= policy.vpcs.size() || !policy.vpcs[in.vpc].is_present) {
        return DropReason::vxlan_unknown_vni;
      }
      return policy.find_peer(in.vpc, in.tunnel_source) != nullptr ? DropReason::kNone
                                                                   : DropReason::vxlan_unknown_peer;
    case ZoneKind::kUplink: return DropReason::kNone;
    case ZoneKind::kNone: break;
  }
  return DropReason::not_for_us;
}

std::uint16_t subnet_of_sender(const Ingress& in, const IpAddress& source, const Snapshot& policy) {
  if (in.is_uplink()) return kNoIndex;
  const Endpoint* const sender = policy.find_endpoint(in.vpc, source);
  return sender == nullptr ? kNoIndex : sender->subnet;
}

}  // namespace

template <typename Key>
DropReason Connections::attach_direction(flows::Connection<Key>& connection, Direction direction,
                                         const Ingress& in, const Snapshot& policy) {
  auto& flow = connection.flow(direction);
  const auto& other = connection.flow(opposite(direction));
  const Way way =
      way_back(policy, flows::zone_of(other.key), tuple_of(other.key), other.tunnel_source);
  return attach(flow, in, way, subnet_of_sender(in, flow.key.tuple.source, policy), policy);
}

template <typename Key>
DropReason Connections::judge_again(std::uint32_t index, const Snapshot& policy, Ticks now,
                                    std::uint32_t& rule) {
  auto& connection = table<Key>()[index];
  const auto& forward = connection.flows[0];
  const Ingress in = ingress_of(forward, policy);
  const DropReason zone = judge_zone(in, policy);
  if (zone != DropReason::kNone) return zone;
  IpTuple leaving = tuple_of(forward.key);
  leaving.source = forward.action.tuple.source;
  leaving.destination = forward.action.tuple.destination;
  leaving.source_port = forward.action.tuple.source_port.host();
  leaving.destination_port = forward.action.tuple.destination_port.host();

  FirstPacket first(policy, in, tuple_of(forward.key));
  first.worker = config_.worker;
  first.now = now;
  first.is_rehearsal = true;
  first.skips_egress = (connection.shared.flags & flows::kEgressPersists) != 0;
  first.skips_ingress = (connection.shared.flags & flows::kIngressPersists) != 0;
  first.pinned = &leaving;
  const DropReason reason = judge_.decide(first);
  if (reason == DropReason::sg_egress_denied) rule = first.egress_rule;
  if (reason == DropReason::sg_ingress_denied) rule = first.ingress_rule;
  if (reason != DropReason::kNone) return reason;
  // A source port that gave way to another connection (L13) is not something that the policy chose.
  const bool has_moved_port = !first.mapping.is_held() && first.current.source == leaving.source &&
                              first.current.source_port == first.original.source_port;
  if (has_moved_port) first.current.source_port = leaving.source_port;
  const bool is_same =
      first.current == leaving && way_of(first).out == flows::zone_of(connection.flows[1].key);
  if (!is_same) return DropReason::policy_changed;
  connection.details.egress_rule = first.egress_rule;
  connection.details.ingress_rule = first.ingress_rule;
  return attach_direction(connection, Direction::kForward, in, policy);
}

// A connection that the policy still makes the same is stamped with the new generation; any other
// is ended.
template <typename Key>
DropReason Connections::reevaluate(std::uint32_t index, const Snapshot& policy, Ticks now,
                                   std::uint32_t& rule) {
  ++reevaluated_count_;
  const DropReason reason = judge_again<Key>(index, policy, now, rule);
  if (reason != DropReason::kNone) {
    const bool is_gone = close<Key>(index, now);
    // While it is still in the table its packet must not open another of the same key.
    return is_gone || reason != DropReason::policy_changed ? reason : DropReason::handover_full;
  }
  auto& connection = table<Key>()[index];
  auto& reverse = connection.flows[1];
  if (reverse.generation != 0) {
    const Ingress back = ingress_of(reverse, policy);
    const bool is_attached =
        judge_zone(back, policy) == DropReason::kNone &&
        attach_direction(connection, Direction::kReverse, back, policy) == DropReason::kNone;
    if (!is_attached) reverse.generation = 0;  // The next reply shows how it comes now.
  }
  if (desk_ != nullptr) desk_->conform(table<Key>(), index, policy);
  return reason;
}

template <typename Key>
Admission Connections::refresh(flows::FlowRef ref, const Ingress& in, const Snapshot& policy,
                               Ticks now, bool is_reply) {
  Admission admission;
  admission.flow = ref;
  auto& connection = table<Key>()[ref.connection()];
  unsigned looks = 0;
  if (connection.flows[0].generation != policy.generation &&
      !adopt<Key>(ref.connection(), policy, looks)) {
    admission.reason = reevaluate<Key>(ref.connection(), policy, now, admission.rule);
    if (admission.reason != DropReason::kNone) return admission;
  }
  auto& flow = connection.flow(ref.direction());
  const bool is_attached = flow.generation == policy.generation &&
                           flow.tunnel_source == in.tunnel_source &&
                           flow.destination_mac == in.destination_mac;
  if (!is_attached) {
    // The way in may have changed: another gateway MAC, a peer that has moved. The decision has
    // not. Of a packet that has waited for its next hop it may be there no more.
    const auto before = flow;
    admission.reason = judge_zone(in, policy);
    if (admission.reason == DropReason::kNone) {
      admission.reason = attach_direction(connection, ref.direction(), in, policy);
    }
    if (admission.reason != DropReason::kNone) {
      flow = before;
      return admission;
    }
    // Answers to a VPC that this host knows no mapping of go where its packets come from.
    if (ref.direction() == Direction::kForward && flow.tunnel_source != before.tunnel_source) {
      connection.flows[1].generation = 0;
    }
    // An ICMP error is no reply, and the first reply has to be seen: it must not find the way
    // ready.
    if (!is_reply && ref.direction() == Direction::kReverse &&
        (connection.shared.flags & flows::kSeenReply) == 0) {
      flow.generation = 0;
    }
    if (desk_ != nullptr) desk_->conform(table<Key>(), ref.connection(), policy);
  }
  auto& shared = connection.shared;
  const bool is_first_reply =
      is_reply && ref.direction() == Direction::kReverse && (shared.flags & flows::kSeenReply) == 0;
  if (is_first_reply) {
    shared.flags |= flows::kSeenReply;
    if (flow.key.protocol == packet::kProtoUdp) shared.timeout_class = TimeoutClass::kUdpStream;
    if (flow.key.protocol != packet::kProtoTcp) table<Key>().clear_embryonic(ref.connection());
  }
  return admission;
}

#define GANNET_INSTANTIATE(Key)                                                                 \
  template Admission Connections::refresh<Key>(flows::FlowRef, const Ingress&, const Snapshot&, \
                                               Ticks, bool);                                    \
  template DropReason Connections::reevaluate<Key>(std::uint32_t, const Snapshot&, Ticks,       \
                                                   std::uint32_t&)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
