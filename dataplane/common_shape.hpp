// SPDX-License-Identifier: BSD-3-Clause
// Recognising the common shape: a plain IPv4 or IPv6 packet of TCP, UDP or ICMP echo with nothing
// odd about it, straight from a port or inside a tunnel. It takes a handful of loads and compares
// to know one, and they are all that is needed to build its key. Whatever is not certainly of this
// shape is left to the full parser and the slow path, which decide the same for it. Any thread;
// some ten nanoseconds for a whole burst's worth of prefetched headers.
#pragma once

#include "flows/key.hpp"
#include "flows/packet/headers.hpp"

#include <bit>
#include <cstdint>

namespace gannet::dataplane {

/// What the fast path knows of a packet of the common shape.
struct CommonPacket {
  std::uint8_t* frame;        // The (inner) Ethernet header.
  std::uint32_t frame_bytes;  // Of the (inner) frame, padding included.
  std::uint16_t ip_bytes;     // Of the IP packet.
  std::uint8_t protocol;
  bool is_v4;
};

inline constexpr std::uint32_t kEthernetBytes = sizeof(packet::EthernetHeader);
inline constexpr std::uint32_t kMinIpv4Frame = kEthernetBytes + 20 + 8;
inline constexpr std::uint32_t kMinIpv6Frame = kEthernetBytes + 40 + 8;

namespace detail {

// Looks at an L4 header with at least eight bytes; `l4_bytes` is what the IP header promises and
// what is there. On success writes the two ports of the key, as they lie in memory.
[[nodiscard, gnu::always_inline]] inline bool read_common_l4(const std::uint8_t* l4,
                                                             std::uint32_t l4_bytes,
                                                             std::uint8_t protocol,
                                                             std::uint64_t& ports) {
  ports = load<std::uint32_t>(l4);
  if (protocol == packet::kProtoUdp) [[likely]] {
    const std::uint32_t length = load<Be16>(l4 + 4).host();
    return length >= sizeof(packet::UdpHeader) && length <= l4_bytes;
  }
  if (protocol == packet::kProtoTcp) {
    if (l4_bytes < sizeof(packet::TcpHeader)) return false;
    const auto& tcp = packet::header_at<packet::TcpHeader>(l4);
    constexpr std::uint8_t kSpecial = packet::kTcpSyn | packet::kTcpFin | packet::kTcpRst;
    const std::uint32_t header = tcp.header_bytes();
    return (tcp.flags & (kSpecial | packet::kTcpAck)) == packet::kTcpAck &&
           header >= sizeof(packet::TcpHeader) && header <= l4_bytes;
  }
  // The identifier, and type and code as they stand at the head of the message.
  const auto& icmp = packet::header_at<packet::IcmpHeader>(l4);
  ports = static_cast<std::uint32_t>(icmp.identifier.raw() | ports << 16);
  if (icmp.code != 0) return false;
  if (protocol == packet::kProtoIcmp) {
    return icmp.type == packet::kIcmpEchoRequest || icmp.type == packet::kIcmpEchoReply;
  }
  return protocol == packet::kProtoIcmp6 &&
         (icmp.type == packet::kIcmp6EchoRequest || icmp.type == packet::kIcmp6EchoReply);
}

}  // namespace detail

/// Whether a frame holds a common IPv4 packet (no options, no fragment, TTL above 1); fills in
/// `out` and the words of its key. The key is made in registers: its parts stored one by one and
/// then loaded as words would stall for some 20 cycles.
[[nodiscard, gnu::always_inline]] inline bool read_common_v4(std::uint8_t* frame,
                                                             std::uint32_t size, flows::Zone zone,
                                                             CommonPacket& out,
                                                             flows::Ip4Key::Words& key) {
  static_assert(std::endian::native == std::endian::little);
  if (size < kMinIpv4Frame) [[unlikely]]
    return false;
  // EtherType, version and header length in one compare.
  if ((load<std::uint32_t>(frame + 12) & 0x00ff'ffff) != 0x0045'0008) [[unlikely]]
    return false;
  const auto& ip = packet::header_at<packet::Ipv4Header>(frame + kEthernetBytes);
  const std::uint32_t total = ip.total_length.host();
  constexpr std::uint16_t kFragmentBits =
      Be16(packet::kIpv4MoreFragments | packet::kIpv4OffsetMask).raw();
  if ((ip.flags_offset.raw() & kFragmentBits) != 0 || ip.ttl <= 1) [[unlikely]]
    return false;
  if (total < 28 || total + kEthernetBytes > size) [[unlikely]]
    return false;
  std::uint64_t ports;
  const bool is_common =
      detail::read_common_l4(frame + kEthernetBytes + 20, total - 20, ip.protocol, ports);
  constexpr std::uint64_t kProtocolAndSource = 0xffff'ffff'0000'ff00;
  key.w[0] = (load<std::uint64_t>(&ip.ttl) & kProtocolAndSource) |
             static_cast<std::uint64_t>(zone.kind) | std::uint64_t{zone.index} << 16;
  key.w[1] = ip.destination.raw() | ports << 32;
  out = {frame, size, static_cast<std::uint16_t>(total), ip.protocol, true};
  return is_common;
}

/// The same for IPv6 (no extension headers, hop limit above 1).
[[nodiscard]] inline bool read_common_v6(std::uint8_t* frame, std::uint32_t size, flows::Zone zone,
                                         CommonPacket& out, flows::Ip6Key& key) {
  if (size < kMinIpv6Frame) return false;
  const auto& ethernet = packet::header_at<packet::EthernetHeader>(frame);
  const auto& ip = packet::header_at<packet::Ipv6Header>(frame + kEthernetBytes);
  if (ethernet.ether_type.host() != packet::kEtherTypeIpv6 || ip.version() != 6) return false;
  const std::uint32_t payload = ip.payload_length.host();
  if (ip.hop_limit <= 1 || payload < 8 || payload + kEthernetBytes + 40 > size) return false;
  key.zone_kind = zone.kind;
  key.zone_index = zone.index;
  key.protocol = ip.next_header;
  key.tuple.source = ip.source;
  key.tuple.destination = ip.destination;
  out = {frame, size, static_cast<std::uint16_t>(payload + 40), ip.next_header, false};
  // Over IPv6 UDP has to have a checksum (RFC 8200, 8.1).
  if (ip.next_header == packet::kProtoUdp &&
      packet::header_at<packet::UdpHeader>(frame + kEthernetBytes + 40).checksum.raw() == 0) {
    return false;
  }
  std::uint64_t ports;
  const bool is_common =
      detail::read_common_l4(frame + kEthernetBytes + 40, payload, ip.next_header, ports);
  store(reinterpret_cast<std::uint8_t*>(&key.tuple.source_port), static_cast<std::uint32_t>(ports));
  return is_common;
}

/// What the outer headers of a common VXLAN packet say.
struct CommonTunnel {
  Ip4 source;
  std::uint32_t vni;
  std::uint8_t tos;
  std::uint32_t inner_bytes;  // Of the inner frame, at kVxlanOverIpv4Bytes.
};

/// Whether a frame from the underlay is a plain VXLAN packet to `vtep`.
[[nodiscard]] inline bool read_common_tunnel(const std::uint8_t* frame, std::uint32_t size,
                                             Ip4 vtep, std::uint16_t udp_port, CommonTunnel& out) {
  if (size < packet::kVxlanOverIpv4Bytes + kMinIpv4Frame) return false;
  if ((load<std::uint32_t>(frame + 12) & 0x00ff'ffff) != 0x0045'0008) return false;
  const auto& ip = packet::header_at<packet::Ipv4Header>(frame + 14);
  const auto& udp = packet::header_at<packet::UdpHeader>(frame + 34);
  const auto& vxlan = packet::header_at<packet::VxlanHeader>(frame + 42);
  constexpr std::uint16_t kFragmentBits =
      Be16(packet::kIpv4MoreFragments | packet::kIpv4OffsetMask).raw();
  const std::uint32_t total = ip.total_length.host();
  const bool is_plain = ip.protocol == packet::kProtoUdp && ip.destination == vtep &&
                        udp.destination_port.host() == udp_port &&
                        (ip.flags_offset.raw() & kFragmentBits) == 0 &&
                        total + kEthernetBytes <= size && udp.length.host() + 20u == total &&
                        total >= 36 + kMinIpv4Frame && (vxlan.flags & packet::kVxlanFlagVni) != 0;
  out = {ip.source, vxlan.vni_reserved.host() >> 8, ip.tos, total - 36};
  return is_plain;
}

}  // namespace gannet::dataplane
