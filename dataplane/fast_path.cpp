// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fast_path.hpp"

#include "dataplane/rewrite.hpp"

namespace gannet::dataplane {
namespace {

static_assert(Transmitter::kLaneRoom >= FastPath::kBurst);
// Actions that are common, and for which there is code of their own: translated and routed.
constexpr std::uint16_t kTranslated =
    flows::kDecrementTtl | flows::kRewriteTuple | flows::kRewriteMacs;
constexpr std::uint16_t kIntoTunnel = kTranslated | flows::kEncapsulate;
constexpr std::uint16_t kOutOfTunnel = kTranslated | flows::kDecapsulate;

}  // namespace

template <typename Key>
[[gnu::always_inline]] inline void FastPath::set_candidate(Slot& slot,
                                                           flows::Connection<Key>* records,
                                                           flows::FlowRef ref) {
  slot.connection = ref.is_valid() ? &records[ref.connection()] : nullptr;
  slot.direction = ref.direction();
}

void FastPath::look_up(unsigned count) {
  const flows::FlowBuckets buckets = connections_.v4().index();
  auto* const records = connections_.v4().records();
  for (unsigned i = 0; i < count; ++i) {
    Slot& slot = slots_[i];
    if (slot.shape == Shape::kV4) [[likely]] {
      const flows::FlowRef ref = buckets.first_candidate(slot.wanted.hash);
      set_candidate(slot, records, ref);
      if (!ref.is_valid()) [[unlikely]]
        continue;
      auto& connection = records[ref.connection()];
      __builtin_prefetch(&connection.flow(ref.direction()));
      __builtin_prefetch(&connection.shared, 1);
    } else if (slot.shape == Shape::kV6) {
      const flows::FlowRef ref = connections_.v6().index().first_candidate(slot.wanted.hash);
      set_candidate(slot, connections_.v6().records(), ref);
      if (!ref.is_valid()) [[unlikely]]
        continue;
      auto& connection = connections_.v6()[ref.connection()];
      const auto* const flow = &connection.flow(ref.direction());
      __builtin_prefetch(flow);
      __builtin_prefetch(reinterpret_cast<const char*>(flow) + 64);
      __builtin_prefetch(&connection.shared, 1);
    }
  }
}

// After a change of policy. All of a burst at once: it is the memory that takes the time. A
// candidate of another key does no harm: the change does not concern its connection either.
void FastPath::bring_up(const Burst& burst) {
  flows::FlowRef refs4[kBurst];
  flows::FlowRef refs6[kBurst];
  unsigned count4 = 0;
  unsigned count6 = 0;
  for (unsigned i = 0; i < burst.count; ++i) {
    const Slot& slot = slots_[i];
    if (slot.shape == Shape::kOdd || slot.connection == nullptr) continue;
    if (slot.shape == Shape::kV4) {
      refs4[count4++] = ref_of(slot, *static_cast<flows::Ip4Connection*>(slot.connection));
    } else {
      refs6[count6++] = ref_of(slot, *static_cast<flows::Ip6Connection*>(slot.connection));
    }
  }
  connections_.bring_up<flows::Ip4Key>({refs4, count4}, burst.policy);
  connections_.bring_up<flows::Ip6Key>({refs6, count6}, burst.policy);
}

// An ENI's bandwidth is charged where the packet is received, once.
[[gnu::always_inline]] inline bool FastPath::exceeds_rate(const Burst& burst,
                                                          const rte_mbuf* packet) {
  PortContext& port = burst.port;
  return port.bytes_per_second != 0 && burst.came == HandOver::kNone &&
         !port.rx_bucket.take(port.bytes_per_second, packet->pkt_len, burst.now,
                              port.bandwidth_burst);
}

struct FastPath::Admission {
  const flows::NextHop* next_hops;
  const std::atomic<std::uint64_t>* neighbor_macs;
  const std::uint16_t* waiting;  // Packets by neighbour; null: none at all.
  Ticks ticks;
  bool is_limited;  // The port's bandwidth.
};

template <typename Key>
[[gnu::always_inline]] inline FastPath::Fate FastPath::admit(Slot& slot, const Key& key,
                                                             const Burst& burst,
                                                             const Admission& admission) {
  if (slot.connection == nullptr) [[unlikely]]
    return find_again(slot, key, burst);
  auto& connection = *static_cast<flows::Connection<Key>*>(slot.connection);
  const flows::Flow<Key>& flow = connection.flow(slot.direction);
  if (!(flow.key == key)) [[unlikely]]
    return find_again(slot, key, burst);
  if (flow.origin_word() != slot.wanted.origin) [[unlikely]]
    return admit_odd(flow, burst, slot.packet);
  if (!flow.takes(slot.frame)) [[unlikely]]
    return admit_odd(flow, burst, slot.packet);
  if (slot.frame_bytes - kEthernetBytes > flow.action.max_ip_bytes) [[unlikely]]
    return Fate::kSlow;
  const flows::NextHop& hop = admission.next_hops[flow.action.next_hop];
  std::uint64_t mac = 0;
  if (hop.leaves_by_underlay()) {
    mac = admission.neighbor_macs[hop.neighbor].load(std::memory_order_relaxed);
    if (mac == 0) [[unlikely]]
      return Fate::kSlow;
    // What waits for this neighbour leaves first.
    if (admission.waiting != nullptr && admission.waiting[hop.neighbor] != 0) [[unlikely]]
      return Fate::kSlow;
  }
  if (admission.is_limited && exceeds_rate(burst, slot.packet)) [[unlikely]] {
    transmitter_.drop(slot.packet, burst.port.index, DropReason::eni_rate_limit);
    return Fate::kDropped;
  }
  slot.way = {&flow, &hop, mac};
  if (flow.key.protocol == packet::kProtoTcp) {
    if (!admit_segment(slot, connection, burst)) [[unlikely]]
      return Fate::kDropped;
  } else {
    flows::account(connection.shared, slot.direction, slot.frame_bytes, admission.ticks, true);
  }
  if (flow.offload.state > flows::OffloadState::kRefused) [[unlikely]] {
    notice(slot, connection, burst);
  }
  return Fate::kAdmitted;
}

// The flow does not say what to do with this packet.
template <typename Key>
FastPath::Fate FastPath::admit_odd(const flows::Flow<Key>& flow, const Burst& burst,
                                   rte_mbuf* packet) {
  if (flow.kind != flows::FlowKind::kRedirect) return Fate::kSlow;
  return hand_over(static_cast<std::uint16_t>(flow.action.next_hop), on_by_redirect(burst.came),
                   burst, packet);
}

// There is another flow with the same tag, or one that came after the look-up; or none. A packet of
// no flow here may be of a connection that another worker owns.
template <typename Key>
FastPath::Fate FastPath::find_again(Slot& slot, const Key& key, const Burst& burst) {
  auto& table = connections_.table<Key>();
  const flows::FlowRef ref = table.find(key, slot.wanted.hash);
  set_candidate(slot, table.records(), ref);
  if (ref.is_valid()) return Fate::kFound;
  if (burst.came != HandOver::kNone) return Fate::kSlow;
  const std::uint16_t owner =
      connections_.natural_owner(burst.policy, flows::zone_of(key), tuple_of(key));
  if (owner == connections_.config().worker) return Fate::kSlow;
  return hand_over(owner, HandOver::kByNature, burst, slot.packet);
}

FastPath::Fate FastPath::hand_over(std::uint16_t to, HandOver how, const Burst& burst,
                                   rte_mbuf* packet) {
  // A packet that must not be handed on is for the slow path to judge.
  if (how == HandOver::kNone) return Fate::kSlow;
  if (exceeds_rate(burst, packet)) {
    transmitter_.drop(packet, burst.port.index, DropReason::eni_rate_limit);
  } else {
    transmitter_.hand_over(packet, burst.port.index, to, how);
  }
  return Fate::kHandedOver;
}

// A card may be given the flow, or may have lost it.
template <typename Key>
void FastPath::notice(const Slot& slot, const flows::Connection<Key>& connection,
                      const Burst& burst) {
  constexpr bool kIsV4 = sizeof(typename Key::Ip) == 4;
  const std::uint8_t* const ip = slot.frame + kEthernetBytes;
  connections_.notice<Key>(ref_of(slot, connection),
                           {common_tos(ip, kIsV4), common_ip_bytes(ip, kIsV4)}, burst.policy,
                           burst.now);
}

template <typename Key>
FastPath::Slot* FastPath::admit_row(const Burst& burst, Slot* first) {
  constexpr bool kIsV4 = sizeof(typename Key::Ip) == 4;
  const Admission admission{
      burst.policy.next_hops.data(),
      neighbors_.macs(),
      arp_queue_.is_empty() ? nullptr : arp_queue_.counts(),
      to_ticks(burst.now),
      burst.port.bytes_per_second != 0 && burst.came == HandOver::kNone,
  };
  Slot* const end = slots_ + burst.count;
  Slot* slot = first;
  unsigned handed_over = 0;
  while (slot != end && slot->shape == (kIsV4 ? Shape::kV4 : Shape::kV6)) {
    Fate fate;
    if constexpr (kIsV4) {
      fate = admit(*slot, slot->wanted.key4, burst, admission);
    } else {
      fate = admit(*slot, keys6_[slot - slots_], burst, admission);
    }
    if (fate != Fate::kAdmitted) [[unlikely]] {
      if (fate == Fate::kFound) continue;
      if (fate == Fate::kSlow) break;
      if (fate == Fate::kHandedOver) ++handed_over;
      slot->packet = nullptr;
    }
    ++slot;
  }
  counters_.fast_packets.add(static_cast<unsigned>(slot - first) - handed_over);
  return slot;
}

// Does what the flow's action says, with its flags. Where these are a constant, the compiler leaves
// out what does not apply.
template <typename Key>
[[gnu::always_inline]] inline FastPath::OutFrame FastPath::apply(const Slot& slot,
                                                                 const flows::Flow<Key>& flow,
                                                                 std::uint16_t flags) {
  constexpr bool kIsV4 = sizeof(typename Key::Ip) == 4;
  std::uint8_t* const frame = slot.frame;
  std::uint8_t* const ip = frame + kEthernetBytes;
  const std::uint32_t bytes = slot.frame_bytes;
  const std::uint8_t tos = common_tos(ip, kIsV4);
  rewrite_ip(ip, ip + (kIsV4 ? 20 : 40), flow.key.protocol, flow.action, flags);
  const bool rewrites = (flags & flows::kRewriteMacs) != 0;
  if ((flags & flows::kEncapsulate) != 0) {
    return {encapsulate(frame, bytes, *slot.way.hop, flow.action.outer_source_port, tos,
                        slot.way.mac, rewrites),
            bytes + packet::kVxlanOverIpv4Bytes};
  }
  if (rewrites) rewrite_macs(frame, *slot.way.hop, slot.way.mac);
  return {frame, bytes};
}

template <typename Key>
void FastPath::depart_row(const Burst& burst, const Slot* first, const Slot* end) {
  Transmitter::Lane lane;
  for (const Slot* slot = first; slot != end; ++slot) {
    rte_mbuf* const packet = slot->packet;
    if (packet == nullptr) [[unlikely]]
      continue;
    const auto& flow = *static_cast<const flows::Flow<Key>*>(slot->way.flow);
    OutFrame out;
    if (flow.action.flags == kIntoTunnel) {
      out = apply(*slot, flow, kIntoTunnel);
    } else if (flow.action.flags == kOutOfTunnel) {
      out = apply(*slot, flow, kOutOfTunnel);
    } else {
      out = apply(*slot, flow, flow.action.flags);
    }
    packet->data_off =
        static_cast<std::uint16_t>(out.begin - static_cast<std::uint8_t*>(packet->buf_addr));
    packet->data_len = static_cast<std::uint16_t>(out.bytes);
    packet->pkt_len = out.bytes;
    const std::uint16_t port = slot->way.hop->port;
    if (port != lane.port) [[unlikely]] {
      transmitter_.close_lane(lane, burst.port.index);
      lane = transmitter_.open_lane(port);
      if (lane.port != port) {
        transmitter_.send(port, packet, burst.port.index, burst.now);
        continue;
      }
    }
    lane.push(packet, out.bytes);
  }
  transmitter_.close_lane(lane, burst.port.index);
}

template <typename Key>
unsigned FastPath::forward_row(const Burst& burst, unsigned begin) {
  Slot* const first = slots_ + begin;
  Slot* const end = admit_row<Key>(burst, first);
  depart_row<Key>(burst, first, end);
  return static_cast<unsigned>(end - slots_);
}

unsigned FastPath::forward_until_slow(const Burst& burst, unsigned i) {
  // Nearly always there is one row, and that is all.
  for (;;) {
    i = forward_row<flows::Ip4Key>(burst, i);
    if (i == burst.count) [[likely]]
      return i;
    if (slots_[i].shape != Shape::kV6) return i;  // Odd, or it has been refused.
    i = forward_row<flows::Ip6Key>(burst, i);
    if (i == burst.count || slots_[i].shape != Shape::kV4) return i;
  }
}

}  // namespace gannet::dataplane
