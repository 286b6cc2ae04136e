// SPDX-License-Identifier: BSD-3-Clause
// The load balancer: a connection to a listener's VIP and port goes to one of its backends, chosen
// by consistent hashing (tables/maglev.hpp). A connection stays with its backend for as long as the
// policy has it in the pool, healthy or not.
#pragma once

#include "dataplane/first_packet.hpp"

namespace gannet::dataplane {

class LoadBalancer final {
 public:
  /// Whether the destination is a VIP as seen from `vpc` (kNoIndex: from the public side).
  [[nodiscard]] static bool is_vip(const Snapshot& policy, std::uint16_t vpc,
                                   const IpAddress& destination) noexcept;

  /// If the current destination is a VIP as seen from first.vpc, translates it to a backend and
  /// sets first.vpc to the backend's VPC. Passes everything else.
  [[nodiscard]] static DropReason judge(FirstPacket& first) noexcept;
};

}  // namespace gannet::dataplane
