// SPDX-License-Identifier: BSD-3-Clause
// Reads a rule's attributes and pattern: checks them against the profile and turns them into a
// match over the packet key, with spec, last and mask as the rte_flow guide has them. Control
// threads.
#pragma once

#include "flows/emudpu/profile.hpp"
#include "flows/emudpu/table.hpp"

#include <cstdint>

#include <rte_flow.h>

namespace gannet::emudpu {

/// Which packets a table sees.
enum class Domain : std::uint8_t {
  kTransfer,  // All that enter the switch.
  kIngress,   // What a representor is about to receive.
  kEgress,    // What a program sends on a representor.
};

/// Finds the card's port behind an ethdev id.
class PortMap {
 public:
  virtual ~PortMap() = default;
  /// The index of the port, or -1 if the ethdev is none of this card's.
  [[nodiscard]] virtual int find_index(std::uint32_t port_id) const = 0;
};

struct PatternContext {
  const Profile& profile;
  const PortMap& ports;
  std::uint16_t port = 0;  // Index of the port that the rule is created on; 0 is the proxy.
  Domain domain = Domain::kTransfer;
  bool is_template = false;
};

/// The headers that a pattern names, by layer: what actions may count on.
struct PatternHeaders {
  std::uint32_t presence[2] = {};
};

/// \return 0, or a negative errno with `error` filled in.
[[nodiscard]] int parse_attributes(const rte_flow_attr& attr, const Profile& profile,
                                   Domain& domain, rte_flow_error* error);
/// \param masks  where not null, the items whose masks count instead of the pattern's own
/// (templates)
[[nodiscard]] int parse_pattern(const PatternContext& context, const rte_flow_item* items,
                                const rte_flow_item* masks, Match& match, PatternHeaders& headers,
                                rte_flow_error* error);

}  // namespace gannet::emudpu
