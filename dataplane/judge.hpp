// SPDX-License-Identifier: BSD-3-Clause
// The judge takes a connection's first packet through the layers, in the fixed order of its
// direction:
//
//   from a VM         anti-spoofing, egress groups, load balancer, route, NAT, ingress groups
//   from a tunnel     load balancer, delivery, ingress groups
//   from the underlay public address (NAT, load balancer), ingress groups
//
// It changes nothing but the FirstPacket and the NAT port that it takes, so the same code decides
// real packets, answers "what if", and runs policy tests without a dataplane. One for each worker.
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/layers/nat.hpp"

namespace gannet::dataplane {

class Judge final {
 public:
  /// \param mappings the worker's, or null when there is no worker.
  explicit Judge(NatMappings* mappings) : nat_(mappings) {}

  /// \return kNone if the connection may be opened; first then knows where it goes and as what.
  [[nodiscard]] DropReason decide(FirstPacket& first) noexcept;

 private:
  [[nodiscard]] DropReason decide_from_vm(FirstPacket& first) noexcept;
  [[nodiscard]] DropReason decide_from_tunnel(FirstPacket& first) noexcept;
  [[nodiscard]] DropReason decide_from_uplink(FirstPacket& first) noexcept;

  Nat nat_;
};

}  // namespace gannet::dataplane
