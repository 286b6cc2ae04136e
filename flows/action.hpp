// SPDX-License-Identifier: BSD-3-Clause
// The action: all header changes of one direction of a connection, composed into one (the
// "transposition" of VFP, Firestone 2017, 5). It is computed once, by the slow path, and is then
// applied to every packet without looking at any policy. Software applies it with
// dataplane/rewrite, hardware with the rule that flows/offload makes of it; both must give the same
// bytes.
#pragma once

#include "flows/base/byte_order.hpp"
#include "flows/base/ip.hpp"
#include "flows/key.hpp"

#include <cstdint>

namespace gannet::flows {

/// What an action does, one bit each.
enum ActionFlags : std::uint16_t {
  kDecrementTtl = 1 << 0,  // A routed hop (R26). The lowest: what the TTL is decremented by.
  kDecapsulate = 1 << 1,   // Take off the outer headers up to the inner Ethernet header.
  kEncapsulate = 1 << 2,   // Put the next hop's VXLAN headers before the packet.
  kRewriteMacs = 1 << 3,   // Put the next hop's inner Ethernet header over the packet's.
  kRewriteTuple = 1 << 4,  // Addresses or ports change.
};

inline constexpr std::uint32_t kNoNextHop = 0xffff'ffff;

/// The action of one direction. `ip_delta` and `l4_delta` are the folded checksum changes that
/// follow from the other fields (RFC 1624), the TTL's decrement included.
template <typename Ip>
struct Action {
  Tuple<Ip> tuple;         // What the packet carries afterwards.
  std::uint16_t ip_delta;  // Of the IPv4 header checksum; 0 for IPv6.
  std::uint16_t l4_delta;  // Of the TCP, UDP or ICMP checksum.
  std::uint16_t flags;     // ActionFlags.
  std::uint16_t
      max_ip_bytes;        // Longer IP packets do not fit behind the output: slow path (G16, G17).
  std::uint32_t next_hop;  // Index into the snapshot's next hops; they know the output port.
  Be16 outer_source_port;  // Of the VXLAN header; constant for the flow (V8, V9).
};

/// Fills in both deltas of `action`, which turns packets with `before` (of `protocol`) into packets
/// with action.tuple.
void compute_deltas(Action<Ip4>& action, std::uint8_t protocol, const Ip4Tuple& before);
void compute_deltas(Action<Ip6>& action, std::uint8_t protocol, const Ip6Tuple& before);

/// Whether two actions do the same to a packet.
template <typename Ip>
[[nodiscard]] bool same_action(const Action<Ip>& a, const Action<Ip>& b) {
  return a.tuple == b.tuple && a.flags == b.flags && a.next_hop == b.next_hop &&
         a.outer_source_port == b.outer_source_port && a.max_ip_bytes == b.max_ip_bytes;
}

}  // namespace gannet::flows
