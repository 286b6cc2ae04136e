// SPDX-License-Identifier: BSD-3-Clause
// A packet on the slow path, and what its parts read. Free of DPDK.
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/frame.hpp"
#include "dataplane/messages.hpp"
#include "dataplane/trace.hpp"
#include "dataplane/tuple.hpp"
#include "flows/packet/parse.hpp"
#include "flows/tcp.hpp"

#include <cstdint>

namespace gannet::dataplane {

/// A packet on the slow path: its (inner) Ethernet frame and where it came in.
struct SlowPacket {
  Frame& frame;
  const Ingress& in;
  HandOver came = HandOver::kNone;
  // First fragment of a packet all of whose fragments are here, with so many bytes; 0: it is not.
  std::uint32_t whole_bytes = 0;
  Trace* trace = nullptr;
  packet::Parsed parsed{};  // Filled in by handle().

  [[nodiscard]] bool is_whole() const { return whole_bytes != 0; }
};

// Addresses of a packet of which nothing but the IP header may be there (fragments).
inline IpTuple address_tuple(const Frame& frame, const packet::Parsed& parsed) {
  if (parsed.l3 == packet::L3::kIpv4) {
    return tuple_of(flows::make_key<flows::Ip4Key>({}, frame.data, parsed));
  }
  return tuple_of(flows::make_key<flows::Ip6Key>({}, frame.data, parsed));
}

inline bool is_icmp(const packet::Parsed& parsed) {
  return (parsed.l3 == packet::L3::kIpv4 && parsed.protocol == packet::kProtoIcmp) ||
         (parsed.l3 == packet::L3::kIpv6 && parsed.protocol == packet::kProtoIcmp6);
}

inline std::uint8_t icmp_type(const packet::Parsed& parsed) {
  return static_cast<std::uint8_t>(parsed.destination_port >> 8);
}

// Of a packet in fragments, which are all here, the payload is that of all of them.
inline flows::TcpSegment segment_of(const SlowPacket& packet) {
  const packet::Parsed& parsed = packet.parsed;
  const std::uint32_t end = parsed.is_fragment ? parsed.fragment_start + packet.whole_bytes
                                               : std::uint32_t{parsed.end_offset};
  return flows::read_segment(packet.frame.data + parsed.l4_offset,
                             unsigned{parsed.payload_offset} - parsed.l4_offset,
                             end - parsed.payload_offset);
}

}  // namespace gannet::dataplane
