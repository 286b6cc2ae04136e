// SPDX-License-Identifier: BSD-3-Clause
// The card's own parser: Ethernet, up to two VLAN tags, IPv4 or IPv6 with its extension headers,
// TCP, UDP, ICMP, and the same again inside VXLAN. It recognises a header only if it is whole and
// its lengths fit; what it does not recognise has no presence bit and matches no item. It works out
// no checksum: what the wire's driver has found out is taken over (note_checksums). ASIC thread;
// some 20 ns for a packet without a tunnel.
#pragma once

#include "flows/emudpu/packet_key.hpp"

#include <array>
#include <cstdint>

namespace gannet::emudpu {

/// UDP ports behind which the parser looks for VXLAN; 0 is unused.
using VxlanPorts = std::array<std::uint16_t, 4>;

/// Where the headers of one layer begin; valid for those whose presence bit is set.
struct Layout {
  std::uint16_t eth = 0;
  std::uint16_t l3 = 0;
  std::uint16_t l4 = 0;
  std::uint16_t end = 0;  // Of VXLAN: where the inner frame begins.
};

struct ParsedPacket {
  Key key;
  Layout layouts[2];
};

/// \param bytes     the first segment of the packet
/// \param available bytes in it
/// \param size      bytes of the whole packet, at least `available`
void parse_packet(const std::uint8_t* bytes, std::uint32_t available, std::uint32_t size,
                  const VxlanPorts& vxlan_ports, ParsedPacket& out);

/// A hash of the outermost addresses, protocol and ports: what spreads packets over receive queues.
[[nodiscard]] std::uint32_t hash_flow(const ParsedPacket& packet);

}  // namespace gannet::emudpu
