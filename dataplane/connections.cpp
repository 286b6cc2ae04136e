// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/connections.hpp"

#include <algorithm>
#include <utility>

namespace gannet::dataplane {
namespace {

using flows::Direction;
using flows::kNoConnection;
using flows::TimeoutClass;
using flows::ZoneKind;

constexpr Ticks kRetryTicks = 16;                    // 17 ms: another worker's ring was full.
constexpr std::uint32_t kIcmpErrorsPerSecond = 100;  // For each ENI; a guess between Linux's 1,000
                                                     // for a host and OVN's 10 for a port.
// How long data may revive a connection that was reset while a card carried it (R27).
constexpr Ticks kRevivalTicks = duration_ticks(10 * kNanosPerSecond);
// A probe has three answers, and few pools share a backend. Other hosts answer for all of theirs.
constexpr std::uint32_t kProbeAnswersPerSecond = 100;
constexpr std::uint32_t kOutsideProbeAnswersPerSecond = 10'000;
constexpr std::uint32_t kLogEntriesPerSecond = 200;  // Of one ENI's packets; a guess.
constexpr std::uint32_t kOutsideLogEntriesPerSecond = 2'000;
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

TimeoutClass class_of(flows::TcpState state) {
  const bool is_open =
      state == flows::TcpState::kEstablished || state == flows::TcpState::kHalfClosed;
  return is_open ? TimeoutClass::kTcpEstablished : TimeoutClass::kTcpTransitory;
}

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

std::uint64_t hash_address(const IpAddress& ip) {
  return (load<std::uint64_t>(ip.data()) ^ load<std::uint64_t>(ip.data() + 8)) * 0x9e3779b97f4a7c15;
}

}  // namespace

Result<std::unique_ptr<Connections>> Connections::create(const TrackingConfig& config,
                                                         const flows::HashSeed& seed, Nanos now,
                                                         Mailbox mailbox) {
  auto v4 =
      flows::Ip4FlowTable::create(config.ip4_capacity, seed, to_ticks(now), config.use_huge_pages);
  if (!v4) return tl::unexpected(v4.error());
  auto v6 =
      flows::Ip6FlowTable::create(config.ip6_capacity, seed, to_ticks(now), config.use_huge_pages);
  if (!v6) return tl::unexpected(v6.error());
  auto mappings = NatMappings::create(config.ip4_capacity, seed);
  if (!mappings) return tl::unexpected(mappings.error());
  return std::unique_ptr<Connections>(
      new Connections(config, std::move(*v4), std::move(*v6), std::move(*mappings), mailbox));
}

Connections::Connections(const TrackingConfig& config, std::unique_ptr<flows::Ip4FlowTable> v4,
                         std::unique_ptr<flows::Ip6FlowTable> v6, NatMappings mappings,
                         Mailbox mailbox)
    : config_(config),
      v4_(std::move(v4)),
      v6_(std::move(v6)),
      mappings_(std::move(mappings)),
      judge_(&mappings_),
      usage_(kMaxEniCount),
      mailbox_(mailbox) {}

DropReason Connections::charge(const FirstPacket& first, std::uint16_t eni, Nanos now) {
  if (eni == flows::kNoEni) return DropReason::kNone;
  const Qos& qos = first.policy.enis[eni].qos;
  EniUsage& usage = usage_[eni];
  if (qos.max_flows != 0 && usage.connection_count >= qos.max_flows) {
    return DropReason::eni_connection_limit;
  }
  return usage.new_connections.take(qos.new_flows_per_second, 1, now)
             ? DropReason::kNone
             : DropReason::eni_connection_rate;
}

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
  const auto& reply = connection.flows[1].key;
  const std::uint16_t reply_owner =
      natural_owner(first.policy, flows::zone_of(reply), tuple_of(reply));
  if (reply_owner != config_.worker) {
    connection.shared.flags |= flows::kHasRedirect;
    connection.details.redirect_worker = reply_owner;
    admission.redirect_worker = reply_owner;
  }
  return admission;
}

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
    // not.
    const auto before = flow;
    admission.reason = attach_direction(connection, ref.direction(), in, policy);
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

