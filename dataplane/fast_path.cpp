// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fast_path.hpp"

#include "dataplane/rewrite.hpp"

namespace gannet::dataplane {
namespace {

constexpr unsigned kPrefetchAhead = 4;
static_assert(Transmitter::kLaneRoom >= FastPath::kBurst);
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

struct FastPath::Arrival {
  const Snapshot& policy;
  std::uint64_t port_mac;
  std::uint64_t zone_word;
  std::uint64_t origin;
  Ip4 vtep;
  Be16 vxlan_port;
  flows::HashSeed seed;
  flows::FlowBuckets buckets;
};

// Takes off the tunnel of a frame from the underlay, if it has one. \return whether the fast path
// may go on with it.
[[gnu::always_inline]] inline bool FastPath::open_tunnel(const Arrival& arrival, Slot& slot,
                                                         std::uint64_t& zone_word) {
  CommonTunnel tunnel;
  if (!read_common_tunnel(slot.frame, slot.frame_bytes, arrival.vtep, arrival.vxlan_port, tunnel)) {
    return true;
  }
  if (tunnel.vni != last_vni_) [[unlikely]] {
    last_vni_ = tunnel.vni;
    const std::uint16_t vpc = arrival.policy.find_vpc({tunnel.vni.host() >> 8});
    last_zone_word_ =
        vpc == kNoIndex ? kNoZone : flows::Ip4Key::zone_word({flows::ZoneKind::kTunnel, vpc});
  }
  zone_word = last_zone_word_;
  if (zone_word == kNoZone) [[unlikely]]
    return false;
  slot.frame += packet::kVxlanOverIpv4Bytes;
  slot.frame_bytes = tunnel.inner_bytes;
  slot.origin |= flows::Flow<flows::Ip4Key>::origin_word(0, tunnel.source);
  const unsigned outer_ecn = tunnel.tos & 3u;
  if (outer_ecn != 0) [[unlikely]] {
    const bool is_v4 = load<Be16>(slot.frame + 12).host() == packet::kEtherTypeIpv4;
    if (outer_ecn != (tos_of(slot.frame + kEthernetBytes, is_v4) & 3u)) return false;
  }
  return true;
}

template <PortRole role>
[[gnu::always_inline]] inline void FastPath::read_one(const Arrival& arrival,
                                                      const rte_mbuf* packet, Slot& slot) {
  // The slot is written once, when all is known.
  Slot read{};
  slot.shape = Shape::kOdd;
  read.frame = rte_pktmbuf_mtod(packet, std::uint8_t*);
  read.frame_bytes = packet->data_len;
  read.origin = arrival.origin;
  if (packet->nb_segs != 1) [[unlikely]]
    return;
  if (read.frame_bytes < kMinIpv4Frame) [[unlikely]]
    return;
  if (has_bad_checksum(packet)) [[unlikely]]
    return;
  std::uint64_t zone_word = arrival.zone_word;
  if constexpr (role == PortRole::kVm) {
    if (source_mac(read.frame) != arrival.port_mac) [[unlikely]]
      return;
  } else {
    // A port without a role has a MAC that no frame can have.
    if (destination_mac(read.frame) != arrival.port_mac) [[unlikely]]
      return;
    if (!open_tunnel(arrival, read, zone_word)) return;
  }
  slot.frame = read.frame;
  slot.frame_bytes = read.frame_bytes;
  slot.origin = read.origin;
  flows::Ip4Key::Words key;
  if (!read_common_v4(read.frame, read.frame_bytes, zone_word, key)) [[unlikely]]
    return read_v6(slot, zone_word);
  slot.shape = Shape::kV4;
  slot.hash = flows::hash(key, arrival.seed);
  arrival.buckets.prefetch(slot.hash);
  store(&slot.key4, key);
}

// A frame that holds no common IPv4 packet.
void FastPath::read_v6(Slot& slot, std::uint64_t zone_word) {
  flows::Ip6Key& key = keys6_[&slot - slots_];
  if (!read_common_v6(slot.frame, slot.frame_bytes, zone_word, key)) return;
  slot.shape = Shape::kV6;
  slot.hash = connections_.v6().hash_of(key);
  connections_.v6().index().prefetch(slot.hash);
}

template <PortRole role>
void FastPath::read_all(const Burst& burst) {
  if (last_generation_ != burst.policy.generation) [[unlikely]] {
    last_generation_ = burst.policy.generation;
    last_vni_ = Be32(kNoVni);
  }
  const Underlay& underlay = burst.policy.underlay;
  const auto& table = connections_.v4();
  const Arrival arrival{burst.policy,
                        burst.port.mac,
                        flows::Ip4Key::zone_word(burst.port.zone),
                        burst.policy.generation,
                        underlay.vtep,
                        Be16(underlay.vxlan_port),
                        table.seed(),
                        table.index()};
  rte_mbuf* const* const packets = burst.packets;
  const unsigned count = burst.count;
  for (unsigned i = 0; i < count; ++i) {
    if (i + kPrefetchAhead < count) {
      __builtin_prefetch(rte_pktmbuf_mtod(packets[i + kPrefetchAhead], const void*));
    }
    read_one<role>(arrival, packets[i], slots_[i]);
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
  const flows::FlowBuckets buckets = connections_.v4().index();
  auto* const records = connections_.v4().records();
  for (unsigned i = 0; i < count; ++i) {
    Slot& slot = slots_[i];
    if (slot.shape == Shape::kV4) [[likely]] {
      const flows::FlowRef ref = buckets.first_candidate(slot.hash);
      slot.ref = ref;
      if (!ref.is_valid()) [[unlikely]]
        continue;
      auto& connection = records[ref.connection()];
      __builtin_prefetch(&connection.flow(ref.direction()));
      __builtin_prefetch(&connection.shared, 1);
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

// After a change of policy. All of a burst at once: it is the memory that takes the time. A
// candidate of another key does no harm: the change does not concern its connection either.
void FastPath::bring_up(const Burst& burst) {
  flows::FlowRef refs4[kBurst];
  flows::FlowRef refs6[kBurst];
  unsigned count4 = 0;
  unsigned count6 = 0;
  for (unsigned i = 0; i < burst.count; ++i) {
    const Slot& slot = slots_[i];
    if (slot.shape == Shape::kOdd || !slot.ref.is_valid()) continue;
    (slot.shape == Shape::kV4 ? refs4[count4++] : refs6[count6++]) = slot.ref;
  }
  connections_.bring_up<flows::Ip4Key>({refs4, count4}, burst.policy);
  connections_.bring_up<flows::Ip6Key>({refs6, count6}, burst.policy);
}

// An ENI's bandwidth is charged where the packet is received, once.
[[gnu::always_inline]] inline bool FastPath::exceeds_rate(const Burst& burst,
                                                          const rte_mbuf* packet) {
  PortContext& port = burst.port;
  return port.bytes_per_second != 0 && !burst.is_handed_over &&
         !port.rx_bucket.take(port.bytes_per_second, packet->pkt_len, burst.now, kBandwidthBurst);
}

template <typename Key>
struct FastPath::Departure {
  flows::Connection<Key>* records;
  const flows::NextHop* next_hops;
  Ticks ticks;
  bool is_limited;  // The port's bandwidth.
  Transmitter::Lane lane;
};

template <typename Key>
[[gnu::always_inline]] inline FastPath::Fate FastPath::forward(Slot& slot, const Key& key,
                                                               const Burst& burst,
                                                               Departure<Key>& departure,
                                                               rte_mbuf* packet) {
  const flows::FlowRef ref = slot.ref;
  if (!ref.is_valid()) [[unlikely]]
    return find_again(slot, key, burst, packet);
  flows::Connection<Key>& connection = departure.records[ref.connection()];
  const flows::Flow<Key>& flow = connection.flow(ref.direction());
  if (!(flow.key == key)) [[unlikely]]
    return find_again(slot, key, burst, packet);
  if (flow.origin_word() != slot.origin) [[unlikely]]
    return forward_odd(flow, burst, packet);
  if (!flow.forwards(flow.arrival_word(), destination_mac(slot.frame))) [[unlikely]]
    return forward_odd(flow, burst, packet);
  if (slot.frame_bytes - kEthernetBytes > flow.action.max_ip_bytes) [[unlikely]]
    return Fate::kSlow;
  const flows::NextHop& hop = departure.next_hops[flow.action.next_hop];
  std::uint64_t mac = 0;
  if (hop.leaves_by_underlay()) {
    mac = neighbors_.mac_of(hop.neighbor);
    if (mac == 0) [[unlikely]]
      return Fate::kSlow;
  }
  if (departure.is_limited && exceeds_rate(burst, packet)) [[unlikely]] {
    transmitter_.drop(packet, burst.port.index, DropReason::eni_rate_limit);
    return Fate::kForwarded;
  }
  forward_hit<Key>(slot, ref, connection, hop, mac, burst, departure, packet);
  return Fate::kForwarded;
}

// The flow does not say what to do with this packet.
template <typename Key>
FastPath::Fate FastPath::forward_odd(const flows::Flow<Key>& flow, const Burst& burst,
                                     rte_mbuf* packet) {
  if (flow.kind != flows::FlowKind::kRedirect) return Fate::kSlow;
  return hand_over(static_cast<std::uint16_t>(flow.action.next_hop), burst, packet);
}

// There is another flow with the same tag, or one that came after the look-up; or none. A packet of
// no flow here may be of a connection that another worker owns.
template <typename Key>
FastPath::Fate FastPath::find_again(Slot& slot, const Key& key, const Burst& burst,
                                    rte_mbuf* packet) {
  slot.ref = connections_.table<Key>().find(key, slot.hash);
  if (slot.ref.is_valid()) return Fate::kFound;
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
[[gnu::always_inline]] inline void FastPath::forward_hit(const Slot& slot, flows::FlowRef ref,
                                                         flows::Connection<Key>& connection,
                                                         const flows::NextHop& hop,
                                                         std::uint64_t mac, const Burst& burst,
                                                         Departure<Key>& departure,
                                                         rte_mbuf* packet) {
  constexpr bool kIsV4 = sizeof(typename Key::Ip) == 4;
  const flows::Flow<Key>& flow = connection.flow(ref.direction());
  std::uint8_t* const frame = slot.frame;
  std::uint8_t* const ip = frame + kEthernetBytes;
  std::uint8_t* const l4 = ip + (kIsV4 ? 20 : 40);
  const std::uint8_t protocol = flow.key.protocol;
  const std::uint32_t frame_bytes = slot.frame_bytes;
  bool refreshes = true;
  if (protocol == packet::kProtoTcp) {
    const unsigned header = packet::header_at<packet::TcpHeader>(l4).header_bytes();
    const unsigned l4_bytes = common_ip_bytes(ip, kIsV4) - (kIsV4 ? 20 : 40);
    const flows::TcpVerdict verdict = connections_.track<Key>(
        ref, flows::read_segment(l4, header, l4_bytes - header), departure.ticks);
    if (!flows::passes(verdict)) return drop_segment(flow.key, verdict, burst, packet);
    refreshes = verdict == flows::TcpVerdict::kPass;
  }
  flows::account(connection.shared, ref.direction(), frame_bytes, departure.ticks, refreshes);
  const std::uint8_t tos = tos_of(ip, kIsV4);
  if (flow.offload.state > flows::OffloadState::kRefused) [[unlikely]] {
    connections_.notice<Key>(ref, {tos, common_ip_bytes(ip, kIsV4)}, burst.policy, burst.now);
  }

  const std::uint16_t flags = flow.action.flags;
  const bool rewrites = (flags & flows::kRewriteMacs) != 0;
  rewrite_ip(ip, l4, protocol, flow.action);
  std::uint8_t* out = frame;
  std::uint32_t out_bytes = frame_bytes;
  if ((flags & flows::kEncapsulate) != 0) {
    out = encapsulate(frame, out_bytes, hop, flow.action.outer_source_port, tos, mac, rewrites);
    out_bytes += packet::kVxlanOverIpv4Bytes;
  } else if (rewrites) {
    rewrite_macs(frame, hop, mac);
  }
  packet->data_off = static_cast<std::uint16_t>(out - static_cast<std::uint8_t*>(packet->buf_addr));
  packet->data_len = static_cast<std::uint16_t>(out_bytes);
  packet->pkt_len = out_bytes;
  if (hop.port != departure.lane.port) [[unlikely]] {
    departure.lane = transmitter_.change_lane(departure.lane, hop.port, burst.port.index);
    if (departure.lane.port != hop.port) {
      return transmitter_.send(hop.port, packet, burst.port.index, burst.now);
    }
  }
  departure.lane.push(packet);
}

template <typename Key>
unsigned FastPath::forward_row(const Burst& burst, unsigned i) {
  constexpr bool kIsV4 = sizeof(Key) == sizeof(flows::Ip4Key);
  constexpr Shape kShape = kIsV4 ? Shape::kV4 : Shape::kV6;
  Departure<Key> departure{
      connections_.table<Key>().records(),
      burst.policy.next_hops.data(),
      to_ticks(burst.now),
      burst.port.bytes_per_second != 0 && !burst.is_handed_over,
      {},
  };
  rte_mbuf* const* const packets = burst.packets;
  const unsigned count = burst.count;
  const unsigned begin = i;
  unsigned handed_over = 0;
  while (i < count && slots_[i].shape == kShape) {
    Slot& slot = slots_[i];
    Fate fate;
    if constexpr (kIsV4) {
      fate = forward(slot, slot.key4, burst, departure, packets[i]);
    } else {
      fate = forward(slot, keys6_[i], burst, departure, packets[i]);
    }
    if (fate == Fate::kFound) [[unlikely]]
      continue;
    if (fate == Fate::kSlow) [[unlikely]]
      break;
    if (fate == Fate::kHandedOver) [[unlikely]]
      ++handed_over;
    ++i;
  }
  transmitter_.close_lane(departure.lane, burst.port.index);
  counters_.fast_packets.add(i - begin - handed_over);
  return i;
}

unsigned FastPath::forward_until_slow(const Burst& burst, unsigned i) {
  while (i < burst.count) {
    const Shape shape = slots_[i].shape;
    if (shape == Shape::kOdd) break;
    i = shape == Shape::kV4 ? forward_row<flows::Ip4Key>(burst, i)
                            : forward_row<flows::Ip6Key>(burst, i);
    if (i < burst.count && slots_[i].shape == shape) break;  // It has been refused.
  }
  return i;
}

}  // namespace gannet::dataplane
