// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/offload_desk.hpp"

#include "dataplane/flow_offload.hpp"
#include "dataplane/tuple.hpp"
#include "flows/base/check.hpp"

#include <algorithm>

namespace gannet::dataplane {
namespace {

using flows::Direction;
using flows::FlowRef;
using flows::OffloadState;
using offload::kNoSlot;
using offload::OrderKind;
using offload::Refusal;

// A flow on the card whose packets come to software all the same. Some were under way when its rule
// came into force, at most a ring of a port; one with another TOS wants another rule.
constexpr std::uint8_t kStraysOfOtherTos = 16;
constexpr std::uint8_t kStraysBeforeSuspicion = 255;
constexpr std::uint16_t kSuspicionAfter =
    60;  // In coarse time, a second: longer than anything is queued.

template <typename Ip>
offload::Ends ends_of(const flows::Tuple<Ip>& tuple) {
  return {tuple.source, tuple.destination, tuple.source_port.host(), tuple.destination_port.host()};
}

// Which bits of the TOS a rule cares about.
bool is_other_tos(const offload::Rule& rule, std::uint8_t tos) {
  if (rule.matches_tos()) return tos != rule.tos;
  return rule.matches_ecn() && (tos & 3) != rule.ecn();
}

template <typename Key>
bool has_earned_rule(const flows::Connection<Key>& connection, std::uint32_t min_packets) {
  const auto& shared = connection.shared;
  if (connection.flows[0].key.protocol == packet::kProtoTcp) {
    const bool is_open = shared.tcp_state == flows::TcpState::kEstablished ||
                         shared.tcp_state == flows::TcpState::kHalfClosed;
    if (!is_open) return false;
  }
  return shared.packets[0] + shared.packets[1] >= min_packets;
}

}  // namespace

OffloadDesk::OffloadDesk(const OffloadDeskConfig& config, offload::Exchange& exchange,
                         const NeighborTable& neighbors, WorkerStats& stats)
    : config_(config),
      exchange_(exchange),
      neighbors_(neighbors),
      stats_(stats),
      uses_(exchange.slot_count()),
      free_(exchange.slot_count()),
      v4_slots_(std::size_t{2} * config.ip4_capacity, kNoSlot),
      v6_slots_(std::size_t{2} * config.ip6_capacity, kNoSlot),
      v4_epochs_(config.ip4_capacity),
      v6_epochs_(config.ip6_capacity) {
  for (std::uint32_t slot = exchange.slot_count(); slot-- != 0;) free_.push(slot);
}

Refusal OffloadDesk::resolve_ports(flows::Zone zone, const flows::NextHop& hop,
                                   const Snapshot& policy, offload::Rule& rule, Use& use) const {
  const Eni* const sender =
      zone.kind == flows::ZoneKind::kEni ? policy.find_eni(zone.index) : nullptr;
  use.in_port = sender != nullptr ? sender->port : policy.underlay.port;
  use.out_port = hop.port;
  const std::size_t port_count = config_.ethdevs.size();
  if (use.in_port >= port_count || use.out_port >= port_count) return Refusal::port_not_on_card;
  rule.in_port = config_.ethdevs[use.in_port];
  rule.out_port = config_.ethdevs[use.out_port];
  if (rule.in_port == OffloadDeskConfig::kNotOnCard ||
      rule.out_port == OffloadDeskConfig::kNotOnCard) {
    return Refusal::port_not_on_card;
  }
  const Eni* const receiver = policy.find_eni(policy.ports[use.out_port].eni);
  const bool is_limited = (sender != nullptr && sender->qos.bytes_per_second != 0) ||
                          (receiver != nullptr && receiver->qos.bytes_per_second != 0);
  return is_limited ? Refusal::rate_limited : Refusal::kNone;
}

template <typename Key>
Refusal OffloadDesk::resolve(const flows::Connection<Key>& connection, Direction direction,
                             std::uint8_t tos, const Snapshot& policy, offload::Rule& rule,
                             Use& use) const {
  const auto& flow = connection.flow(direction);
  const auto& action = flow.action;
  const flows::Zone zone = flows::zone_of(flow.key);
  const flows::NextHop& hop = policy.next_hops[action.next_hop];
  rule = offload::Rule{};
  if (flow.key.protocol == packet::kProtoTcp && config_.is_strict_tcp) return Refusal::strict_tcp;
  const Refusal ports = resolve_ports(zone, hop, policy, rule, use);
  if (ports != Refusal::kNone) return ports;
  rule.protocol = flow.key.protocol;
  rule.destination_mac = flow.destination_mac;
  if (zone.kind == flows::ZoneKind::kEni) rule.source_mac = policy.enis[zone.index].mac;
  rule.before = ends_of(flow.key.tuple);
  rule.after = ends_of(action.tuple);
  rule.flags = action.flags;
  // What comes out of a tunnel is no longer than the wire let in: nothing for the card to look at.
  const bool is_bounded = rule.has(flows::kDecapsulate) && !rule.has(flows::kEncapsulate);
  rule.max_ip_bytes = is_bounded ? std::uint16_t{0xffff} : action.max_ip_bytes;
  rule.hop = hop;
  rule.eni = connection.shared.owner_eni;
  if (rule.has(flows::kDecapsulate)) {
    const Underlay& underlay = policy.underlay;
    rule.tunnel = {flow.tunnel_source, underlay.vtep, policy.vpcs[zone.index].vni.value,
                   underlay.vxlan_port, underlay.mac};
  }
  if (rule.has(flows::kEncapsulate)) rule.outer_source_port = action.outer_source_port.host();
  if (rule.matches_tos()) {
    rule.tos = tos;
  } else if (rule.matches_ecn()) {
    rule.tos = tos & 3;
  }
  if (hop.leaves_by_underlay()) {
    rule.neighbor = hop.neighbor;
    const std::uint64_t mac = neighbors_.mac_of(hop.neighbor);
    if (mac == 0) return Refusal::neighbor_unknown;
    rule.neighbor_mac = Mac::from_raw(mac);
  }
  use.flags = action.flags;
  return Refusal::kNone;
}

template <typename Key>
void OffloadDesk::notice(flows::FlowTable<Key>& table, FlowRef ref, Sight sight,
                         const Snapshot& policy, Nanos now) {
  auto& connection = table[ref.connection()];
  flows::FlowOffload& flow = connection.flow(ref.direction()).offload;
  if (flow.state == OffloadState::kHardware) return notice_stray(table, ref, sight, now);
  std::uint32_t packets_per_second = 0;
  if (flow.state == OffloadState::kWaiting) {
    if (--flow.countdown != 0) return;
    packets_per_second = rate_since(flow, now);
  }
  flow.state = OffloadState::kCandidate;
  if (!has_earned_rule(connection, config_.min_packets)) return;
  order(table, ref, sight.tos, packets_per_second, policy, now);
}

template <typename Key>
void OffloadDesk::notice_stray(flows::FlowTable<Key>& table, FlowRef ref, Sight sight, Nanos now) {
  const std::uint32_t slot = slot_of<Key>(ref.connection(), ref.direction());
  flows::FlowOffload& flow = table.flow(ref).offload;
  if (slot == kNoSlot) return;  // Nobody's belief: check() finds it.
  if (sight.ip_bytes > config_.guard_ip_bytes) return;
  const bool is_other = is_other_tos(exchange_.rule(slot), sight.tos);
  if (flow.countdown != 0xff) ++flow.countdown;
  if (flow.countdown < (is_other ? kStraysOfOtherTos : kStraysBeforeSuspicion)) return;
  if (!is_other && coarse_since(flow, now) < kSuspicionAfter) return;
  flow.countdown = 0;
  if (is_other) {
    slot_of<Key>(ref.connection(), ref.direction()) = kNoSlot;
    remove(slot);
    flow.state = OffloadState::kCandidate;
    return;
  }
  static_cast<void>(try_order({OrderKind::kSuspect, slot, uses_[slot].serial, 0, 0}));
}

template <typename Key>
void OffloadDesk::order(flows::FlowTable<Key>& table, FlowRef ref, std::uint8_t tos,
                        std::uint32_t packets_per_second, const Snapshot& policy, Nanos now) {
  auto& connection = table[ref.connection()];
  flows::FlowOffload& flow = connection.flow(ref.direction()).offload;
  if (free_.count() == 0) return refuse(flow, Refusal::queue_full, now);
  const std::uint32_t slot = free_.top();
  Use& use = uses_[slot];
  const Refusal refused =
      resolve(connection, ref.direction(), tos, policy, exchange_.rule(slot), use);
  if (refused != Refusal::kNone) return refuse(flow, refused, now);
  use.connection = ref.connection();
  use.epoch = epochs<Key>()[ref.connection()];
  use.family = sizeof(Key) == sizeof(flows::Ip4Key) ? Family::kIpv4 : Family::kIpv6;
  use.direction = ref.direction();
  use.state = UseState::kInstalling;
  use.is_asked = use.is_idle = false;
  ++use.serial;
  if (!try_order({OrderKind::kInstall, slot, use.serial, packets_per_second, now})) {
    use.state = UseState::kFree;
    return refuse(flow, Refusal::queue_full, now);
  }
  free_.pop();
  ++used_count_;
  if (slot >= exchange_.touched_count.load(std::memory_order_relaxed)) {
    exchange_.touched_count.store(slot + 1, std::memory_order_relaxed);
  }
  slot_of<Key>(ref.connection(), ref.direction()) = slot;
  flow.state = OffloadState::kPending;
  flow.countdown = 0;
  connection.details.card_flags |= flows::kOnCard;
}

// Orders the removal of a rule; its slot's flow has been told, or is gone.
void OffloadDesk::remove(std::uint32_t slot) {
  Use& use = uses_[slot];
  use.state = UseState::kRemoving;
  const bool is_sent = exchange_.orders.try_push({OrderKind::kRemove, slot, use.serial, 0, 0});
  GANNET_CHECK(is_sent);  // The exchange's arithmetic is wrong otherwise.
}

template <typename Key>
void OffloadDesk::conform(flows::FlowTable<Key>& table, std::uint32_t index,
                          const Snapshot& policy) {
  auto& connection = table[index];
  for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
    auto& flow = connection.flow(direction);
    std::uint32_t& slot = slot_of<Key>(index, direction);
    if (slot == kNoSlot) {
      if (flow.offload.state == OffloadState::kRefused)
        flow.offload.state = OffloadState::kCandidate;
      continue;
    }
    Use ignored;
    const bool is_attached = flow.generation == policy.generation;
    const bool is_same = is_attached &&
                         resolve(connection, direction, exchange_.rule(slot).tos, policy, scratch_,
                                 ignored) == Refusal::kNone &&
                         offload::is_same(scratch_, exchange_.rule(slot));
    if (is_same) continue;
    remove(std::exchange(slot, kNoSlot));
    flow.offload.state = OffloadState::kCandidate;
  }
}

