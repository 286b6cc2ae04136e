// SPDX-License-Identifier: BSD-3-Clause
// What the stages of a comparison share. Internal to control/reconcile.
#pragma once

#include "control/reconcile/compare.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace gannet::control {

struct CompareWork {
  const NamedSnapshot& before;
  const NamedSnapshot& after;
  dataplane::Changes& changes;

  struct HashAddress {
    std::size_t operator()(const dataplane::AddressKey& key) const { return key.hash(); }
  };
  std::unordered_set<dataplane::AddressKey, HashAddress> addresses{};
  // Regions of each group of the policy after, or Changes::kNone.
  std::vector<std::uint32_t> egress_regions{};
  std::vector<std::uint32_t> ingress_regions{};
  // By route table before and after.
  std::map<std::pair<std::uint16_t, std::uint16_t>, std::uint32_t> route_regions{};

  [[nodiscard]] bool is_same_hop(std::uint32_t old_hop, std::uint32_t new_hop) const {
    if (old_hop == dataplane::kNoHop || new_hop == dataplane::kNoHop) return old_hop == new_hop;
    return std::memcmp(&before.snapshot.next_hops[old_hop], &after.snapshot.next_hops[new_hop],
                       sizeof(flows::NextHop)) == 0;
  }
  [[nodiscard]] bool are_same_hops(const dataplane::HopPair& old_hops,
                                   const dataplane::HopPair& new_hops) const {
    return is_same_hop(old_hops.v4, new_hops.v4) && is_same_hop(old_hops.v6, new_hops.v6);
  }
  /// Whether two numbers are called the same; both may be none.
  [[nodiscard]] static bool is_same_name(const std::vector<std::string>& old_names,
                                         std::uint32_t old_index,
                                         const std::vector<std::string>& new_names,
                                         std::uint32_t new_index) {
    return SnapshotNames::at(old_names, old_index) == SnapshotNames::at(new_names, new_index);
  }
};

/// Fills in rules and the regions of each group.
void compare_groups(CompareWork& work);
/// Collects the addresses of which something is other.
void compare_addresses(CompareWork& work);
/// The routes and the NAT gateways of one ENI; it is there before and after.
void compare_routes(CompareWork& work, std::uint16_t eni);

}  // namespace gannet::control
