// SPDX-License-Identifier: BSD-3-Clause
// Address translation between VPCs and the internet: 1:1 public addresses, and NAT gateways with
// endpoint-independent mappings in port blocks. Source translation for packets that leave,
// destination translation for packets to a public address of this host, both for a VM that calls
// another by its public address (hairpin, RFC 4787 REQ-9). Owned by one worker, with the port
// mappings of its ENIs.
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/nat_mappings.hpp"

namespace gannet::dataplane {

class Nat final {
 public:
  /// \param mappings null for rehearsals without a worker: port 1024 of the block then stands for
  /// all.
  explicit Nat(NatMappings* mappings) : mappings_(mappings) {}

  /// For a VM's packet on its way to the internet. Leaves the held mapping, if any, in
  /// first.mapping.
  [[nodiscard]] DropReason translate_source(FirstPacket& first) noexcept;

  /// For a packet to a public address: finds the inside endpoint or backend and sets first.to. Says
  /// no_public_address if the destination is no public address of this host.
  [[nodiscard]] DropReason translate_destination(FirstPacket& first) noexcept;

 private:
  [[nodiscard]] DropReason translate_by_gateway(FirstPacket& first, const NatGateway& gateway);

  NatMappings* mappings_;
};

}  // namespace gannet::dataplane
