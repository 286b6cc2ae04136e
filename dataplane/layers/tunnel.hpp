// SPDX-License-Identifier: BSD-3-Clause
// The receiving end of a VXLAN tunnel (RFC 7348): is the outer packet for this host, well formed,
// for a known VNI and from a host of that VPC; then the inner frame goes on alone. Stateless; any
// worker. (The sending end is ready-made: flows/next_hop.hpp and dataplane/rewrite.hpp.)
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/frame.hpp"
#include "flows/packet/parse.hpp"

namespace gannet::dataplane {

class Tunnel final {
 public:
  /// Whether a frame from the underlay is addressed to this host's tunnel endpoint.
  [[nodiscard]] static bool is_addressed(const Frame& frame, const packet::Parsed& parsed,
                                         const Underlay& underlay) noexcept;

  /// Takes the outer headers off and fills in `in`. `has_bad_checksum`: the NIC says so.
  /// \return kNone, with `frame` the inner frame; else why not, with `frame` as it was.
  [[nodiscard]] static DropReason open(Frame& frame, const packet::Parsed& parsed,
                                       const Snapshot& policy, bool has_bad_checksum,
                                       Ingress& in) noexcept;
};

}  // namespace gannet::dataplane
