// SPDX-License-Identifier: BSD-3-Clause
// VPCs, their subnets and mappings, and route tables.
#include "control/policy/check.hpp"

#include <set>
#include <utility>

namespace gannet::control {
namespace {

// A subnet has room for the network, the gateway, one host and, in IPv4, the broadcast address.
constexpr unsigned kLongestSubnet4 = 30;
constexpr unsigned kLongestSubnet6 = 126;

void check_subnet_block(const Vpc& vpc, const Located<Prefix>& block, Diagnostics& diagnostics) {
  if (!check_host_block(block, diagnostics)) return;
  const unsigned longest = block->address.is_v4() ? kLongestSubnet4 : kLongestSubnet6;
  if (block->length > longest) {
    diagnostics.error(
        Slug::subnet_too_small, block.place,
        fmt::format("'{}' has no room for a gateway and a host; a subnet is a /{} or larger",
                    gannet::to_string(*block), longest));
  }
  if (!vpc.cidrs.empty() && !contains(vpc.cidrs, *block)) {
    diagnostics.error(Slug::outside_vpc, block.place,
                      fmt::format("subnet '{}' is outside VPC '{}' ({})", gannet::to_string(*block),
                                  vpc.name, join(vpc.cidrs)));
  }
}

void check_subnet(const Policy& policy, const Vpc& vpc, const Subnet& subnet,
                  Diagnostics& diagnostics) {
  for (const auto& block : subnet.blocks()) check_subnet_block(vpc, block, diagnostics);
  if (subnet.cidr6.is_given && subnet.cidr6->address.is_v4()) {
    diagnostics.error(Slug::mixed_families, subnet.cidr6.place, "'cidr6' is a block of IPv6");
  } else if (subnet.cidr6.is_given && subnet.cidr.is_given && subnet.cidr->address.is_v6()) {
    diagnostics.error(Slug::mixed_families, subnet.cidr.place,
                      "'cidr' is a block of IPv4 where 'cidr6' is there too");
  }
  (void)resolve(policy.route_tables, subnet.route_table, "route table", diagnostics);
}

void check_mapping(const Vpc& vpc, const SubnetIndex& subnets, const Mapping& mapping,
                   Diagnostics& diagnostics) {
  if (check_unicast(mapping.address, diagnostics)) {
    if (!vpc.cidrs.empty() && !contains(vpc.cidrs, *mapping.address)) {
      diagnostics.error(
          Slug::outside_vpc, mapping.place,
          fmt::format("'{}' is outside VPC '{}' ({})", mapping.name, vpc.name, join(vpc.cidrs)));
    }
    check_not_reserved(subnets, mapping.address, diagnostics);
  }
  if (check_unicast(mapping.underlay_ip, diagnostics) && mapping.underlay_ip->is_v6()) {
    diagnostics.error(Slug::mixed_families, mapping.underlay_ip.place,
                      "tunnels run over IPv4; 'underlay_ip' is an IPv6 address");
  }
  check_mac(mapping.mac, diagnostics);
}

void check_vpc(const Policy& policy, const Vpc& vpc, Diagnostics& diagnostics) {
  for (const auto& block : vpc.cidrs) check_host_block(block, diagnostics);
  check_overlaps(vpc.cidrs, "block", diagnostics);
  std::vector<Located<Prefix>> subnet_blocks;
  for (const Subnet& subnet : vpc.subnets) {
    check_subnet(policy, vpc, subnet, diagnostics);
    for (const auto& block : subnet.blocks()) subnet_blocks.push_back(block);
  }
  check_overlaps(std::move(subnet_blocks), "subnet", diagnostics);
  const SubnetIndex subnets(vpc);
  for (const Mapping& mapping : vpc.mappings) check_mapping(vpc, subnets, mapping, diagnostics);
}

void check_route(const Policy& policy, const Route& route, Diagnostics& diagnostics) {
  check_match_block(route.to, diagnostics);
  if (!route.via.is_given) return;
  const auto* const gateway =
      resolve(policy.nat_gateways, route.via->nat_gateway, "NAT gateway", diagnostics);
  (void)resolve(policy.vpcs, route.via->peer_vpc, "VPC", diagnostics);
  if (gateway != nullptr && route.to.is_given && route.to->address.is_v6()) {
    diagnostics.error(
        Slug::mixed_families, route.to.place,
        fmt::format("NAT gateways translate IPv4; '{}' is IPv6", gannet::to_string(*route.to)));
  }
}

// What a table that a subnet uses leads to must go together with the subnet's VPC.
void check_use_of_table(const Policy& policy, const Vpc& vpc, const Subnet& subnet,
                        const RouteTable& table, Diagnostics& diagnostics) {
  for (const Route& route : table.routes) {
    if (!route.via.is_given) continue;
    const auto* const gateway = find(policy.nat_gateways, route.via->nat_gateway);
    const bool is_foreign = gateway != nullptr && find(policy.vpcs, gateway->vpc) != nullptr &&
                            *gateway->vpc != vpc.name;
    if (is_foreign) {
      diagnostics
          .error(
              Slug::wrong_vpc, route.via->nat_gateway.place,
              fmt::format("NAT gateway '{}' serves VPC '{}', but subnet '{}' of VPC '{}' uses this "
                          "route table",
                          gateway->name, *gateway->vpc, subnet.name, vpc.name))
          .note(subnet.route_table.place, "used here");
    }
    if (route.via->peer_vpc.is_given && *route.via->peer_vpc == vpc.name) {
      diagnostics
          .error(Slug::wrong_vpc, route.via->peer_vpc.place,
                 fmt::format("VPC '{}' cannot be its own peer", vpc.name))
          .note(subnet.route_table.place, "the VPC's subnet uses this route table");
    }
  }
}

}  // namespace

void validate_networks(const Policy& policy, Diagnostics& diagnostics) {
  FirstPlaces<std::uint32_t> vnis;
  for (const Vpc& vpc : policy.vpcs) {
    if (vpc.vni.is_given) {
      vnis.add(vpc.vni->value, vpc.vni.place, Slug::duplicate_vni,
               fmt::format("VNI {} belongs to another VPC", vpc.vni->value), diagnostics);
    }
    check_vpc(policy, vpc, diagnostics);
  }
}

void validate_route_tables(const Policy& policy, Diagnostics& diagnostics) {
  for (const RouteTable& table : policy.route_tables) {
    FirstPlaces<std::string> destinations;
    for (const Route& route : table.routes) {
      check_route(policy, route, diagnostics);
      if (!route.to.is_given) continue;
      destinations.add(gannet::to_string(*route.to), route.to.place, Slug::duplicate_route,
                       fmt::format("route table '{}' has a route to '{}' already", table.name,
                                   gannet::to_string(*route.to)),
                       diagnostics);
    }
  }
  std::set<std::pair<std::string_view, std::string_view>> seen;  // Table and VPC.
  for (const Vpc& vpc : policy.vpcs) {
    for (const Subnet& subnet : vpc.subnets) {
      const auto* const table = find(policy.route_tables, subnet.route_table);
      if (table == nullptr || !seen.emplace(table->name, vpc.name).second) continue;
      check_use_of_table(policy, vpc, subnet, *table, diagnostics);
    }
  }
}

}  // namespace gannet::control
