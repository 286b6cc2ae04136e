// SPDX-License-Identifier: BSD-3-Clause
// The compiler's workbench: the policy, the snapshot that grows, and what the stages hand on to
// each other. Internal to control/compile.
#pragma once

#include "control/compile/compiler.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gannet::control {

struct CompileWork {
  CompileWork(const Policy& source, const HostFacts& facts, const BackendStates& states,
              Identities& numbers, std::uint32_t conforming_generation, dataplane::Snapshot& target,
              SnapshotNames& target_names)
      : policy(source),
        host(facts),
        backends(states),
        identities(numbers),
        conforming(conforming_generation),
        snapshot(target),
        names(target_names) {}

  const Policy& policy;
  const HostFacts& host;
  const BackendStates& backends;
  Identities& identities;
  std::uint32_t conforming;
  dataplane::Snapshot& snapshot;
  SnapshotNames& names;

  // By name.
  std::unordered_map<std::string_view, std::uint16_t> vpcs;
  std::unordered_map<std::string_view, std::uint16_t> enis;
  std::unordered_map<std::string_view, std::uint16_t> groups;
  std::unordered_map<std::string_view, std::uint16_t> nat_gateways;
  std::map<std::pair<std::string_view, std::string_view>, std::uint16_t> subnets;  // VPC, subnet.
  std::vector<dataplane::Lpm> subnets_of_vpc;  // By VPC index; values are subnet indices.
  struct HashAddress {
    std::size_t operator()(const dataplane::AddressKey& key) const { return key.hash(); }
  };
  std::unordered_map<dataplane::AddressKey, std::uint32_t, HashAddress> endpoints;
  std::set<std::pair<std::uint16_t, Ip4>> known_peers;
  // Entries of the exact maps, which are built at the end.
  std::vector<dataplane::ExactMap<dataplane::AddressKey>::Entry> addresses;
  std::vector<dataplane::ExactMap<dataplane::AddressKey>::Entry> publics;
  std::vector<dataplane::ExactMap<dataplane::ListenerKey>::Entry> listeners;
  std::vector<dataplane::ExactMap<dataplane::TunnelPeerKey>::Entry> peers;
  std::vector<dataplane::ExactMap<dataplane::NumberKey>::Entry> vnis;
  std::set<std::pair<std::uint16_t, IpAddress>> probed;  // Backends with a health check, by VPC.
};

/// Adds a next hop. \return its index; the caller may know it already.
std::uint32_t add_hop(CompileWork& work, const flows::NextHop& hop);
dataplane::Endpoint& add_endpoint(CompileWork& work, std::uint16_t vpc, const IpAddress& ip,
                                  const dataplane::Endpoint& endpoint);

// The stages, in the order in which they run.
void compile_underlay(CompileWork& work);
[[nodiscard]] Result<void> compile_vpcs(CompileWork& work);
void compile_groups(CompileWork& work);
[[nodiscard]] Result<void> compile_enis(CompileWork& work);
void compile_mappings(CompileWork& work);
void compile_nat_gateways(CompileWork& work);
void compile_routes(CompileWork& work);
void compile_load_balancers(CompileWork& work);

}  // namespace gannet::control