template <typename Key>
flows::TcpVerdict Connections::track(flows::FlowRef ref, const flows::TcpSegment& segment,
                                     Ticks now) {
  auto& connection = table<Key>()[ref.connection()];
  auto& shared = connection.shared;
  const flows::TcpState before = shared.tcp_state;
  // What the card has carried since the last look is not known.
  if ((connection.details.card_flags & flows::kOnCard) != 0) {
    flows::forget_windows(connection.details.tcp);
  }
  const flows::TcpVerdict verdict =
      flows::track_tcp(connection.details.tcp, shared.tcp_state, ref.direction(), segment);
  if (shared.tcp_state != before) {
    if (desk_ != nullptr) follow_state<Key>(ref.connection());
    shared.timeout_class = class_of(shared.tcp_state);
    // One that is to end keeps its appointment.
    if ((shared.flags & flows::kDoomed) == 0) {
      table<Key>().arm(ref.connection(), now + timeout_of(connection));
    }
    if (shared.tcp_state == flows::TcpState::kEstablished) {
      table<Key>().clear_embryonic(ref.connection());
    }
  }
  return verdict;
}

// A connection that ends leaves the card, whose rules know nothing of states (O3, R27).
template <typename Key>
void Connections::follow_state(std::uint32_t index) {
  auto& connection = table<Key>()[index];
  const flows::TcpState state = connection.shared.tcp_state;
  std::uint8_t& card_flags = connection.details.card_flags;
  const bool is_reset = state == flows::TcpState::kClosed;
  if (!is_reset && state != flows::TcpState::kClosing) {
    card_flags &= static_cast<std::uint8_t>(~flows::kResetOnCard);
    return;
  }
  if (is_reset && (card_flags & flows::kOnCard) != 0) card_flags |= flows::kResetOnCard;
  desk_->withdraw(table<Key>(), index, false);
}

template <typename Key>
Ticks Connections::timeout_of(const flows::Connection<Key>& connection) const {
  const bool may_revive = connection.shared.tcp_state == flows::TcpState::kClosed &&
                          (connection.details.card_flags & flows::kResetOnCard) != 0;
  return may_revive ? kRevivalTicks : timeout(connection.shared.timeout_class);
}

template <typename Key>
void Connections::on_due(std::uint32_t index, Ticks now) {
  const auto& connection = table<Key>()[index];
  const Ticks deadline = connection.last_seen() + timeout_of(connection);
  const bool is_doomed = (connection.shared.flags & flows::kDoomed) != 0;
  if (!is_doomed && !reached(now, deadline)) {
    table<Key>().arm(index, deadline);
  } else if (!is_doomed && desk_ != nullptr && !desk_->is_idle_on_card<Key>(index)) {
    table<Key>().arm(index, now + kRetryTicks);
  } else {
    close<Key>(index, now);
  }
}

unsigned Connections::read_offload_answers(Nanos now, unsigned budget) {
  const Ticks ticks = to_ticks(now);
  return desk_->read_answers(
      *v4_, *v6_, now, budget, [&](std::uint32_t i) { on_due<flows::Ip4Key>(i, ticks); },
      [&](std::uint32_t i) { on_due<flows::Ip6Key>(i, ticks); });
}

unsigned Connections::age(Ticks now, unsigned budget) {
  mappings_.expire(now, budget);
  return v4_->advance(now, budget, [&](std::uint32_t i) { on_due<flows::Ip4Key>(i, now); }) +
         v6_->advance(now, budget, [&](std::uint32_t i) { on_due<flows::Ip6Key>(i, now); });
}

template <typename Key>
bool Connections::close(std::uint32_t index, Ticks now) {
  auto& records = table<Key>();
  auto& connection = records[index];
  auto& shared = connection.shared;
  if (desk_ != nullptr) desk_->withdraw(records, index, false);
  if ((shared.flags & flows::kHasRedirect) != 0) {
    Message message;
    message.kind = MessageKind::kRemoveRedirect;
    message.from = config_.worker;
    if constexpr (sizeof(Key) == sizeof(flows::Ip4Key)) {
      message.family = Family::kIpv4;
      message.v4 = connection.flows[1].key;
    } else {
      message.family = Family::kIpv6;
      message.v6 = connection.flows[1].key;
    }
    if (!mailbox_.send(mailbox_.context, connection.details.redirect_worker, message)) {
      shared.flags |= flows::kDoomed;
      records.arm(index, now + kRetryTicks);
      return false;
    }
  }
  if ((shared.flags & flows::kHasNatMapping) != 0) mappings_.release(shared.nat_mapping, now);
  if (shared.owner_eni != flows::kNoEni) --usage_[shared.owner_eni].connection_count;
  if (desk_ != nullptr) desk_->withdraw(records, index, true);
  records.release(index);
  return true;
}