template <typename Key>
void OffloadDesk::withdraw(flows::FlowTable<Key>& table, std::uint32_t index, bool is_ending) {
  for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
    std::uint32_t& slot = slot_of<Key>(index, direction);
    if (slot == kNoSlot) continue;
    remove(std::exchange(slot, kNoSlot));
    table[index].flow(direction).offload.state = OffloadState::kCandidate;
  }
  if (is_ending) ++epochs<Key>()[index];
}

template <typename Key>
bool OffloadDesk::is_idle_on_card(std::uint32_t index) {
  bool is_idle = true;
  for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
    const std::uint32_t slot = slot_of<Key>(index, direction);
    if (slot == kNoSlot || uses_[slot].is_idle) continue;
    is_idle = false;
    Use& use = uses_[slot];
    if (use.is_asked) continue;
    use.is_asked = try_order({OrderKind::kCheck, slot, use.serial, 0, 0});
  }
  return is_idle;
}

bool OffloadDesk::mark_generation(std::uint32_t generation) {
  return try_order({OrderKind::kBarrier, 0, 0, generation, 0});
}

#define GANNET_INSTANTIATE(Key)                                                                    \
  template void OffloadDesk::notice<Key>(flows::FlowTable<Key>&, FlowRef, Sight, const Snapshot&,  \
                                         Nanos);                                                   \
  template void OffloadDesk::conform<Key>(flows::FlowTable<Key>&, std::uint32_t, const Snapshot&); \
  template void OffloadDesk::withdraw<Key>(flows::FlowTable<Key>&, std::uint32_t, bool);           \
  template bool OffloadDesk::is_idle_on_card<Key>(std::uint32_t)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
