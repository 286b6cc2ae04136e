// SPDX-License-Identifier: BSD-3-Clause
// DHCPv4 (RFC 2131): the switch answers a VM's requests itself, with the address that the policy
// gives its ENI. There are no leases to remember: the answer depends on the policy alone. The
// answer is written over the question. Stateless; any worker.
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/frame.hpp"
#include "flows/packet/parse.hpp"

namespace gannet::dataplane {

class Dhcp final {
 public:
  /// Whether a VM's packet is a DHCP request (of either family) or an answer that it must not give.
  [[nodiscard]] static bool is_request(const packet::Parsed& parsed) noexcept {
    return parsed.protocol == packet::kProtoUdp && parsed.l3 == packet::L3::kIpv4 &&
           parsed.destination_port == packet::kDhcpServerPort &&
           parsed.source_port == packet::kDhcpClientPort;
  }
  [[nodiscard]] static bool is_server_message(const packet::Parsed& parsed) noexcept {
    if (parsed.protocol != packet::kProtoUdp) return false;
    return (parsed.l3 == packet::L3::kIpv4 && parsed.source_port == packet::kDhcpServerPort &&
            parsed.destination_port == packet::kDhcpClientPort) ||
           (parsed.l3 == packet::L3::kIpv6 && parsed.source_port == packet::kDhcp6ServerPort &&
            parsed.destination_port == packet::kDhcp6ClientPort);
  }

  /// Answers a request in place. \return kNone if the frame is now an answer to be sent back.
  [[nodiscard]] static DropReason answer(Frame& frame, const packet::Parsed& parsed,
                                         const Ingress& in, const Snapshot& policy) noexcept;
};

}  // namespace gannet::dataplane
