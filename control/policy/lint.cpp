// SPDX-License-Identifier: BSD-3-Clause
// Advice about a policy that is right: what is there for nothing, and what is open to everybody.
#include "control/policy/check.hpp"
#include "control/policy/validate.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace gannet::control {
namespace {

/// Names that something refers to.
struct Uses {
  std::set<std::string_view> prefix_lists, security_groups, route_tables, nat_gateways;
};

void collect_rules(const std::vector<Rule>& rules, Uses& uses) {
  for (const Rule& rule : rules) {
    uses.prefix_lists.insert(*rule.remote->prefix_list);
    uses.security_groups.insert(*rule.remote->security_group);
  }
}

Uses collect_uses(const Policy& policy) {
  Uses uses;
  for (const SecurityGroup& group : policy.security_groups) {
    collect_rules(group.ingress, uses);
    collect_rules(group.egress, uses);
  }
  for (const Eni& eni : policy.enis) {
    for (const auto& group : eni.security_groups) uses.security_groups.insert(*group);
  }
  for (const Vpc& vpc : policy.vpcs) {
    for (const Subnet& subnet : vpc.subnets) uses.route_tables.insert(*subnet.route_table);
  }
  for (const RouteTable& table : policy.route_tables) {
    for (const Route& route : table.routes) uses.nat_gateways.insert(*route.via->nat_gateway);
  }
  return uses;
}

template <typename T>
void lint_unused(const Dictionary<T>& dictionary, const std::set<std::string_view>& used,
                 std::string_view what, Diagnostics& diagnostics) {
  for (const T& object : dictionary) {
    if (used.contains(object.name)) continue;
    diagnostics.warning(Slug::unused, object.place,
                        fmt::format("nothing uses {} '{}'", what, object.name));
  }
}

void lint_pools(const Policy& policy, Diagnostics& diagnostics) {
  for (const LoadBalancer& balancer : policy.load_balancers) {
    std::set<std::string_view> used;
    for (const Listener& listener : balancer.listeners) used.insert(*listener.backend_pool);
    lint_unused(balancer.backend_pools, used, "backend pool", diagnostics);
  }
}

bool is_everybody(const Remote& remote) {
  return remote.kind() == RemoteKind::kAny ||
         std::any_of(remote.cidrs.begin(), remote.cidrs.end(),
                     [](const auto& b) { return b->length == 0; });
}

bool covers_port(const Rule& rule, std::uint16_t port) {
  if (rule.proto->number != Protocol::kAny && *rule.proto != kProtocolTcp) return false;
  return rule.ports.empty() ||
         std::any_of(rule.ports.begin(), rule.ports.end(), [port](const auto& range) {
           return range->first <= port && port <= range->last;
         });
}

void lint_open_ports(const Rule& rule, Diagnostics& diagnostics) {
  struct AdminPort {
    std::uint16_t port;
    const char* name;
  };
  constexpr auto kAdminPorts = std::to_array<AdminPort>({{22, "SSH"}, {3389, "RDP"}});
  if (rule.action != Action::kAllow || !is_everybody(*rule.remote)) return;
  for (const auto& [port, name] : kAdminPorts) {
    if (!covers_port(rule, port)) continue;
    diagnostics.warning(
        Slug::open_admin_port, rule.place,
        fmt::format("rule '{}' opens {} (port {}) to everybody", rule.name, name, port));
  }
}

void lint_group(const SecurityGroup& group, Diagnostics& diagnostics) {
  lint_unreachable_rules(group.ingress, diagnostics);
  lint_unreachable_rules(group.egress, diagnostics);
  for (const Rule& rule : group.ingress) lint_open_ports(rule, diagnostics);
  if (group.defaults->ingress == Action::kAllow) {
    diagnostics.warning(Slug::allow_by_default, group.place,
                        fmt::format("security group '{}' lets in what no rule names", group.name));
  }
}

bool leads_to_internet(const Policy& policy, const Subnet* subnet) {
  const auto* const table =
      subnet == nullptr ? nullptr : find(policy.route_tables, subnet->route_table);
  return table != nullptr &&
         std::any_of(table->routes.begin(), table->routes.end(),
                     [](const Route& route) { return route.via->kind() == ViaKind::kInternet; });
}

void lint_eni(const Policy& policy, const Eni& eni, Diagnostics& diagnostics) {
  const Vpc* const vpc = find(policy.vpcs, eni.vpc);
  if (vpc == nullptr) return;
  if (!eni.public_ips.empty() && !leads_to_internet(policy, find(vpc->subnets, eni.subnet))) {
    diagnostics.warning(
        Slug::no_internet_route, eni.public_ips.front().place,
        fmt::format("ENI '{}' has a public address, but its subnet has no route via internet",
                    eni.name));
  }
  if (eni.port.is_given) return;
  bool is_placed = false;
  for (const auto& ip : eni.ips) {
    const auto* const mapping = vpc->mappings.find(gannet::to_string(*ip));
    if (mapping == nullptr) continue;
    is_placed = true;
    if (*mapping->mac == *eni.mac) continue;
    diagnostics
        .warning(Slug::mac_mismatch, mapping->mac.place,
                 fmt::format("ENI '{}' has this address, but the MAC address {}", eni.name,
                             gannet::to_string(*eni.mac)))
        .note(eni.mac.place, "the ENI's is here");
  }
  if (!is_placed) {
    diagnostics.warning(
        Slug::unplaced_eni, eni.place,
        fmt::format("ENI '{}' has neither a port nor a mapping: nothing reaches it", eni.name));
  }
}

void lint_peer_routes(const Policy& policy, Diagnostics& diagnostics) {
  for (const RouteTable& table : policy.route_tables) {
    for (const Route& route : table.routes) {
      const Vpc* const peer = find(policy.vpcs, route.via->peer_vpc);
      if (peer == nullptr) continue;
      const bool has_any =
          std::any_of(peer->cidrs.begin(), peer->cidrs.end(),
                      [&route](const auto& block) { return block->overlaps(*route.to); });
      if (has_any) continue;
      diagnostics.warning(Slug::unreachable_peer, route.to.place,
                          fmt::format("VPC '{}' has no addresses of '{}' ({})", peer->name,
                                      gannet::to_string(*route.to), join(peer->cidrs)));
    }
  }
}

}  // namespace

void lint(const Policy& policy, Diagnostics& diagnostics) {
  const Uses uses = collect_uses(policy);
  lint_unused(policy.prefix_lists, uses.prefix_lists, "prefix list", diagnostics);
  lint_unused(policy.route_tables, uses.route_tables, "route table", diagnostics);
  lint_unused(policy.security_groups, uses.security_groups, "security group", diagnostics);
  lint_unused(policy.nat_gateways, uses.nat_gateways, "NAT gateway", diagnostics);
  lint_pools(policy, diagnostics);
  for (const SecurityGroup& group : policy.security_groups) lint_group(group, diagnostics);
  for (const Eni& eni : policy.enis) lint_eni(policy, eni, diagnostics);
  lint_peer_routes(policy, diagnostics);
}

}  // namespace gannet::control
