// SPDX-License-Identifier: BSD-3-Clause
// What the numbers of a snapshot are called. Made together with the snapshot and kept by the
// control thread; the packet path knows no names.
#pragma once

#include "flows/base/ip.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace gannet::control {

struct SnapshotNames {
  std::vector<std::string> ports;         // By dataplane port id.
  std::vector<std::string> enis;          // By ENI index; empty: none.
  std::vector<std::string> vpcs;          // By VPC index; empty: none.
  std::vector<std::string> subnets;       // "vpc/subnet", by subnet index.
  std::vector<std::string> groups;        // By group index.
  std::vector<std::string> rules;         // "group/ingress/rule", by rule id.
  std::vector<std::string> nat_gateways;  // By NAT gateway index.
  std::vector<std::string> pools;         // "balancer/pool", by pool index.

  /// The name at an index, or "-" where there is none.
  [[nodiscard]] static const std::string& at(const std::vector<std::string>& names,
                                             std::uint32_t index);
};

}  // namespace gannet::control
