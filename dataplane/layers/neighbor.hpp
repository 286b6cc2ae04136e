// SPDX-License-Identifier: BSD-3-Clause
// ARP (RFC 826) and neighbour discovery (RFC 4861). Nothing is flooded: the switch knows who has
// which address and answers every question itself, to VMs for all addresses of their VPC and to the
// underlay for its own addresses and the public ones of this host. Answers are written over the
// question. Stateless; any worker.
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/frame.hpp"
#include "flows/packet/parse.hpp"

namespace gannet::dataplane {

class NeighborAnswers final {
 public:
  /// Answers a VM's ARP request in place. \return kNone if the frame is now an answer to be sent
  /// back.
  [[nodiscard]] static DropReason answer_arp(Frame& frame, const packet::Parsed& parsed,
                                             const Ingress& in, const Snapshot& policy) noexcept;
  /// The same for neighbour and router solicitations. The frame is ICMPv6 with its checksum
  /// checked.
  [[nodiscard]] static DropReason answer_nd(Frame& frame, const packet::Parsed& parsed,
                                            const Ingress& in, const Snapshot& policy) noexcept;

  /// The same for ARP requests from the underlay.
  [[nodiscard]] static DropReason answer_underlay_arp(Frame& frame, const packet::Parsed& parsed,
                                                      const Snapshot& policy) noexcept;
};

/// Whether an ARP message is a request or a reply about IPv4 over Ethernet: the lengths of its
/// fields are what the header's layout says, and it may teach (RFC 826, "Packet Reception").
[[nodiscard]] bool is_ipv4_arp(const packet::ArpHeader& arp);

/// Whether an ICMPv6 type is of neighbour discovery.
[[nodiscard]] constexpr bool is_nd(std::uint8_t type) {
  return type >= packet::kIcmp6RouterSolicitation && type <= packet::kIcmp6Redirect;
}

}  // namespace gannet::dataplane
