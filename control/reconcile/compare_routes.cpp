// SPDX-License-Identifier: BSD-3-Clause
// Where an ENI's packets go: its routes and its ports at NAT gateways.
#include "control/reconcile/compare_work.hpp"

#include <map>

namespace gannet::control {
namespace {

using dataplane::Changes;
using dataplane::RouteKind;

// Of equal prefixes the last one counts (tables/lpm.hpp).
std::map<Prefix, dataplane::Route> routes_by_prefix(const dataplane::RouteTable& table) {
  std::map<Prefix, dataplane::Route> routes;
  for (const dataplane::Route& route : table.routes) routes[route.prefix] = route;
  return routes;
}

bool is_same_route(const CompareWork& work, const dataplane::Route& a, const dataplane::Route& b) {
  if (a.kind != b.kind) return false;
  if (a.kind != RouteKind::kNatGateway) return a.target == b.target;
  return work.before.names.nat_gateways[a.target] == work.after.names.nat_gateways[b.target];
}

std::uint32_t region_of_tables(CompareWork& work, const dataplane::RouteTable& before,
                               const dataplane::RouteTable& after) {
  const auto old_routes = routes_by_prefix(before);
  const auto new_routes = routes_by_prefix(after);
  std::vector<dataplane::Lpm::Entry> entries;
  for (const auto& [prefix, route] : old_routes) {
    const auto found = new_routes.find(prefix);
    const bool stays = found != new_routes.end() && is_same_route(work, route, found->second);
    if (!stays) entries.push_back({prefix, 0});
  }
  for (const auto& [prefix, route] : new_routes) {
    if (!old_routes.contains(prefix)) entries.push_back({prefix, 0});
  }
  if (entries.empty()) return Changes::kNone;
  work.changes.route_regions.emplace_back(entries);
  return static_cast<std::uint32_t>(work.changes.route_regions.size() - 1);
}

// An ENI's ports at one NAT gateway.
struct NatShare {
  std::string_view gateway;
  Ip4 address{};
  std::uint16_t first = 0;
  std::uint16_t count = 0;
  friend bool operator==(const NatShare&, const NatShare&) = default;
};

// At those of its VPC, the first of which is for routes to the internet, and where else it has any.
std::vector<NatShare> nat_shares(const NamedSnapshot& side, std::uint16_t eni) {
  std::vector<NatShare> shares;
  for (std::size_t i = 0; i < side.snapshot.nat_gateways.size(); ++i) {
    const dataplane::NatGateway& gateway = side.snapshot.nat_gateways[i];
    const dataplane::PortBlock block =
        eni < gateway.block_of_eni.size() ? gateway.block_of_eni[eni] : dataplane::PortBlock{};
    if (gateway.vpc != side.snapshot.enis[eni].vpc && block.count == 0) continue;
    NatShare share{side.names.nat_gateways[i], {}, block.first, block.count};
    if (block.count != 0) share.address = side.snapshot.nat_addresses[block.address].ip;
    shares.push_back(share);
  }
  return shares;
}

}  // namespace

void compare_routes(CompareWork& work, std::uint16_t eni) {
  const auto table_of = [eni](const NamedSnapshot& side) {
    return side.snapshot.subnets[side.snapshot.enis[eni].subnet].route_table;
  };
  Changes::OfEni& changed = work.changes.enis[eni];
  const std::pair tables(table_of(work.before), table_of(work.after));
  const auto [region, is_new] = work.route_regions.emplace(tables, Changes::kNone);
  if (is_new) {
    region->second = region_of_tables(work, work.before.snapshot.route_tables[tables.first],
                                      work.after.snapshot.route_tables[tables.second]);
  }
  changed.routes = region->second;
  changed.has_other_nat = nat_shares(work.before, eni) != nat_shares(work.after, eni);
}

}  // namespace gannet::control
