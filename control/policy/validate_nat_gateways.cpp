// SPDX-License-Identifier: BSD-3-Clause
// NAT gateways, and the public addresses of all who have some.
#include "control/policy/check.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace gannet::control {
namespace {

// Ports 1024 to 65535 are handed out (RFC 4787, REQ-3a keeps the others apart).
constexpr std::uint32_t kNatPorts = 64512;

// Gateways that a route table leads to.
std::set<std::string_view> gateways_of(const RouteTable& table) {
  std::set<std::string_view> gateways;
  for (const Route& route : table.routes) {
    if (route.via.is_given && route.via->nat_gateway.is_given)
      gateways.insert(*route.via->nat_gateway);
  }
  return gateways;
}

bool has_ipv4(const Eni& eni) {
  return std::any_of(eni.ips.begin(), eni.ips.end(),
                     [](const auto& ip) { return ip.is_given && ip->is_v4(); });
}

// How many ENIs go out by each gateway.
std::map<std::string_view, std::size_t> count_nat_users(const Policy& policy) {
  std::map<std::string_view, std::set<std::string_view>> gateways_of_table;
  for (const RouteTable& table : policy.route_tables)
    gateways_of_table[table.name] = gateways_of(table);
  std::map<std::string_view, std::size_t> users;
  for (const Eni& eni : policy.enis) {
    const Vpc* const vpc = find(policy.vpcs, eni.vpc);
    const Subnet* const subnet = vpc == nullptr ? nullptr : find(vpc->subnets, eni.subnet);
    if (subnet == nullptr || !subnet->route_table.is_given || !has_ipv4(eni)) continue;
    const auto found = gateways_of_table.find(*subnet->route_table);
    if (found == gateways_of_table.end()) continue;
    for (const auto gateway : found->second) ++users[gateway];
  }
  return users;
}

void check_nat_gateway(const Policy& policy, const NatGateway& gateway, std::size_t user_count,
                       Diagnostics& diagnostics) {
  const Vpc* const vpc = resolve(policy.vpcs, gateway.vpc, "VPC", diagnostics);
  for (const auto& ip : gateway.public_ips) {
    if (!check_unicast(ip, diagnostics)) continue;
    if (ip->is_v6()) {
      diagnostics.error(
          Slug::mixed_families, ip.place,
          fmt::format("NAT gateways translate IPv4; '{}' is IPv6", gannet::to_string(*ip)));
    } else if (vpc != nullptr && contains(vpc->cidrs, *ip)) {
      diagnostics.error(
          Slug::inside_vpc, ip.place,
          fmt::format("'{}' is an address of VPC '{}' itself", gannet::to_string(*ip), vpc->name));
    }
  }
  if (!gateway.ports_per_eni.is_given) return;
  const std::uint64_t blocks_per_ip = kNatPorts / *gateway.ports_per_eni;
  const std::uint64_t capacity = blocks_per_ip * gateway.public_ips.size();
  if (user_count <= capacity) return;
  diagnostics.error(
      Slug::nat_capacity, gateway.ports_per_eni.place,
      fmt::format("{} ENIs go out by NAT gateway '{}', which has {} blocks of {} ports; add public "
                  "addresses or make the blocks smaller",
                  user_count, gateway.name, capacity, *gateway.ports_per_eni));
}

}  // namespace

void validate_nat_gateways(const Policy& policy, Diagnostics& diagnostics) {
  const auto users = count_nat_users(policy);
  for (const NatGateway& gateway : policy.nat_gateways) {
    const auto found = users.find(gateway.name);
    check_nat_gateway(policy, gateway, found == users.end() ? 0 : found->second, diagnostics);
  }
}

void validate_public_addresses(const Policy& policy, const HostConfig* host,
                               Diagnostics& diagnostics) {
  FirstPlaces<IpAddress> places;
  const auto add = [&](const Located<IpAddress>& ip) {
    if (!ip.is_given) return;
    const auto text = gannet::to_string(*ip);
    places.add(*ip, ip.place, Slug::duplicate_public_ip,
               fmt::format("public address '{}' is used twice", text), diagnostics);
    check_not_underlay(host, ip, diagnostics);
  };
  for (const Eni& eni : policy.enis)
    std::for_each(eni.public_ips.begin(), eni.public_ips.end(), add);
  for (const NatGateway& gateway : policy.nat_gateways) {
    std::for_each(gateway.public_ips.begin(), gateway.public_ips.end(), add);
  }
  for (const LoadBalancer& balancer : policy.load_balancers) {
    if (balancer.vip.is_given && find_vpc_of(policy, *balancer.vip) == nullptr) add(balancer.vip);
  }
}

}  // namespace gannet::control
