// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fast_path.hpp"

#include "dataplane/rewrite.hpp"

namespace gannet::dataplane {
namespace {

constexpr unsigned kPrefetchAhead = 4;
constexpr std::uint64_t kMacMask = 0xffff'ffff'ffff;

std::uint64_t destination_mac(const std::uint8_t* frame) {
  return load<std::uint64_t>(frame) & kMacMask;
}
std::uint64_t source_mac(const std::uint8_t* frame) {
  return load<std::uint64_t>(frame + 6) & kMacMask;
}

std::uint8_t tos_of(const std::uint8_t* ip, bool is_v4) {
  return is_v4 ? ip[1] : static_cast<std::uint8_t>(ip[0] << 4 | ip[1] >> 4);
}

// Whether the card found a checksum wrong: such packets must not touch a connection (F38), and the
// slow path counts them.
bool has_bad_checksum(const rte_mbuf* packet) {
  const std::uint64_t flags = packet->ol_flags;
  constexpr std::uint64_t kBad =
      RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
  if ((flags & kBad) == 0) [[likely]]
    return false;
  // With its "good" bit too each of them means that the card does not know.
  return (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD ||
         (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD ||
         (flags & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK) == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
}

}  // namespace

// Takes off the tunnel of a frame from the underlay, if it has one. \return whether the fast path
// may go on with it.
[[gnu::always_inline]] inline bool FastPath::open_tunnel(const Snapshot& policy, Slot& slot,
                                                         std::uint8_t*& frame, std::uint32_t& size,
                                                         flows::Zone& zone) {
  CommonTunnel tunnel;
  if (!read_common_tunnel(frame, size, policy.underlay.vtep, policy.underlay.vxlan_port, tunnel)) {
    return true;
  }
  if (tunnel.vni != last_vni_ || last_generation_ != policy.generation) [[unlikely]] {
    last_vni_ = tunnel.vni;
    last_generation_ = policy.generation;
    last_vpc_ = policy.find_vpc({tunnel.vni});
  }
  if (last_vpc_ == kNoIndex) [[unlikely]]
    return false;
  frame += packet::kVxlanOverIpv4Bytes;
  size = tunnel.inner_bytes;
  const unsigned outer_ecn = tunnel.tos & 3u;
  if (outer_ecn != 0) [[unlikely]] {
    const bool is_v4 = load<Be16>(frame + 12).host() == packet::kEtherTypeIpv4;
    if (outer_ecn != (tos_of(frame + kEthernetBytes, is_v4) & 3u)) return false;
  }
  zone = {flows::ZoneKind::kTunnel, last_vpc_};
  slot.tunnel_source = tunnel.source;
  return true;
}

template <PortRole role>
[[gnu::always_inline]] inline void FastPath::read_one(const PortContext& port, rte_mbuf* packet,
                                                      const Snapshot& policy, unsigned i) {
  Slot& slot = slots_[i];
  slot.shape = Shape::kOdd;
  slot.ref = {};
  slot.tunnel_source = Ip4{Be32(0)};
  auto* frame = rte_pktmbuf_mtod(packet, std::uint8_t*);
  std::uint32_t size = packet->data_len;
  if (packet->nb_segs != 1 || size < kMinIpv4Frame || has_bad_checksum(packet)) [[unlikely]]
    return;
  flows::Zone zone = port.zone;
  if constexpr (role == PortRole::kVm) {
    if (source_mac(frame) != port.mac) [[unlikely]]
      return;
  } else {
    // A port without a role has a MAC that no frame can have.
    if (destination_mac(frame) != port.mac) [[unlikely]]
      return;
    if (!open_tunnel(policy, slot, frame, size, zone)) return;
  }
  flows::Ip4Key::Words key4;
  if (read_common_v4(frame, size, zone, slot.packet, key4)) [[likely]] {
    slot.shape = Shape::kV4;
    slot.hash = connections_.v4().hash_of(key4);
    store(reinterpret_cast<std::uint8_t*>(&slot.key4), key4);
    connections_.v4().index().prefetch(slot.hash);
  } else if (read_common_v6(frame, size, zone, slot.packet, keys6_[i])) {
    slot.shape = Shape::kV6;
    slot.hash = connections_.v6().hash_of(keys6_[i]);
    connections_.v6().index().prefetch(slot.hash);
  }
}

template <PortRole role>
void FastPath::read_all(const Burst& burst) {
  for (unsigned i = 0; i < burst.count; ++i) {
    if (i + kPrefetchAhead < burst.count) {
      __builtin_prefetch(rte_pktmbuf_mtod(burst.packets[i + kPrefetchAhead], const void*));
    }
    read_one<role>(burst.port, burst.packets[i], burst.policy, i);
  }
}

void FastPath::read(const Burst& burst) {
  if (burst.port.role == PortRole::kVm) {
    read_all<PortRole::kVm>(burst);
  } else {
    read_all<PortRole::kUplink>(burst);
  }
}

void FastPath::look_up(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    Slot& slot = slots_[i];
    if (slot.shape == Shape::kV4) [[likely]] {
      slot.ref = connections_.v4().index().first_candidate(slot.hash);
      if (!slot.ref.is_valid()) [[unlikely]]
        continue;
      __builtin_prefetch(&connections_.v4().flow(slot.ref));
      __builtin_prefetch(&connections_.v4()[slot.ref.connection()].shared, 1);
    } else if (slot.shape == Shape::kV6) {
      slot.ref = connections_.v6().index().first_candidate(slot.hash);
      if (!slot.ref.is_valid()) [[unlikely]]
        continue;
      const auto* const flow = &connections_.v6().flow(slot.ref);
      __builtin_prefetch(flow);
      __builtin_prefetch(reinterpret_cast<const char*>(flow) + 64);
      __builtin_prefetch(&connections_.v6()[slot.ref.connection()].shared, 1);
    }
  }
}

// An ENI's bandwidth is charged where the packet is received, once.
[[gnu::always_inline]] inline bool FastPath::exceeds_rate(const Burst& burst,
                                                          const rte_mbuf* packet) {
  PortContext& port = burst.port;
  return port.bytes_per_second != 0 && !burst.is_handed_over &&
         !port.rx_bucket.take(port.bytes_per_second, packet->pkt_len, burst.now, kBandwidthBurst);
}

template <typename Key>
[[gnu::always_inline]] inline FastPath::Fate FastPath::forward_key(const Slot& slot, const Key& key,
                                                                   const Burst& burst,
                                                                   rte_mbuf* packet) {
  auto& table = connections_.table<Key>();
  flows::FlowRef ref = slot.ref;
  if (!ref.is_valid() || !(table.flow(ref).key == key)) [[unlikely]] {
    // Another flow with the same tag, or one that came after the look-up; or none.
    ref = table.find(key, slot.hash);
    if (!ref.is_valid()) return forward_miss(key, burst, packet);
  }
  const flows::Flow<Key>& flow = table.flow(ref);
  if (flow.kind == flows::FlowKind::kRedirect) [[unlikely]] {
    return hand_over(static_cast<std::uint16_t>(flow.action.next_hop), burst, packet);
  }
  const bool applies = flow.generation == burst.policy.generation &&
                       flow.kind == flows::FlowKind::kForward &&
                       flow.tunnel_source == slot.tunnel_source &&
                       flow.destination_mac.raw() == destination_mac(slot.packet.frame) &&
                       slot.packet.frame_bytes - kEthernetBytes <= flow.action.max_ip_bytes;
  if (!applies) [[unlikely]]
    return Fate::kSlow;
  const flows::NextHop& hop = burst.policy.next_hops[flow.action.next_hop];
  std::uint64_t mac = 0;
  if (hop.leaves_by_underlay()) {
    mac = neighbors_.mac_of(hop.neighbor);
    if (mac == 0) [[unlikely]]
      return Fate::kSlow;
  }
  if (exceeds_rate(burst, packet)) [[unlikely]] {
    transmitter_.drop(packet, burst.port.index, DropReason::eni_rate_limit);
    return Fate::kForwarded;
  }
  return forward_hit<Key>(slot, ref, mac, hop, burst, packet);
}

// A packet of no flow here may be of a connection that another worker owns.
template <typename Key>
FastPath::Fate FastPath::forward_miss(const Key& key, const Burst& burst, rte_mbuf* packet) {
  if (burst.is_handed_over) return Fate::kSlow;
  const std::uint16_t owner =
      connections_.natural_owner(burst.policy, flows::zone_of(key), tuple_of(key));
  if (owner == connections_.config().worker) return Fate::kSlow;
  return hand_over(owner, burst, packet);
}

FastPath::Fate FastPath::hand_over(std::uint16_t owner, const Burst& burst, rte_mbuf* packet) {
  // A packet that comes back is for the slow path to judge: it must not go around.
  if (burst.is_handed_over) return Fate::kSlow;
  if (exceeds_rate(burst, packet)) {
    transmitter_.drop(packet, burst.port.index, DropReason::eni_rate_limit);
  } else {
    transmitter_.hand_over(packet, burst.port.index, owner);
  }
  return Fate::kHandedOver;
}

// Shown among the last drops like those of the slow path.
template <typename Key>
void FastPath::drop_segment(const Key& key, flows::TcpVerdict verdict, const Burst& burst,
                            rte_mbuf* packet) {
  const DropReason reason = verdict == flows::TcpVerdict::kOutOfWindow
                                ? DropReason::tcp_out_of_window
                                : DropReason::tcp_invalid_flags;
  drops_.add({burst.now, reason, burst.port.index, flows::kNoRule, burst.policy.generation,
              tuple_of(key)});
  transmitter_.drop(packet, burst.port.index, reason);
}

template <typename Key>
[[gnu::always_inline]] inline FastPath::Fate FastPath::forward_hit(
    const Slot& slot, flows::FlowRef ref, std::uint64_t mac, const flows::NextHop& hop,
    const Burst& burst, rte_mbuf* packet) {
  const flows::Flow<Key>& flow = connections_.table<Key>().flow(ref);
  const CommonPacket& common = slot.packet;
  const Nanos now = burst.now;
  constexpr std::uint32_t kIpBytes = sizeof(typename Key::Ip) == 4 ? 20 : 40;
  std::uint8_t* const ip = common.frame + kEthernetBytes;
  std::uint8_t* const l4 = ip + kIpBytes;
  bool refreshes = true;
  if (common.protocol == packet::kProtoTcp) {
    const unsigned header = packet::header_at<packet::TcpHeader>(l4).header_bytes();
    const flows::TcpSegment segment =
        flows::read_segment(l4, header, common.ip_bytes - kIpBytes - header);
    const flows::TcpVerdict verdict = connections_.track<Key>(ref, segment, to_ticks(now));
    if (!flows::passes(verdict)) {
      drop_segment(flow.key, verdict, burst, packet);
      return Fate::kForwarded;
    }
    refreshes = verdict == flows::TcpVerdict::kPass;
  }
  connections_.account<Key>(ref, common.frame_bytes, to_ticks(now), refreshes);
  const std::uint8_t tos = tos_of(ip, common.is_v4);
  if (flow.offload.state > flows::OffloadState::kRefused) [[unlikely]] {
    connections_.notice<Key>(ref, {tos, common.ip_bytes}, burst.policy, now);
  }

  const std::uint16_t flags = flow.action.flags;
  const bool rewrites = (flags & flows::kRewriteMacs) != 0;
  rewrite_ip(ip, l4, common.protocol, flow.action);
  std::uint8_t* out = common.frame;
  std::uint32_t out_bytes = common.frame_bytes;
  if ((flags & flows::kEncapsulate) != 0) {
    out = encapsulate(common.frame, out_bytes, hop, flow.action.outer_source_port, tos, mac,
                      rewrites);
    out_bytes += packet::kVxlanOverIpv4Bytes;
  } else if (rewrites) {
    rewrite_macs(common.frame, hop, mac);
  }
  packet->data_off = static_cast<std::uint16_t>(out - static_cast<std::uint8_t*>(packet->buf_addr));
  packet->data_len = static_cast<std::uint16_t>(out_bytes);
  packet->pkt_len = out_bytes;
  transmitter_.send(hop.port, packet, burst.port.index, now);
  return Fate::kForwarded;
}

[[gnu::always_inline]] inline FastPath::Fate FastPath::forward(const Slot& slot, const Burst& burst,
                                                               rte_mbuf* packet) {
  if (slot.shape == Shape::kV4) [[likely]]
    return forward_key(slot, slot.key4, burst, packet);
  if (slot.shape == Shape::kV6) {
    return forward_key(slot, keys6_[static_cast<std::size_t>(&slot - slots_)], burst, packet);
  }
  return Fate::kSlow;
}

unsigned FastPath::forward_until_slow(const Burst& burst, unsigned i) {
  unsigned forwarded = 0;
  for (; i < burst.count; ++i) {
    const Fate fate = forward(slots_[i], burst, burst.packets[i]);
    if (fate == Fate::kSlow) [[unlikely]]
      break;
    forwarded += fate == Fate::kForwarded;
  }
  counters_.fast_packets.add(forwarded);
  return i;
}

}  // namespace gannet::dataplane
