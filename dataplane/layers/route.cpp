// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/route.hpp"

namespace gannet::dataplane {

DropReason Router::judge_endpoint(FirstPacket& first) noexcept {
  const Endpoint* const endpoint = first.policy.find_endpoint(first.vpc, first.current.destination);
  if (endpoint == nullptr || endpoint->kind == EndpointKind::kNowhere)
    return DropReason::no_mapping;
  if (endpoint->kind == EndpointKind::kGateway) return DropReason::gateway_service;
  first.target = Target::kEndpoint;
  first.to = endpoint;
  return DropReason::kNone;
}

DropReason Router::judge_underlay(const FirstPacket& first) noexcept {
  const Snapshot& policy = first.policy;
  const IpAddress& destination = first.current.destination;
  if (policy.find_public(destination) != nullptr) return DropReason::kNone;
  if (policy.is_tunnel_host(destination)) return DropReason::underlay_address;
  for (const Prefix& own : policy.underlay.addresses) {
    if (own.address == destination) return DropReason::underlay_address;
    const bool is_meant = first.route != nullptr && first.route->prefix.length >= own.length;
    if (own.contains(destination) && !is_meant) return DropReason::underlay_address;
  }
  return DropReason::kNone;
}

DropReason Router::judge(FirstPacket& first) noexcept {
  const Snapshot& policy = first.policy;
  const IpAddress& destination = first.current.destination;
  const std::uint16_t table = policy.subnets[first.sender().subnet].route_table;
  const RouteTable& routes = policy.route_tables[table];
  const std::uint32_t match = routes.lpm.find(destination);
  const Route* route = match == Lpm::kNone ? nullptr : &routes.routes[match];

  const Endpoint* const own = policy.find_endpoint(first.vpc, destination);
  const bool is_mapped = own != nullptr && own->kind == EndpointKind::kRemote;
  if (is_mapped && (route == nullptr || route->prefix.length < bit_count(destination.family()))) {
    first.note(Step::kRoute, static_cast<std::uint32_t>(RouteKind::kLocal));
    return judge_endpoint(first);
  }
  if (route == nullptr) return DropReason::no_route;
  first.route = route;
  first.note(Step::kRoute, static_cast<std::uint32_t>(route->kind));
  switch (route->kind) {
    case RouteKind::kLocal: return judge_endpoint(first);
    case RouteKind::kDrop: return DropReason::route_drop;
    case RouteKind::kPeerVpc: first.vpc = route->target; return judge_endpoint(first);
    case RouteKind::kInternet:
    case RouteKind::kNatGateway: first.target = Target::kInternet; return DropReason::kNone;
  }
  return DropReason::no_route;
}

}  // namespace gannet::dataplane
