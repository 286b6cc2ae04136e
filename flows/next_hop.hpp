// SPDX-License-Identifier: BSD-3-Clause
// Ready-made headers towards one destination. Thousands of flows share a next hop, so the headers
// of a tunnel lie once in memory, one cache line, and not in every flow. Immutable once published
// with a snapshot; any worker reads it.
#pragma once

#include "flows/packet/headers.hpp"

#include <cstdint>

namespace gannet::flows {

inline constexpr std::uint32_t kNoNeighbor = 0xffff'ffff;

/// Headers in wire order, exactly as they go before the packet, with two exceptions: the first six
/// bytes (on the wire the destination MAC of the underlay) hold which neighbour's MAC goes there
/// and which port the packet leaves by; lengths, outer TOS, checksum and UDP source port are
/// written per packet. The outer IPv4 checksum is that of the header as it stands, with a TOS and a
/// total length of 0.
struct alignas(64) NextHop {
  std::uint32_t neighbor = kNoNeighbor;  // Index into the neighbour table.
  std::uint16_t port = 0;                // Output port (dataplane port id).
  Mac underlay_source{};
  Be16 outer_ether_type{0};
  packet::Ipv4Header outer_ip{};
  packet::UdpHeader outer_udp{};
  packet::VxlanHeader vxlan{};
  packet::EthernetHeader ethernet{};  // Of the (inner) packet, when the action rewrites MACs.

  /// The whole line as bytes.
  [[nodiscard]] const std::uint8_t* bytes() const {
    return reinterpret_cast<const std::uint8_t*>(this);
  }
  [[nodiscard]] bool leaves_by_underlay() const { return neighbor != kNoNeighbor; }
};
static_assert(sizeof(NextHop) == 64);
static_assert(offsetof(NextHop, underlay_source) == 6 && offsetof(NextHop, ethernet) == 50);

/// A next hop through a VXLAN tunnel (RFC 7348): outer DF, TTL 64, identification 0, no UDP
/// checksum.
[[nodiscard]] NextHop make_tunnel_hop(std::uint16_t port, std::uint32_t neighbor,
                                      Mac underlay_source, Ip4 local_vtep, Ip4 remote_vtep,
                                      std::uint16_t udp_port, std::uint32_t vni,
                                      Mac inner_destination, Mac inner_source,
                                      std::uint16_t inner_ether_type);

/// A next hop straight out of a port, to a known MAC.
[[nodiscard]] NextHop make_local_hop(std::uint16_t port, Mac destination, Mac source,
                                     std::uint16_t ether_type);

/// A next hop without a tunnel on the underlay, to the MAC of a neighbour.
[[nodiscard]] NextHop make_plain_hop(std::uint16_t port, std::uint32_t neighbor, Mac source,
                                     std::uint16_t ether_type);

}  // namespace gannet::flows
