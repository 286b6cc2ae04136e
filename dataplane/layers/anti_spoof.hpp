// SPDX-License-Identifier: BSD-3-Clause
// Anti-spoofing: an ENI sends only from its own addresses, and nobody sends from or to addresses
// that cannot be on a network. The source MAC has been checked against the port's ENI before.
#pragma once

#include "dataplane/first_packet.hpp"

namespace gannet::dataplane {

class AntiSpoof final {
 public:
  /// For packets of a VM.
  [[nodiscard]] static DropReason judge(FirstPacket& first) noexcept;
  /// For every packet: LAND, loopback, multicast and zero addresses (R20).
  [[nodiscard]] static DropReason judge_addresses(const IpTuple& tuple) noexcept;
};

}  // namespace gannet::dataplane
