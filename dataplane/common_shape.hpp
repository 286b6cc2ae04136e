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

inline constexpr std::uint32_t kEthernetBytes = sizeof(packet::EthernetHeader);
inline constexpr std::uint32_t kMinIpv4Frame = kEthernetBytes + 20 + 8;
inline constexpr std::uint32_t kMinIpv6Frame = kEthernetBytes + 40 + 8;
/// Of Ipv4Header::flags_offset, as they lie in memory.
inline constexpr std::uint16_t kIpv4FragmentBits =
    Be16(packet::kIpv4MoreFragments | packet::kIpv4OffsetMask).raw();

namespace detail {

// Each condition has a branch of its own here: none is ever taken, and a branch that the processor
// foresees is cheaper than a value that says whether it would be. `l4_bytes` is what the IP header
// promises: at least eight, and all there.

[[nodiscard, gnu::always_inline]] inline bool is_common_udp(const std::uint8_t* l4,
                                                            std::uint32_t l4_bytes) {
  constexpr std::uint32_t kHeader = sizeof(packet::UdpHeader);
  const std::uint32_t length = packet::header_at<packet::UdpHeader>(l4).length.host();
  return length - kHeader <= l4_bytes - kHeader;
}

[[nodiscard, gnu::always_inline]] inline bool is_common_tcp(const std::uint8_t* l4,
                                                            std::uint32_t l4_bytes) {
  if (l4_bytes < sizeof(packet::TcpHeader)) return false;
  const auto& tcp = packet::header_at<packet::TcpHeader>(l4);
  constexpr std::uint8_t kSpecial = packet::kTcpSyn | packet::kTcpFin | packet::kTcpRst;
  const std::uint32_t header = tcp.header_bytes();
  return (tcp.flags & (kSpecial | packet::kTcpAck)) == packet::kTcpAck &&
         header >= sizeof(packet::TcpHeader) && header <= l4_bytes;
}

// An echo's request or answer, of the types given.
[[nodiscard]] inline bool is_common_echo(const std::uint8_t* l4, std::uint8_t request,
                                         std::uint8_t reply) {
  const auto& icmp = packet::header_at<packet::IcmpHeader>(l4);
  return icmp.code == 0 && (icmp.type == request || icmp.type == reply);
}

// The ports of an echo's key, as they lie in memory: the identifier, then type and code as they
// stand at the head of the message.
[[nodiscard]] inline std::uint32_t echo_ports(const std::uint8_t* l4) {
  return packet::header_at<packet::IcmpHeader>(l4).identifier.raw() | load<std::uint32_t>(l4) << 16;
}

}  // namespace detail

