// SPDX-License-Identifier: BSD-3-Clause
// Applying an action to a packet: header fields, checksums by their ready-made changes, MACs or a
// whole tunnel header from the next hop. The same functions serve the fast path and the slow path,
// so both write the same bytes; the fast path calls them with constants, and the compiler removes
// what does not apply. Bounds have been checked by whoever parsed the packet. Any thread; a few
// nanoseconds.
#pragma once

#include "flows/action.hpp"
#include "flows/next_hop.hpp"
#include "flows/packet/checksum.hpp"
#include "flows/packet/headers.hpp"

#include <cstdint>
#include <cstring>

namespace gannet::dataplane {

/// Writes ports (or the ICMP identifier) and the L4 checksum. `l4` is the header of `protocol`.
template <typename Ip>
[[gnu::always_inline]] inline void rewrite_l4(std::uint8_t* l4, std::uint8_t protocol,
                                              const flows::Action<Ip>& action) {
  // Both ports at once, as they lie in the tuple and at the head of TCP and UDP.
  const auto ports = load<std::uint32_t>(&action.tuple.source_port);
  if (protocol == packet::kProtoUdp) [[likely]] {
    auto& udp = packet::header_at<packet::UdpHeader>(l4);
    store(l4, ports);
    udp.checksum = packet::update_udp(udp.checksum, action.l4_delta);
  } else if (protocol == packet::kProtoTcp) {
    auto& tcp = packet::header_at<packet::TcpHeader>(l4);
    store(l4, ports);
    tcp.checksum = packet::update(tcp.checksum, action.l4_delta);
  } else if (protocol == packet::kProtoIcmp || protocol == packet::kProtoIcmp6) {
    auto& icmp = packet::header_at<packet::IcmpHeader>(l4);
    icmp.identifier = action.tuple.source_port;
    icmp.checksum = packet::update(icmp.checksum, action.l4_delta);
  }
}

/// Rewrites an IPv4 packet. \param l4 its L4 header, or null if it holds none (later fragments).
/// \param flags the action's.
[[gnu::always_inline]] inline void rewrite_ip(std::uint8_t* ip_bytes, std::uint8_t* l4,
                                              std::uint8_t protocol,
                                              const flows::Action<Ip4>& action,
                                              std::uint16_t flags) {
  auto& ip = packet::header_at<packet::Ipv4Header>(ip_bytes);
  static_assert(flows::kDecrementTtl == 1);
  ip.ttl = static_cast<std::uint8_t>(ip.ttl - (flags & flows::kDecrementTtl));
  ip.checksum = packet::update(ip.checksum, action.ip_delta);
  if ((flags & flows::kRewriteTuple) == 0) return;
  // Both addresses at once.
  store(&ip.source, load<std::uint64_t>(&action.tuple.source));
  if (l4 != nullptr) rewrite_l4(l4, protocol, action);
}

/// Rewrites an IPv6 packet.
[[gnu::always_inline]] inline void rewrite_ip(std::uint8_t* ip_bytes, std::uint8_t* l4,
                                              std::uint8_t protocol,
                                              const flows::Action<Ip6>& action,
                                              std::uint16_t flags) {
  auto& ip = packet::header_at<packet::Ipv6Header>(ip_bytes);
  ip.hop_limit = static_cast<std::uint8_t>(ip.hop_limit - (flags & flows::kDecrementTtl));
  if ((flags & flows::kRewriteTuple) == 0) return;
  ip.source = action.tuple.source;
  ip.destination = action.tuple.destination;
  if (l4 != nullptr) rewrite_l4(l4, protocol, action);
}

/// Only the hop itself, for packets whose addresses have been translated already (ICMP errors).
inline void rewrite_hop(std::uint8_t* ip_bytes, bool is_v4, std::uint16_t flags) {
  if ((flags & flows::kDecrementTtl) == 0) return;
  if (!is_v4) {
    --packet::header_at<packet::Ipv6Header>(ip_bytes).hop_limit;
    return;
  }
  auto& ip = packet::header_at<packet::Ipv4Header>(ip_bytes);
  --ip.ttl;
  packet::ChecksumDelta delta;
  delta.replace(Be16(0x0200), Be16(0x0100));
  ip.checksum = packet::update(ip.checksum, delta.folded());
}

/// Writes the next hop's tunnel headers before an inner Ethernet frame; kVxlanOverIpv4Bytes of
/// headroom are there. With `rewrites_macs` the inner Ethernet header is replaced too.
/// \param frame_bytes of the inner frame. \param tos of the inner IP header: becomes the outer
/// one's, DSCP and ECN (RFC 6040, 4.1, normal mode). \param mac of the underlay neighbour,
/// Mac::raw(). \return the first byte of the outer frame.
[[gnu::always_inline]] inline std::uint8_t* encapsulate(std::uint8_t* frame,
                                                        std::uint32_t frame_bytes,
                                                        const flows::NextHop& hop, Be16 source_port,
                                                        std::uint8_t tos, std::uint64_t mac,
                                                        bool rewrites_macs) {
  std::uint8_t* const outer = frame - packet::kVxlanOverIpv4Bytes;
  // The MAC and two bytes more, then all from the source MAC on in two blocks that overlap.
  constexpr std::size_t kBlock = 32;
  store(outer, mac);
  std::memcpy(outer + 6, hop.bytes() + 6, kBlock);
  const std::size_t last = (rewrites_macs ? sizeof hop : packet::kVxlanOverIpv4Bytes) - kBlock;
  std::memcpy(outer + last, hop.bytes() + last, kBlock);
  auto& ip = packet::header_at<packet::Ipv4Header>(outer + sizeof(packet::EthernetHeader));
  auto& udp = packet::header_at<packet::UdpHeader>(outer + sizeof(packet::EthernetHeader) +
                                                   sizeof(packet::Ipv4Header));
  const auto ip_length = static_cast<std::uint16_t>(frame_bytes + 36);
  ip.tos = tos;
  ip.total_length = Be16(ip_length);
  // The hop's is without both; TOS is the second byte of the first word.
  ip.checksum =
      Be16(packet::subtract(packet::subtract(hop.outer_ip.checksum.host(), ip_length), tos));
  udp.source_port = source_port;
  udp.length = Be16(static_cast<std::uint16_t>(frame_bytes + 16));
  return outer;
}

/// Writes the Ethernet header of a hop without a tunnel. \param mac of the underlay neighbour, or 0
/// if the hop knows its MAC.
[[gnu::always_inline]] inline void rewrite_macs(std::uint8_t* frame, const flows::NextHop& hop,
                                                std::uint64_t mac) {
  std::memcpy(frame, &hop.ethernet, 12);
  if (hop.leaves_by_underlay()) store(frame, Mac::from_raw(mac));
}

/// The ECN rules at the end of a tunnel (RFC 6040, 4.2), applied to the inner IP header.
/// \return false if the packet must be dropped: congestion was marked on one whose sender does not
/// understand marks.
[[nodiscard]] bool decapsulate_ecn(std::uint8_t outer_tos, std::uint8_t* inner_ip, bool is_v4);

}  // namespace gannet::dataplane