template <typename Key>
bool Connections::add_redirect(const Key& key, std::uint16_t owner) {
  auto& records = table<Key>();
  const flows::FlowRef known = records.find(key);
  if (known.is_valid()) {
    // The tuple of a connection that has just ended elsewhere, or of one of this worker's own.
    auto& flow = records.flow(known);
    if (flow.kind != flows::FlowKind::kRedirect) return false;
    flow.action.next_hop = owner;
    return true;
  }
  const std::uint32_t index = records.allocate();
  if (index == kNoConnection) return false;
  auto& flow = records[index].flows[0];
  flow.key = key;
  flow.kind = flows::FlowKind::kRedirect;
  flow.action.next_hop = owner;
  records[index].flows[1].kind = flows::FlowKind::kUnindexed;
  if (!records.publish(index)) {
    records.release(index);
    return false;
  }
  ++redirect_count_;
  return true;
}

template <typename Key>
void Connections::remove_redirect(const Key& key, std::uint16_t owner) {
  auto& records = table<Key>();
  const flows::FlowRef ref = records.find(key);
  if (!ref.is_valid()) return;
  const auto& flow = records.flow(ref);
  if (flow.kind != flows::FlowKind::kRedirect || flow.action.next_hop != owner) return;
  records.release(ref.connection());
  --redirect_count_;
}

template <typename Key>
void Connections::redirect_refused(const Key& key, Ticks now) {
  const flows::FlowRef ref = table<Key>().find(key);
  if (!ref.is_valid() || ref.direction() != Direction::kReverse) return;
  forget_redirect<Key>(ref.connection());
  close<Key>(ref.connection(), now);
}

std::uint16_t Connections::natural_owner(const Snapshot& policy, flows::Zone zone,
                                         const IpTuple& tuple) const {
  if (config_.worker_count == 1) return 0;
  const auto worker_of = [&policy](std::uint16_t eni) {
    const Eni* const found = policy.find_eni(eni);
    return found == nullptr ? std::uint16_t{0} : found->worker;
  };
  if (zone.kind == ZoneKind::kEni) return worker_of(zone.index);
  if (zone.kind == ZoneKind::kTunnel) {
    const Endpoint* const to = policy.find_endpoint(zone.index, tuple.destination);
    if (to != nullptr && to->kind == EndpointKind::kLocal) return worker_of(to->eni);
  } else if (const PublicAddress* const address = policy.find_public(tuple.destination)) {
    if (address->kind == PublicKind::kEni) return worker_of(address->index);
    if (address->kind == PublicKind::kNat) {
      const std::uint16_t port = tuple.is_icmp() ? tuple.source_port : tuple.destination_port;
      return worker_of(policy.nat_addresses[address->index].eni_of_port(port));
    }
  }
  const std::uint64_t h =
      hash_address(tuple.source) + hash_address(tuple.destination) +
      (std::uint64_t{tuple.source_port} + tuple.destination_port) * 0xbf58476d1ce4e5b9;
  return static_cast<std::uint16_t>(((h >> 32) * config_.worker_count) >> 32);
}

bool Connections::may_send_icmp_error(flows::Zone zone, Nanos now) {
  TokenBucket& bucket =
      zone.kind == ZoneKind::kEni ? usage_[zone.index].icmp_errors : outside_icmp_errors_;
  return bucket.take(kIcmpErrorsPerSecond, 1, now);
}

bool Connections::may_answer_probe(flows::Zone zone, Nanos now) {
  return zone.kind == ZoneKind::kEni
             ? usage_[zone.index].probe_answers.take(kProbeAnswersPerSecond, 1, now)
             : outside_probe_answers_.take(kOutsideProbeAnswersPerSecond, 1, now);
}

bool Connections::may_log(flows::Zone zone, Nanos now) {
  return zone.kind == ZoneKind::kEni
             ? usage_[zone.index].log_entries.take(kLogEntriesPerSecond, 1, now)
             : outside_log_entries_.take(kOutsideLogEntriesPerSecond, 1, now);
}

#define GANNET_INSTANTIATE(Key)                                                                 \
  template Admission Connections::open<Key>(FirstPacket&, const PacketFacts&, std::uint32_t);   \
  template Admission Connections::refresh<Key>(flows::FlowRef, const Ingress&, const Snapshot&, \
                                               Ticks, bool);                                    \
  template DropReason Connections::reevaluate<Key>(std::uint32_t, const Snapshot&, Ticks,       \
                                                   std::uint32_t&);                             \
  template flows::TcpVerdict Connections::track<Key>(flows::FlowRef, const flows::TcpSegment&,  \
                                                     Ticks);                                    \
  template bool Connections::close<Key>(std::uint32_t, Ticks);                                  \
  template bool Connections::add_redirect<Key>(const Key&, std::uint16_t);                      \
  template void Connections::remove_redirect<Key>(const Key&, std::uint16_t);                   \
  template void Connections::redirect_refused<Key>(const Key&, Ticks)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
