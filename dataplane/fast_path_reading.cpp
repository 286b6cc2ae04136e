// SPDX-License-Identifier: BSD-3-Clause
// The first pass over a burst: what its packets are, and the keys of those of the common shape.
#include "dataplane/fast_path.hpp"

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

// Whether the card found a checksum wrong: such packets must not touch a connection (F38), and the
// slow path counts them.
bool has_bad_checksum(const rte_mbuf* packet) {
  const std::uint64_t flags = packet->ol_flags;
  constexpr std::uint64_t kBad = RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD |
                                 RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD |
                                 RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
  if ((flags & kBad) == 0) [[likely]]
    return false;
  // With its "good" bit too each of them means that the card does not know; the outer IP header's
  // has none.
  return (flags & RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD) != 0 ||
         (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD ||
         (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD ||
         (flags & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK) == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
}

}  // namespace

struct FastPath::Arrival {
  const Snapshot& policy;
  std::uint64_t port_mac;
  std::uint64_t zone_word;
  std::uint64_t origin;
  TunnelEnd tunnel_end;
  LastTunnel last_tunnel;
  flows::HashSeed seed;
  flows::FlowBuckets buckets;
};

// What is known of a frame so far.
struct FastPath::Reading {
  std::uint8_t* frame;
  std::uint32_t bytes;
  std::uint64_t origin;
  std::uint64_t zone_word;
};

// Takes off the tunnel of a frame from the underlay, if it has one. \return whether the fast path
// may go on with it.
[[gnu::always_inline]] inline bool FastPath::open_tunnel(Arrival& arrival, Reading& reading) {
  const CommonTunnel tunnel(reading.frame);
  if (!tunnel.may_lead_to(arrival.tunnel_end)) return true;
  // Else it must not be taken for a packet without a tunnel: those may belong to another worker.
  if (!tunnel.is_plain(reading.bytes)) [[unlikely]]
    return false;
  LastTunnel& last = arrival.last_tunnel;
  if (tunnel.vni() != last.vni) [[unlikely]] {
    last.vni = tunnel.vni();
    const std::uint16_t vpc = arrival.policy.find_vpc({last.vni.host() >> 8});
    last.zone_word =
        vpc == kNoIndex ? kNoZone : flows::Ip4Key::zone_word({flows::ZoneKind::kTunnel, vpc});
  }
  if (last.zone_word == kNoZone) [[unlikely]]
    return false;
  reading = {tunnel.inner_frame(), tunnel.inner_bytes(),
             reading.origin | flows::Flow<flows::Ip4Key>::origin_word(0, tunnel.source()),
             last.zone_word};
  if ((tunnel.tos() & 3u) != 0) [[unlikely]] {
    const std::uint8_t* const inner = tunnel.inner_frame();
    const bool is_v4 = load<Be16>(inner + 12).host() == packet::kEtherTypeIpv4;
    return ((tunnel.tos() ^ common_tos(inner + kEthernetBytes, is_v4)) & 3u) == 0;
  }
  return true;
}

template <PortRole role>
[[gnu::always_inline]] inline FastPath::Shape FastPath::read_one(Arrival& arrival,
                                                                 const rte_mbuf* packet,
                                                                 Slot& slot) {
  // The slot is written once, when all is known.
  Reading reading{rte_pktmbuf_mtod(packet, std::uint8_t*), packet->data_len, arrival.origin,
                  arrival.zone_word};
  if (packet->nb_segs != 1) [[unlikely]]
    return Shape::kOdd;
  if (reading.bytes < kMinIpv4Frame) [[unlikely]]
    return Shape::kOdd;
  if (has_bad_checksum(packet)) [[unlikely]]
    return Shape::kOdd;
  if constexpr (role == PortRole::kVm) {
    if (source_mac(reading.frame) != arrival.port_mac) [[unlikely]]
      return Shape::kOdd;
  } else {
    // A port without a role has a MAC that no frame can have.
    if (destination_mac(reading.frame) != arrival.port_mac) [[unlikely]]
      return Shape::kOdd;
    if (!open_tunnel(arrival, reading)) [[unlikely]]
      return Shape::kOdd;
  }
  slot.frame = reading.frame;
  slot.frame_bytes = static_cast<std::uint16_t>(reading.bytes);
  slot.wanted.origin = reading.origin;
  flows::Ip4Key::Words key;
  if (!read_common_v4(reading.frame, reading.bytes, reading.zone_word, key)) [[unlikely]]
    return read_v6(slot, reading.zone_word);
  slot.wanted.hash = flows::hash(key, arrival.seed);
  arrival.buckets.prefetch(slot.wanted.hash);
  store(&slot.wanted.key4, key);
  return Shape::kV4;
}

// A frame that holds no common IPv4 packet.
FastPath::Shape FastPath::read_v6(Slot& slot, std::uint64_t zone_word) {
  flows::Ip6Key& key = keys6_[&slot - slots_];
  if (!read_common_v6(slot.frame, slot.frame_bytes, zone_word, key)) return Shape::kOdd;
  slot.wanted.hash = connections_.v6().hash_of(key);
  connections_.v6().index().prefetch(slot.wanted.hash);
  return Shape::kV6;
}

template <PortRole role>
std::uint64_t FastPath::read_all(const Burst& burst) {
  if (last_generation_ != burst.policy.generation) [[unlikely]] {
    last_generation_ = burst.policy.generation;
    last_tunnel_ = {};
  }
  const Underlay& underlay = burst.policy.underlay;
  const auto& table = connections_.v4();
  Arrival arrival{burst.policy,
                  burst.port.mac,
                  flows::Ip4Key::zone_word(burst.port.zone),
                  burst.policy.generation,
                  {underlay.vtep, Be16(underlay.vxlan_port)},
                  last_tunnel_,
                  table.seed(),
                  table.index()};
  rte_mbuf* const* const packets = burst.packets;
  const unsigned count = burst.count;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (i + kPrefetchAhead < count) {
      __builtin_prefetch(rte_pktmbuf_mtod(packets[i + kPrefetchAhead], const void*));
    }
    rte_mbuf* const packet = packets[i];
    Slot& slot = slots_[i];
    bytes += packet->pkt_len;
    slot.packet = packet;
    slot.shape = read_one<role>(arrival, packet, slot);
  }
  last_tunnel_ = arrival.last_tunnel;
  return bytes;
}

std::uint64_t FastPath::read(const Burst& burst) {
  return burst.port.role == PortRole::kVm ? read_all<PortRole::kVm>(burst)
                                          : read_all<PortRole::kUplink>(burst);
}

}  // namespace gannet::dataplane