/// Whether a frame holds a common IPv4 packet (no options, no fragment, TTL above 1); fills in the
/// words of its key. `zone_word` is Ip4Key::zone_word() of where it comes from. The key is made in
/// registers: its parts stored one by one and then loaded as words would stall for some 20 cycles.
[[nodiscard, gnu::always_inline]] inline bool read_common_v4(const std::uint8_t* frame,
                                                             std::uint32_t size,
                                                             std::uint64_t zone_word,
                                                             flows::Ip4Key::Words& key) {
  static_assert(std::endian::native == std::endian::little);
  if (size < kMinIpv4Frame) [[unlikely]]
    return false;
  // EtherType, version and header length in one compare.
  if ((load<std::uint32_t>(frame + 12) & 0x00ff'ffff) != 0x0045'0008) [[unlikely]]
    return false;
  const auto& ip = packet::header_at<packet::Ipv4Header>(frame + kEthernetBytes);
  const std::uint32_t total = ip.total_length.host();
  if ((ip.flags_offset.raw() & kIpv4FragmentBits) != 0) [[unlikely]]
    return false;
  if (ip.ttl <= 1) [[unlikely]]
    return false;
  // At least eight bytes behind its header, and all of it there: one compare, as too few would be
  // very many.
  if (total - 28 > size - kMinIpv4Frame) [[unlikely]]
    return false;
  key.w[0] = (load<std::uint64_t>(&ip.ttl) & ~flows::Ip4Key::kZoneMask) | zone_word;
  key.w[1] = load<std::uint64_t>(&ip.destination);  // And the ports behind it.
  const std::uint8_t* const l4 = frame + kEthernetBytes + 20;
  if (ip.protocol == packet::kProtoUdp) [[likely]]
    return detail::is_common_udp(l4, total - 20);
  if (ip.protocol == packet::kProtoTcp) return detail::is_common_tcp(l4, total - 20);
  key.w[1] = ip.destination.raw() | std::uint64_t{detail::echo_ports(l4)} << 32;
  return ip.protocol == packet::kProtoIcmp &&
         detail::is_common_echo(l4, packet::kIcmpEchoRequest, packet::kIcmpEchoReply);
}

/// The same for IPv6 (no extension headers, hop limit above 1).
[[nodiscard]] inline bool read_common_v6(const std::uint8_t* frame, std::uint32_t size,
                                         std::uint64_t zone_word, flows::Ip6Key& key) {
  if (size < kMinIpv6Frame) return false;
  const auto& ethernet = packet::header_at<packet::EthernetHeader>(frame);
  const auto& ip = packet::header_at<packet::Ipv6Header>(frame + kEthernetBytes);
  if (ethernet.ether_type.host() != packet::kEtherTypeIpv6 || ip.version() != 6) return false;
  const std::uint32_t payload = ip.payload_length.host();
  if (ip.hop_limit <= 1 || payload - 8 > size - kMinIpv6Frame) return false;
  store(&key, static_cast<std::uint32_t>(zone_word));  // And the protocol between its parts.
  key.protocol = ip.next_header;
  key.tuple.source = ip.source;
  key.tuple.destination = ip.destination;
  const std::uint8_t* const l4 = frame + kEthernetBytes + 40;
  const auto ports =
      ip.next_header == packet::kProtoIcmp6 ? detail::echo_ports(l4) : load<std::uint32_t>(l4);
  store(&key.tuple.source_port, ports);
  switch (ip.next_header) {
    case packet::kProtoUdp:
      // Over IPv6 UDP has to have a checksum (RFC 8200, 8.1).
      return packet::header_at<packet::UdpHeader>(l4).checksum.raw() != 0 &&
             detail::is_common_udp(l4, payload);
    case packet::kProtoTcp: return detail::is_common_tcp(l4, payload);
    case packet::kProtoIcmp6:
      return detail::is_common_echo(l4, packet::kIcmp6EchoRequest, packet::kIcmp6EchoReply);
    default: return false;
  }
}

/// The TOS or traffic class of an IP packet. \param ip its first byte.
[[nodiscard]] inline std::uint8_t common_tos(const std::uint8_t* ip, bool is_v4) {
  return is_v4 ? ip[1] : static_cast<std::uint8_t>(ip[0] << 4 | ip[1] >> 4);
}

/// The length of a common IP packet, header included. \param ip its first byte.
[[nodiscard]] inline std::uint16_t common_ip_bytes(const std::uint8_t* ip, bool is_v4) {
  if (is_v4) return packet::header_at<packet::Ipv4Header>(ip).total_length.host();
  return static_cast<std::uint16_t>(
      packet::header_at<packet::Ipv6Header>(ip).payload_length.host() + 40);
}

/// This end of the tunnels: what the packets of all of them are addressed to.
class TunnelEnd {
 public:
  TunnelEnd(Ip4 vtep, Be16 udp_port)
      : address_(vtep.value.raw() | std::uint64_t{udp_port.raw()} << 48) {}

 private:
  friend class CommonTunnel;
  // As destination address and both ports follow each other on the wire, with any source port.
  static constexpr std::uint64_t kMask = 0xffff'0000'ffff'ffff;
  std::uint64_t address_;
};

/// A look at the outer headers of a frame from the underlay, of kMinIpv4Frame bytes at least.
class CommonTunnel {
 public:
  explicit CommonTunnel(std::uint8_t* frame) : frame_(frame) {}

  /// Whether the frame may be a packet to `end`: if not it is certainly none.
  [[nodiscard, gnu::always_inline]] bool may_lead_to(const TunnelEnd& end) const {
    return ((load<std::uint64_t>(&ip().destination) ^ end.address_) & TunnelEnd::kMask) == 0;
  }
  /// Whether such a frame, of `size` bytes, is a plain VXLAN packet with a frame in it that may be
  /// of the common shape. All else holds only where that is true.
  [[nodiscard, gnu::always_inline]] bool is_plain(std::uint32_t size) const;

  [[nodiscard]] Ip4 source() const { return ip().source; }
  [[nodiscard]] std::uint8_t tos() const { return ip().tos; }
  /// With the lowest byte as zero: vni << 8.
  [[nodiscard]] Be32 vni() const {
    constexpr std::uint32_t kMask = Be32(0xffff'ff00).raw();
    return Be32::from_raw(vxlan().vni_reserved.raw() & kMask);
  }
  [[nodiscard]] std::uint8_t* inner_frame() const { return frame_ + packet::kVxlanOverIpv4Bytes; }
  [[nodiscard]] std::uint16_t inner_bytes() const {
    return static_cast<std::uint16_t>(ip().total_length.host() - kOuterBytes);
  }

 private:
  static constexpr std::uint32_t kOuterBytes = packet::kVxlanOverIpv4Bytes - kEthernetBytes;

  [[nodiscard]] const packet::Ipv4Header& ip() const {
    return packet::header_at<packet::Ipv4Header>(frame_ + kEthernetBytes);
  }
  [[nodiscard]] const packet::UdpHeader& udp() const {
    return packet::header_at<packet::UdpHeader>(frame_ + kEthernetBytes + 20);
  }
  [[nodiscard]] const packet::VxlanHeader& vxlan() const {
    return packet::header_at<packet::VxlanHeader>(frame_ + kEthernetBytes + 28);
  }

  std::uint8_t* frame_;
};

inline bool CommonTunnel::is_plain(std::uint32_t size) const {
  if (size < packet::kVxlanOverIpv4Bytes + kMinIpv4Frame) return false;
  if ((load<std::uint32_t>(frame_ + 12) & 0x00ff'ffff) != 0x0045'0008) return false;
  if (ip().protocol != packet::kProtoUdp) return false;
  if ((ip().flags_offset.raw() & kIpv4FragmentBits) != 0) return false;
  if ((vxlan().flags & packet::kVxlanFlagVni) == 0) return false;
  const std::uint32_t total = ip().total_length.host();
  if (total + kEthernetBytes > size) return false;
  if (udp().length.host() + 20u != total) return false;
  return total >= kOuterBytes + kMinIpv4Frame;
}

}  // namespace gannet::dataplane
