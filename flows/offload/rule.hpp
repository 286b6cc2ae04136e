// SPDX-License-Identifier: BSD-3-Clause
// One direction of a connection as a card has to know it: everything that the decision read, and
// everything that is done. It is a full copy, so that whoever installs it needs no table of a
// worker, and plain data, so that two of them can be compared: an unchanged rule need not be
// touched. Free of DPDK. Made by the worker that owns the connection, read by the offload thread.
#pragma once

#include "flows/action.hpp"
#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"
#include "flows/next_hop.hpp"

#include <cstdint>

namespace gannet::offload {

/// Both ends of a packet, of either family.
struct Ends {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;       // Of an ICMP query: the identifier.
  std::uint16_t destination_port = 0;  // Of an ICMP query: type << 8 | code.
  friend bool operator==(const Ends&, const Ends&) = default;
};

/// The tunnel that packets of the flow must have come through.
struct TunnelMatch {
  Ip4 source{};
  Ip4 destination{};  // This host's VTEP.
  std::uint32_t vni = 0;
  std::uint16_t udp_port = 0;
  Mac destination_mac{};  // Of the outer frame: the uplink's.
  friend bool operator==(const TunnelMatch&, const TunnelMatch&) = default;
};

struct Rule {
  // What packets have to look like.
  std::uint16_t in_port = 0;  // Ethdev: the representor of the VF or of the uplink.
  std::uint8_t protocol = 0;
  std::uint8_t tos = 0;   // Of the (inner) packet; see matches_tos() and matches_ecn().
  Mac source_mac{};       // Of a VM's frames; zero: not looked at.
  Mac destination_mac{};  // Of the (inner) frame.
  TunnelMatch tunnel;     // If flags has kDecapsulate.
  Ends before;

  // What is done to them.
  std::uint16_t flags = 0;     // flows::ActionFlags.
  std::uint16_t out_port = 0;  // Ethdev.
  std::uint16_t max_ip_bytes = 0;
  std::uint16_t outer_source_port = 0;
  Ends after;
  Mac neighbor_mac{};  // Destination on the underlay, if the packet leaves by it.
  std::uint32_t neighbor = flows::kNoNeighbor;
  flows::NextHop hop;  // Its headers; neighbor and port of it mean nothing here.

  // Who it is charged to.
  std::uint16_t eni = 0xffff;

  [[nodiscard]] bool has(flows::ActionFlags flag) const { return (flags & flag) != 0; }
  [[nodiscard]] bool is_v4() const { return before.source.is_v4(); }
  /// The outer headers are constants of the rule, and the inner TOS decides about one of them (RFC
  /// 6040, 4.1): other packets must not take the rule.
  [[nodiscard]] bool matches_tos() const { return has(flows::kEncapsulate); }
  /// At the end of a tunnel the outer ECN may change the inner one (RFC 6040, 4.2). With both the
  /// same, or the outer one zero, it does not: the rule takes only those. With an inner ECN of zero
  /// any other outer one is for software; else both are matched.
  [[nodiscard]] bool matches_ecn() const { return has(flows::kDecapsulate); }
  [[nodiscard]] std::uint8_t ecn() const { return tos & 3; }
};

/// Whether the card would do the same for the same packets.
[[nodiscard]] bool is_same(const Rule& a, const Rule& b);
/// Whether both are for the same packets, TOS apart: of two such rules one hides the other.
[[nodiscard]] bool is_same_match(const Rule& a, const Rule& b);
/// The same for rules of which that is true.
[[nodiscard]] std::uint32_t match_hash(const Rule& rule);

}  // namespace gannet::offload
