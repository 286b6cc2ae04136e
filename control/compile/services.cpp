// SPDX-License-Identifier: BSD-3-Clause
// Routes, NAT gateways and load balancers: where packets go that leave their subnet.
#include "control/compile/work.hpp"

#include <algorithm>
#include <span>

namespace gannet::control {
namespace {

using dataplane::kNoIndex;
using dataplane::ListenerKey;

constexpr std::uint16_t kPublicSide = kNoIndex;  // The VPC of a ListenerKey that is none.

dataplane::Route compile_route(const CompileWork& work, const Route& route) {
  dataplane::Route compiled;
  compiled.prefix = *route.to;
  switch (route.via->kind()) {
    case ViaKind::kDrop: compiled.kind = dataplane::RouteKind::kDrop; break;
    case ViaKind::kInternet: compiled.kind = dataplane::RouteKind::kInternet; break;
    case ViaKind::kNatGateway:
      compiled.kind = dataplane::RouteKind::kNatGateway;
      compiled.target = work.nat_gateways.at(*route.via->nat_gateway);
      break;
    case ViaKind::kPeerVpc:
      compiled.kind = dataplane::RouteKind::kPeerVpc;
      compiled.target = work.vpcs.at(*route.via->peer_vpc);
      break;
  }
  return compiled;
}

// The VPC's own networks, and the routes of the table over them: of equal prefixes the last counts.
dataplane::RouteTable compile_table(const CompileWork& work, const Vpc& vpc,
                                    const RouteTable* table) {
  dataplane::RouteTable compiled;
  std::vector<dataplane::Lpm::Entry> entries;
  const auto add = [&](const Prefix& prefix, const dataplane::Route& route) {
    entries.push_back({prefix, static_cast<std::uint32_t>(compiled.routes.size())});
    compiled.routes.push_back(route);
  };
  const auto add_local = [&](const Prefix& prefix) {
    add(prefix, {dataplane::RouteKind::kLocal, prefix, kNoIndex});
  };
  for (const auto& cidr : vpc.cidrs) add_local(*cidr);
  for (const Subnet& subnet : vpc.subnets) {
    for (const auto& block : subnet.blocks()) add_local(*block);
  }
  if (table != nullptr) {
    for (const Route& route : table->routes) add(*route.to, compile_route(work, route));
  }
  compiled.lpm = dataplane::Lpm(entries);
  return compiled;
}

// Of a VPC's gateways the first is for what has no public address of its own (layers/nat).
bool serves_internet_routes(const CompileWork& work, const NatGateway& gateway) {
  const auto& all = work.policy.nat_gateways;
  const auto first = std::find_if(all.begin(), all.end(),
                                  [&](const NatGateway& g) { return *g.vpc == *gateway.vpc; });
  return first->name == gateway.name;
}

// Whether the ENI has an IPv4 address for which its public one does not stand: that is the first's.
bool has_inside_address(const Eni& eni) {
  const auto count =
      std::count_if(eni.ips.begin(), eni.ips.end(), [](const auto& ip) { return ip->is_v4(); });
  const bool has_public = std::any_of(eni.public_ips.begin(), eni.public_ips.end(),
                                      [](const auto& ip) { return ip->is_v4(); });
  return count > (has_public ? 1 : 0);
}

bool leads_to(const CompileWork& work, const Eni& eni, const NatGateway& gateway) {
  const Vpc& vpc = *work.policy.vpcs.find(*eni.vpc);
  const Subnet& subnet = *vpc.subnets.find(*eni.subnet);
  if (!subnet.route_table.is_given) return false;
  for (const Route& route : work.policy.route_tables.find(*subnet.route_table)->routes) {
    const ViaKind kind = route.via->kind();
    if (kind == ViaKind::kInternet && serves_internet_routes(work, gateway) &&
        *eni.vpc == *gateway.vpc && has_inside_address(eni)) {
      return true;
    }
    if (kind == ViaKind::kNatGateway && *route.via->nat_gateway == gateway.name) return true;
  }
  return false;
}

void add_public(CompileWork& work, const IpAddress& ip, dataplane::PublicKind kind,
                std::uint16_t index) {
  work.publics.push_back(
      {{ip, 0}, static_cast<std::uint32_t>(work.snapshot.public_addresses.size())});
  work.snapshot.public_addresses.push_back({ip, kind, index});
}

dataplane::BackendPool compile_pool(const CompileWork& work, const LoadBalancer& balancer,
                                    const BackendPool& pool, const std::string& name) {
  dataplane::BackendPool compiled;
  for (const Backend& backend : pool.backends) {
    const BackendId id{name, backend_address(work.policy, balancer, backend), *backend.port};
    compiled.backends.push_back(
        {id.ip, id.port, backend.weight, !work.backends.unhealthy.contains(id)});
  }
  // Those that are leaving get no new flows. Nor do they count for the table: another host, which
  // may not know them, must have the same (L20).
  const std::size_t chosen_count = compiled.backends.size();
  for (const BackendId& id : work.backends.draining) {
    if (id.pool != name) continue;
    const bool is_back = std::any_of(
        compiled.backends.begin(), compiled.backends.end(),
        [&id](const dataplane::Backend& b) { return b.ip == id.ip && b.port == id.port; });
    if (!is_back) compiled.backends.push_back({id.ip, id.port, 0, true});
  }
  std::vector<dataplane::Maglev::Backend> choices;
  for (const dataplane::Backend& b : std::span(compiled.backends).first(chosen_count)) {
    choices.push_back({b.ip, b.port, b.is_healthy ? b.weight : std::uint16_t{0}});
  }
  compiled.maglev = dataplane::Maglev(choices);
  return compiled;
}

// A listener under the key of each side from which its VIP is reached.
void add_listener(CompileWork& work, const IpAddress& vip, const std::vector<std::uint16_t>& sides,
                  const Listener& listener, std::uint32_t index) {
  const std::uint16_t number = listener.proto.is_given ? listener.proto->number : Protocol::kAny;
  const std::uint8_t protocol =
      number == Protocol::kAny ? ListenerKey::kAnyProtocol : static_cast<std::uint8_t>(number);
  for (const std::uint16_t side : sides) {
    work.listeners.push_back({{vip, side, listener.port->number, protocol}, index});
  }
}

void compile_load_balancer(CompileWork& work, const LoadBalancer& balancer) {
  const Vpc& vpc = *work.policy.vpcs.find(*balancer.vpc);
  const std::uint16_t vpc_index = work.vpcs.at(vpc.name);
  const IpAddress& vip = *balancer.vip;
  const bool is_overlay = std::any_of(vpc.cidrs.begin(), vpc.cidrs.end(),
                                      [&](const auto& cidr) { return cidr->contains(vip); });
  std::vector<std::uint16_t> sides{vpc_index};
  if (!is_overlay) {
    sides.push_back(kPublicSide);
    add_public(work, vip, dataplane::PublicKind::kLoadBalancer, vpc_index);
  }
  std::unordered_map<std::string_view, std::uint32_t> pools;
  for (const BackendPool& pool : balancer.backend_pools) {
    const std::string name = balancer.name + "/" + pool.name;
    pools.emplace(pool.name, static_cast<std::uint32_t>(work.snapshot.pools.size()));
    work.snapshot.pools.push_back(compile_pool(work, balancer, pool, name));
    if (pool.health_check) {
      for (const Backend& backend : pool.backends) {
        work.probed.emplace(vpc_index, backend_address(work.policy, balancer, backend));
      }
    }
    work.names.pools.push_back(name);
  }
  for (const Listener& listener : balancer.listeners) {
    const auto index = static_cast<std::uint32_t>(work.snapshot.listeners.size());
    work.snapshot.listeners.push_back(
        {vpc_index, pools.at(*listener.backend_pool), listener.affinity == Affinity::kSourceIp});
    add_listener(work, vip, sides, listener, index);
  }
  for (const std::uint16_t side : sides) work.listeners.push_back({{vip, side, 0, 0}, 0});
}

}  // namespace

IpAddress backend_address(const Policy& policy, const LoadBalancer& balancer,
                          const Backend& backend) {
  if (!backend.eni.is_given) return *backend.ip;
  const Eni& eni = *policy.enis.find(*backend.eni);
  for (const auto& ip : eni.ips) {
    if (ip->family() == balancer.vip->family()) return *ip;
  }
  return *eni.ips.front();
}

void compile_nat_gateways(CompileWork& work) {
  for (const NatGateway& gateway : work.policy.nat_gateways) {
    const auto index = static_cast<std::uint16_t>(work.snapshot.nat_gateways.size());
    const auto block_ports = static_cast<std::uint16_t>(*gateway.ports_per_eni);
    dataplane::NatGateway compiled;
    compiled.vpc = work.vpcs.at(*gateway.vpc);
    compiled.block_ports = block_ports;
    compiled.block_of_eni.resize(work.snapshot.enis.size());
    const auto first_address = static_cast<std::uint16_t>(work.snapshot.nat_addresses.size());
    std::vector<Ip4> addresses;
    for (const auto& ip : gateway.public_ips) {
      addresses.push_back(ip->v4());
      add_public(work, *ip, dataplane::PublicKind::kNat,
                 static_cast<std::uint16_t>(work.snapshot.nat_addresses.size()));
      dataplane::NatAddress address;
      address.ip = ip->v4();
      address.gateway = index;
      address.block_ports = block_ports;
      address.eni_of_block.assign(dataplane::kNatPortCount / block_ports, kNoIndex);
      address.ports = work.identities.ports_of(address.ip);
      work.snapshot.nat_addresses.push_back(std::move(address));
    }
    for (const Eni& eni : work.policy.enis) {
      const std::uint16_t eni_index = work.enis.at(eni.name);
      if (!work.snapshot.enis[eni_index].is_local() || !leads_to(work, eni, gateway)) continue;
      const auto block = work.identities.blocks.get(gateway.name, eni.name, addresses, block_ports);
      if (!block) continue;  // No room: the ENI's packets say no_public_address.
      const auto address = static_cast<std::uint16_t>(first_address + block->address);
      compiled.block_of_eni[eni_index] = {
          address,
          static_cast<std::uint16_t>(dataplane::kFirstNatPort + block->number * block_ports),
          block_ports};
      work.snapshot.nat_addresses[address].eni_of_block[block->number] = eni_index;
    }
    work.nat_gateways.emplace(gateway.name, index);
    work.names.nat_gateways.push_back(gateway.name);
    work.snapshot.nat_gateways.push_back(std::move(compiled));
  }
}

void compile_routes(CompileWork& work) {
  for (const Vpc& vpc : work.policy.vpcs) {
    std::unordered_map<std::string_view, std::uint16_t> made;  // Tables of this VPC, by name.
    for (const Subnet& subnet : vpc.subnets) {
      const std::string_view name =
          subnet.route_table.is_given ? std::string_view(*subnet.route_table) : std::string_view();
      const auto [at, is_new] =
          made.emplace(name, static_cast<std::uint16_t>(work.snapshot.route_tables.size()));
      if (is_new) {
        const RouteTable* const table =
            name.empty() ? nullptr : work.policy.route_tables.find(name);
        work.snapshot.route_tables.push_back(compile_table(work, vpc, table));
      }
      work.snapshot.subnets[work.subnets.at({vpc.name, subnet.name})].route_table = at->second;
    }
  }
}

void compile_load_balancers(CompileWork& work) {
  for (const LoadBalancer& balancer : work.policy.load_balancers) {
    compile_load_balancer(work, balancer);
  }
}

}  // namespace gannet::control
