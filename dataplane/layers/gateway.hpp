// SPDX-License-Identifier: BSD-3-Clause
// The switch's own addresses: subnet gateways, VIPs, and this host on the underlay. They answer
// ping and nothing else that is IP. The answer is written over the question. Stateless; any worker.
#pragma once

#include "dataplane/drops.hpp"
#include "dataplane/first_packet.hpp"
#include "dataplane/frame.hpp"
#include "flows/packet/parse.hpp"

namespace gannet::dataplane {

class GatewayService final {
 public:
  /// Whether the packet is addressed to the switch itself as seen from where it came in.
  [[nodiscard]] static bool is_addressed(const IpTuple& tuple, const Ingress& in,
                                         const Snapshot& policy) noexcept;

  /// Turns an echo request into its answer, to be sent back where it came from.
  /// \return kNone if the frame is now an answer.
  [[nodiscard]] static DropReason answer(Frame& frame, const packet::Parsed& parsed,
                                         const IpTuple& tuple) noexcept;
};

}  // namespace gannet::dataplane
