// SPDX-License-Identifier: BSD-3-Clause
// Stateful security groups, judged at the ENI for its own addresses: egress before any translation
// of the ENI's, ingress after it. Rules go in list order and the first match wins; what matches
// nothing takes the group's default; every group of the ENI must allow (R24). Replies are not
// judged here: they belong to a connection.
#pragma once

#include "dataplane/first_packet.hpp"

namespace gannet::dataplane {

class SecurityGroups final {
 public:
  /// For the sending ENI of a VM's packet. Leaves the deciding rule in first.egress_rule.
  [[nodiscard]] static DropReason judge_egress(FirstPacket& first) noexcept;
  /// For a receiving ENI of this host. Leaves the deciding rule in first.ingress_rule.
  [[nodiscard]] static DropReason judge_ingress(FirstPacket& first) noexcept;
};

}  // namespace gannet::dataplane
