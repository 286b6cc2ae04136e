// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/compiler.hpp"

#include "control/compile/work.hpp"

namespace gannet::control {

std::uint32_t add_hop(CompileWork& work, const flows::NextHop& hop) {
  work.snapshot.next_hops.push_back(hop);
  return static_cast<std::uint32_t>(work.snapshot.next_hops.size() - 1);
}

dataplane::Endpoint& add_endpoint(CompileWork& work, std::uint16_t vpc, const IpAddress& ip,
                                  const dataplane::Endpoint& endpoint) {
  const auto index = static_cast<std::uint32_t>(work.snapshot.endpoints.size());
  work.addresses.push_back({{ip, vpc}, index});
  work.endpoints.emplace(dataplane::AddressKey{ip, vpc}, index);
  work.snapshot.endpoints.push_back(endpoint);
  return work.snapshot.endpoints.back();
}

Result<CompiledPolicy> compile(const Policy& policy, const HostFacts& host,
                               const BackendStates& backends, std::uint32_t generation,
                               std::uint32_t conforming, Identities& identities) {
  CompiledPolicy compiled;
  compiled.snapshot = std::make_unique<dataplane::Snapshot>();
  compiled.names.ports = host.ports;
  dataplane::Snapshot& snapshot = *compiled.snapshot;
  snapshot.generation = generation;
  snapshot.ports.resize(host.ports.size());
  CompileWork work(policy, host, backends, identities, conforming, snapshot, compiled.names);
  compile_underlay(work);
  if (const auto vpcs = compile_vpcs(work); !vpcs) return tl::unexpected(vpcs.error());
  compile_groups(work);
  if (const auto enis = compile_enis(work); !enis) return tl::unexpected(enis.error());
  compile_mappings(work);
  compile_nat_gateways(work);
  compile_routes(work);
  compile_load_balancers(work);
  snapshot.endpoint_of_address = dataplane::ExactMap<dataplane::AddressKey>(work.addresses);
  snapshot.public_of_address = dataplane::ExactMap<dataplane::AddressKey>(work.publics);
  snapshot.listener_of_key = dataplane::ExactMap<dataplane::ListenerKey>(work.listeners);
  snapshot.peer_of_key = dataplane::ExactMap<dataplane::TunnelPeerKey>(work.peers);
  snapshot.vpc_of_vni = dataplane::ExactMap<dataplane::NumberKey>(work.vnis);
  std::vector<dataplane::ExactMap<dataplane::AddressKey>::Entry> hosts;
  std::set<Ip4> known_hosts;
  for (const dataplane::TunnelPeer& peer : snapshot.tunnel_peers) {
    if (known_hosts.insert(peer.underlay_ip).second) hosts.push_back({{peer.underlay_ip, 0}, 0});
  }
  snapshot.tunnel_hosts = dataplane::ExactMap<dataplane::AddressKey>(hosts);
  std::vector<dataplane::ExactMap<dataplane::AddressKey>::Entry> probed;
  for (const auto& [vpc, ip] : work.probed) probed.push_back({{ip, vpc}, 0});
  snapshot.probed_addresses = dataplane::ExactMap<dataplane::AddressKey>(probed);
  snapshot.prepare_rule_hits(host.worker_count);
  identities.enis.end_of_policy(generation);
  identities.vpcs.end_of_policy(generation);
  identities.blocks.end_of_policy();
  return compiled;
}

}  // namespace gannet::control
