// SPDX-License-Identifier: BSD-3-Clause
// Opening connections.
#include "dataplane/connections.hpp"

namespace gannet::dataplane {
namespace {

using flows::Direction;
using flows::kNoConnection;
using flows::TimeoutClass;

constexpr unsigned kPortTries = 64;

TimeoutClass first_timeout(const IpTuple& tuple, flows::TcpState state) {
  switch (tuple.protocol) {
    case packet::kProtoTcp:
      return state == flows::TcpState::kEstablished ? TimeoutClass::kTcpEstablished
                                                    : TimeoutClass::kTcpTransitory;
    case packet::kProtoUdp: return TimeoutClass::kUdp;
    case packet::kProtoIcmp:
    case packet::kProtoIcmp6: return TimeoutClass::kIcmp;
    default: return TimeoutClass::kOther;
  }
}

}  // namespace

template <typename Key>
std::uint32_t Connections::allocate(Ticks now) {
  const std::uint32_t index = table<Key>().allocate();
  if (index != kNoConnection) return index;
  const std::uint32_t oldest = table<Key>().oldest_embryonic();
  if (oldest == kNoConnection || !close<Key>(oldest, now)) return kNoConnection;
  ++evicted_count_;
  return table<Key>().allocate();
}

// Composes the flows so that the reverse key is nobody else's: a packet to a VIP and one straight
// to its backend may leave with equal tuples (L13). The source port gives way.
template <typename Key>
DropReason Connections::compose_flows(FirstPacket& first, const Way& way,
                                      flows::Connection<Key>& connection, std::uint32_t replaces,
                                      std::uint64_t& reverse_hash) {
  auto& records = table<Key>();
  const std::uint16_t wanted = first.current.source_port;
  for (unsigned attempt = 0; attempt < kPortTries; ++attempt) {
    compose(first, way, connection);
    // Before anybody asks for the bucket, which is on its way.
    const DropReason attached =
        attach(connection.flows[0], first.in, way, first.from_subnet(), first.policy);
    if (attached != DropReason::kNone) return attached;
    const Key& reply = connection.flows[1].key;
    reverse_hash = records.hash_of(reply);
    const flows::FlowRef other = records.find(reply, reverse_hash);
    if (!other.is_valid() || other.connection() == replaces) return DropReason::kNone;
    const bool may_change = first.current.has_ports() || first.current.is_icmp();
    if (first.mapping.is_held() || !may_change) break;
    first.current.source_port =
        static_cast<std::uint16_t>(0x8000 | (wanted * 31u + attempt * 7'919u));
  }
  return DropReason::tuple_conflict;
}

template <typename Key>
void Connections::start(std::uint32_t index, const FirstPacket& first, const PacketFacts& facts) {
  auto& connection = table<Key>()[index];
  auto& shared = connection.shared;
  auto& details = connection.details;
  if (facts.tcp != nullptr) shared.tcp_state = flows::start_tcp(details.tcp, *facts.tcp);
  shared.timeout_class = first_timeout(first.original, shared.tcp_state);
  shared.created = shared.last_seen[0] = shared.last_seen[1] = first.now;
  details.egress_rule = first.egress_rule;
  details.ingress_rule = first.ingress_rule;
  const auto persists = [&first](std::uint32_t rule) {
    return rule != flows::kNoRule && first.policy.rules[rule].persists;
  };
  if (persists(first.egress_rule)) shared.flags |= flows::kEgressPersists;
  if (persists(first.ingress_rule)) shared.flags |= flows::kIngressPersists;
  if (first.mapping.is_held()) {
    shared.flags |= flows::kHasNatMapping;
    shared.nat_mapping = first.mapping.index;
    mappings_.hold(first.mapping.index);
  }
  if (shared.owner_eni != flows::kNoEni) ++usage_[shared.owner_eni].connection_count;
  table<Key>().arm(index, first.now + timeout(shared.timeout_class));
  table<Key>().mark_embryonic(index);
  if (desk_ == nullptr) return;
  for (auto& flow : connection.flows) flow.offload.state = flows::OffloadState::kCandidate;
}

template <typename Key>
Admission Connections::open(FirstPacket& first, const PacketFacts& facts, std::uint32_t replaces) {
  Admission admission;
  const auto refuse = [&admission](DropReason reason) {
    admission.reason = reason;
    return admission;
  };
  const DropReason judged = judge_.decide(first);
  if (judged == DropReason::sg_egress_denied) admission.rule = first.egress_rule;
  if (judged == DropReason::sg_ingress_denied) admission.rule = first.ingress_rule;
  if (judged != DropReason::kNone) return refuse(judged);

  auto& records = table<Key>();
  const Way way = way_of(first);
  // Until the reply's bucket is asked for there is enough to do.
  records.index().prefetch(records.hash_of(reply_key_of<Key>(first, way)));
  const bool is_delivered = first.to != nullptr && first.to->kind == EndpointKind::kLocal;
  std::uint16_t owner = is_delivered ? first.to->eni : flows::kNoEni;
  if (first.in.is_vm()) owner = first.in.zone.index;
  const DropReason charged = charge(first, owner, facts.now);
  if (charged != DropReason::kNone) return refuse(charged);

  const std::uint32_t index = allocate<Key>(first.now);
  if (index == kNoConnection) return refuse(DropReason::connection_table_full);
  if (replaces == index) replaces = kNoConnection;  // It had to make room, for its own successor.
  auto& connection = records[index];
  const auto give_back = [&](DropReason reason) {
    connection.flows[0].kind = connection.flows[1].kind = flows::FlowKind::kUnindexed;
    records.release(index);
    return refuse(reason);
  };
  std::uint64_t reverse_hash = 0;
  const DropReason composed = compose_flows(first, way, connection, replaces, reverse_hash);
  if (composed != DropReason::kNone) return give_back(composed);
  const bool is_routed = (connection.flows[0].action.flags & flows::kDecrementTtl) != 0;
  if (is_routed && facts.ttl <= 1) return give_back(DropReason::ttl_expired);

  const auto& reply = connection.flows[1].key;
  const std::uint16_t reply_owner =
      natural_owner(first.policy, flows::zone_of(reply), tuple_of(reply));
  const bool is_elsewhere = reply_owner != config_.worker;
  if (is_elsewhere && !make_redirect_room<Key>(reply_owner, replaces, first.now)) {
    return give_back(DropReason::redirect_table_full);
  }
  if (replaces != kNoConnection && !close<Key>(replaces, first.now)) {
    return give_back(DropReason::handover_full);
  }
  const std::uint64_t forward_hash = records.hash_of(connection.flows[0].key);
  if (!records.publish(index, forward_hash, reverse_hash)) {
    return give_back(DropReason::connection_table_full);
  }
  connection.shared.owner_eni = owner;
  start<Key>(index, first, facts);
  admission.flow = flows::FlowRef(index, Direction::kForward);
  if (is_elsewhere && !announce_redirect<Key>(index, reply_owner)) {
    close<Key>(index, first.now);
    admission.flow = {};
    return refuse(DropReason::handover_full);
  }
  return admission;
}

#define GANNET_INSTANTIATE(Key) \
  template Admission Connections::open<Key>(FirstPacket&, const PacketFacts&, std::uint32_t)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
