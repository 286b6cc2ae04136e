// SPDX-License-Identifier: BSD-3-Clause
// Routing of a VM's packet: longest prefix wins among the routes of its subnet's table and the
// VPC's own networks; a mapping counts as a route to its one address. Says where the packet goes,
// not yet how.
#pragma once

#include "dataplane/first_packet.hpp"

namespace gannet::dataplane {

class Router final {
 public:
  /// Sets first.target, first.to, first.vpc and first.route.
  [[nodiscard]] static DropReason judge(FirstPacket& first) noexcept;
  /// The same for a packet that is already known to stay in first.vpc: sets first.target and
  /// first.to.
  [[nodiscard]] static DropReason judge_endpoint(FirstPacket& first) noexcept;
  /// Whether a packet to the internet may go to its destination as far as the underlay is
  /// concerned: never to this host or to one that has a tunnel with it; to their neighbours only by
  /// a route that names no more than their network, so that a default route does not lead there.
  [[nodiscard]] static DropReason judge_underlay(const FirstPacket& first) noexcept;
};

}  // namespace gannet::dataplane
