// SPDX-License-Identifier: BSD-3-Clause
// The guards: rules of the card's first table that stand before the flows' rules. They keep back
// what an exact match cannot refuse, and let everything plain go on to the flows' table:
//
//   priority 0   TTL 0 and 1 (of the inner packet too), packets longer than the path carries: to
//   software priority 1   IPv4 without options and fragments, IPv6: to the flows' table no match
//   everything else: to software
//
// Where they can be counted, for their audit, rules that everything matches stand behind the flows'
// rules and in the table of what goes to software.
//
// A table without a match hands the packet to the representor of the port that it came in by.
#pragma once

#include "flows/offload/compile.hpp"

#include <cstdint>
#include <functional>

namespace gannet::offload {

struct GuardConfig {
  std::uint16_t max_ip_bytes =
      0xffff;  // The least that any path carries; longer packets are kept back.
  std::uint16_t vxlan_port = 4789;
};

/// Calls `install(attributes, pattern, actions)` for each guard that the card can have; stops when
/// that returns false. \return whether it never did.
bool for_each_guard(
    const GuardConfig& config, const Capabilities& can,
    const std::function<bool(const rte_flow_attr&, const Pattern&, const Actions&)>& install);

}  // namespace gannet::offload
