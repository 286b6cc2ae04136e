// SPDX-License-Identifier: BSD-3-Clause
// Load balancers: their addresses, listeners and backends.
#include "control/policy/check.hpp"

#include <algorithm>
#include <map>

namespace gannet::control {
namespace {

void check_listener(const LoadBalancer& balancer, const Listener& listener,
                    Diagnostics& diagnostics) {
  (void)resolve(balancer.backend_pools, listener.backend_pool, "backend pool", diagnostics,
                fmt::format(" in load balancer '{}'", balancer.name));
  if (!listener.proto.is_given) return;
  const bool is_any = listener.proto->number == Protocol::kAny;
  if (!is_any && !listener.proto->has_ports()) {
    diagnostics.error(Slug::invalid_value, listener.proto.place,
                      "a load balancer listens on tcp or udp, or on any port of any protocol");
  } else if (is_any && listener.port.is_given && listener.port->number != ListenerPort::kAny) {
    diagnostics.error(
        Slug::ports_without_protocol, listener.port.place,
        "a port can be given for tcp and udp only; write 'any' or a listener for each");
  }
}

void check_listeners(const LoadBalancer& balancer, Diagnostics& diagnostics) {
  FirstPlaces<std::string> listeners;
  for (const Listener& listener : balancer.listeners) {
    check_listener(balancer, listener, diagnostics);
    if (!listener.proto.is_given || !listener.port.is_given) continue;
    listeners.add(
        fmt::format("{} {}", listener.proto->number, listener.port->number), listener.place,
        Slug::duplicate_listener,
        fmt::format("load balancer '{}' has a listener for this protocol and port already",
                    balancer.name),
        diagnostics);
  }
}

void check_health_check(const BackendPool& pool, Diagnostics& diagnostics) {
  const HealthCheck& check = *pool.health_check;
  if (check.timeout <= check.interval) return;
  diagnostics.error(Slug::out_of_range, pool.place,
                    fmt::format("the health check's timeout ({}) is longer than its interval ({})",
                                to_string(check.timeout), to_string(check.interval)));
}

// The address by which an ENI serves, if it is known to be good.
const IpAddress* check_backend_eni(const Policy& policy, const LoadBalancer& balancer,
                                   const Vpc* vpc, const Reference& reference,
                                   Diagnostics& diagnostics) {
  const Eni* const eni = resolve(policy.enis, reference, "ENI", diagnostics);
  if (eni == nullptr) return nullptr;
  if (vpc != nullptr && find(policy.vpcs, eni->vpc) != nullptr && *eni->vpc != vpc->name) {
    diagnostics
        .error(Slug::wrong_vpc, reference.place,
               fmt::format("ENI '{}' is in VPC '{}', the load balancer in VPC '{}'", eni->name,
                           *eni->vpc, vpc->name))
        .note(eni->place, "the ENI is defined here");
    return nullptr;
  }
  const auto& vip = balancer.vip;
  const auto ip = std::find_if(eni->ips.begin(), eni->ips.end(), [&vip](const auto& own) {
    return !own.is_given || !vip.is_given || own->family() == vip->family();
  });
  if (ip != eni->ips.end()) return ip->is_given ? &ip->value : nullptr;
  if (!eni->ips.empty()) {
    diagnostics.error(Slug::mixed_families, reference.place,
                      fmt::format("ENI '{}' has no address of the VIP's family", eni->name));
  }
  return nullptr;
}

// The address of a backend, if it is known to be good.
const IpAddress* check_backend(const Policy& policy, const LoadBalancer& balancer, const Vpc* vpc,
                               const Backend& backend, Diagnostics& diagnostics) {
  if (backend.eni.is_given) {
    return check_backend_eni(policy, balancer, vpc, backend.eni, diagnostics);
  }
  const auto& ip = backend.ip;
  if (!check_unicast(ip, diagnostics)) return nullptr;
  if (vpc != nullptr && !vpc->cidrs.empty() && !contains(vpc->cidrs, *ip)) {
    diagnostics.error(Slug::outside_vpc, ip.place,
                      fmt::format("'{}' is outside VPC '{}' ({})", gannet::to_string(*ip),
                                  vpc->name, join(vpc->cidrs)));
  } else if (balancer.vip.is_given && ip->family() != balancer.vip->family()) {
    diagnostics.error(Slug::mixed_families, ip.place,
                      fmt::format("'{}' is of another family than the VIP '{}'",
                                  gannet::to_string(*ip), gannet::to_string(*balancer.vip)));
  }
  return &*ip;
}

void check_pool(const Policy& policy, const LoadBalancer& balancer, const Vpc* vpc,
                const BackendPool& pool, Diagnostics& diagnostics) {
  if (pool.health_check) check_health_check(pool, diagnostics);
  FirstPlaces<std::string> backends;
  for (const Backend& backend : pool.backends) {
    const IpAddress* const ip = check_backend(policy, balancer, vpc, backend, diagnostics);
    if (ip == nullptr) continue;
    if (balancer.vip.is_given && *ip == *balancer.vip) {
      diagnostics.error(Slug::duplicate_ip, backend.place,
                        "a backend cannot have the VIP as its address");
    }
    backends.add(fmt::format("{} {}", gannet::to_string(*ip), *backend.port), backend.place,
                 Slug::duplicate_item, fmt::format("pool '{}' has this backend already", pool.name),
                 diagnostics);
    const bool has_probe_port = pool.health_check && pool.health_check->port != 0;
    if (pool.health_check && !has_probe_port && !backend.port.is_given) {
      diagnostics.error(Slug::missing_field, backend.place,
                        "neither the backend nor its health check says which port to probe");
    }
  }
}

// A VIP is of its VPC, or public: then no VPC has it.
void check_vip(const Policy& policy, const LoadBalancer& balancer, const Vpc& vpc,
               FirstPlaces<IpAddress>& taken, Diagnostics& diagnostics) {
  const auto& vip = balancer.vip;
  if (!check_unicast(vip, diagnostics)) return;
  const auto text = gannet::to_string(*vip);
  if (!contains(vpc.cidrs, *vip)) {
    if (const Vpc* const other = find_vpc_of(policy, *vip)) {
      diagnostics.error(
          Slug::wrong_vpc, vip.place,
          fmt::format("'{}' is an address of VPC '{}', but the load balancer is in VPC '{}'", text,
                      other->name, vpc.name));
    }
    return;
  }
  check_not_reserved(SubnetIndex(vpc), vip, diagnostics);
  if (const auto* const mapping = vpc.mappings.find(text)) {
    diagnostics
        .error(Slug::duplicate_ip, vip.place, fmt::format("a mapping says who has '{}'", text))
        .note(mapping->place, "the mapping is here");
  }
  taken.add(*vip, vip.place, Slug::duplicate_ip,
            fmt::format("'{}' is used twice in VPC '{}'", text, vpc.name), diagnostics);
}

}  // namespace

void validate_load_balancers(const Policy& policy, Diagnostics& diagnostics) {
  if (policy.load_balancers.empty()) return;
  std::map<std::string, FirstPlaces<IpAddress>> ips_of_vpc;
  for (const Eni& eni : policy.enis) {
    for (const auto& ip : eni.ips) {
      if (ip.is_given) ips_of_vpc[*eni.vpc].record(*ip, ip.place);
    }
  }
  for (const LoadBalancer& balancer : policy.load_balancers) {
    const Vpc* const vpc = resolve(policy.vpcs, balancer.vpc, "VPC", diagnostics);
    if (vpc != nullptr) check_vip(policy, balancer, *vpc, ips_of_vpc[vpc->name], diagnostics);
    check_listeners(balancer, diagnostics);
    for (const BackendPool& pool : balancer.backend_pools) {
      check_pool(policy, balancer, vpc, pool, diagnostics);
    }
  }
}

}  // namespace gannet::control
