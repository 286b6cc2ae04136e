// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/scenario.hpp"

#include "dataplane/snapshot.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace gannet::bench {
namespace {

constexpr std::array<Scenario, 6> kScenarios{{
    {"forward", "vm2", true, true},
    {"encap", "uplink", true, false},
    {"decap", "uplink", false, true},
    {"nat", "uplink", true, true},
    {"lb", "vm2", true, true},
    {"full", "uplink", true, true},
}};

constexpr Mac kVm1{{0x02, 0, 0x0a, 0x0a, 0x01, 0x0b}};
constexpr Mac kVm2{{0x02, 0, 0x0a, 0x0a, 0x02, 0x0c}};
constexpr std::string_view kEniOfVm2 =
    "  vm2: {vpc: shop, subnet: two, ips: [10.10.2.12], mac: \"02:00:0a:0a:02:0c\", port: vm2,"
    " security_groups: [tenant]}\n";
constexpr unsigned kListenerPorts = 64;         // Of the virtual address.
constexpr std::uint32_t kSourcePorts = 16'384;  // Of a VM, for each of them.
constexpr unsigned kDeniedPorts = 40'000;       // From PolicyShape::first_denied_port on.
constexpr std::uint32_t kNatSources = 1'000;    // Sockets behind the NAT gateway.

constexpr Ip4 ip(unsigned a, unsigned b, unsigned c, unsigned d) {
  return Ip4{Be32(a << 24 | b << 16 | c << 8 | d)};
}

bool is_balanced(const Scenario& s) { return s.name == "lb" || s.name == "full"; }

// Else nothing would ever come by its port, which the worker would look at all the same.
bool has_vm2(const Scenario& s) { return s.far_port == "vm2"; }

std::string mappings() {
  std::string text;
  for (unsigned i = 0; i < kRemoteHosts; ++i) {
    text += fmt::format(
        "      10.10.2.{}: {{underlay_ip: 192.0.2.{}, mac: \"02:00:0a:0a:02:{:02x}\"}}\n", 20 + i,
        20 + i, 20 + i);
  }
  return text;
}

std::string listeners(std::string_view protocol) {
  std::string text;
  for (unsigned i = 0; i < kListenerPorts; ++i) {
    text += fmt::format("      - {{proto: {}, port: {}, backend_pool: pool{}}}\n", protocol,
                        1'000 + i, i);
  }
  return text;
}

// One for each listener, on a port of its own: of one port a VM could have no more connections than
// it has source ports.
std::string backend_pools(const Scenario& s) {
  std::string text;
  for (unsigned pool = 0; pool < kListenerPorts; ++pool) {
    const unsigned port = 5'353 + pool;
    text += fmt::format("      pool{}:\n        backends:\n", pool);
    if (s.name == "lb") text += fmt::format("          - {{eni: vm2, port: {}}}\n", port);
    for (unsigned i = 0; s.name != "lb" && i < kRemoteHosts; ++i) {
      text += fmt::format("          - {{ip: 10.10.2.{}, port: {}}}\n", 20 + i, port);
    }
  }
  return text;
}

// Rules that do not match, as tenants have them, and at the end the one that does.
std::string rules(const char* peer, const PolicyShape& shape) {
  std::string text;
  for (unsigned i = 0; i + 1 < shape.rule_count; ++i) {
    const std::array<std::string, 4> prefixes{
        fmt::format("172.{}.{}.0/24", 16 + i / 256 % 16, i % 256), "10.10.0.0/16",
        fmt::format("10.10.{}.0/24", i / 4 % 16),
        fmt::format("10.10.{}.{}/32", i / 4 % 3, i / 12 % 64)};
    text += fmt::format(
        "      - {{name: r{}, action: deny, proto: {}, ports: [{}], {}: {{cidr: {}}}}}\n", i,
        shape.has_near_rules ? shape.protocol : "tcp", shape.first_denied_port + i % kDeniedPorts,
        peer, prefixes[shape.has_near_rules ? i % prefixes.size() : 0]);
  }
  return text + fmt::format("      - {{name: last, action: allow, proto: {}, {}: any}}\n",
                            shape.protocol, peer);
}

}  // namespace

std::span<const Scenario> scenarios() { return kScenarios; }

std::optional<Scenario> find_scenario(std::string_view name) {
  const auto* const found = std::find_if(kScenarios.begin(), kScenarios.end(),
                                         [name](const Scenario& s) { return s.name == name; });
  return found == kScenarios.end() ? std::nullopt : std::optional(*found);
}

std::string policy_of(const Scenario& scenario, const PolicyShape& shape) {
  std::string text = fmt::format(
      "apiVersion: gannet/v1\nkind: Policy\nmetadata: {{name: bench}}\n"
      "vpcs:\n  shop:\n    vni: 5001\n    cidrs: [10.10.0.0/16]\n    subnets:\n"
      "      one: {{cidr: 10.10.1.0/24, route_table: out}}\n"
      "      two: {{cidr: 10.10.2.0/24, route_table: out}}\n"
      "    mappings:\n{}"
      "route_tables:\n  out:\n    - {{to: 0.0.0.0/0, via: {{nat_gateway: egress}}}}\n"
      "security_groups:\n  tenant:\n    default: {{ingress: deny, egress: deny}}\n"
      "    egress:\n{}    ingress:\n{}"
      "enis:\n"
      "  vm1: {{vpc: shop, subnet: one, ips: [10.10.1.11], mac: \"02:00:0a:0a:01:0b\", port: vm1,"
      " security_groups: [tenant]}}\n"
      "{}"
      "nat_gateways:\n  egress: {{vpc: shop, public_ips: [203.0.113.20], ports_per_eni: 1024}}\n",
      mappings(), rules("to", shape), rules("from", shape), has_vm2(scenario) ? kEniOfVm2 : "");
  if (is_balanced(scenario)) {
    text += fmt::format(
        "load_balancers:\n  front:\n    vpc: shop\n    vip: 10.10.9.9\n    listeners:\n{}"
        "    backend_pools:\n{}",
        listeners(shape.protocol), backend_pools(scenario));
  }
  return text;
}

UdpFlow flow_of(const Scenario& scenario, std::uint32_t number) {
  UdpFlow flow{kVm1, dataplane::kGatewayMac, ip(10, 10, 1, 11), {}, 0, 0};
  flow.source_port = static_cast<std::uint16_t>(10'000 + number % kSourcePorts);
  flow.destination_port = static_cast<std::uint16_t>(1'000 + number / kSourcePorts);
  if (is_balanced(scenario)) {
    flow.destination = ip(10, 10, 9, 9);
  } else if (scenario.name == "forward") {
    flow.destination = ip(10, 10, 2, 12);
  } else if (scenario.name == "nat") {
    flow.source_port = static_cast<std::uint16_t>(10'000 + number % kNatSources);
    flow.destination_port = 53;
    flow.destination = Ip4{Be32((198u << 24 | 18u << 16) + number / kNatSources)};
  } else {
    flow.destination = ip(10, 10, 2, 20 + number % kRemoteHosts);
  }
  return flow;
}

std::string host_of(const Scenario& scenario, std::uint32_t connections) {
  return fmt::format(
      "apiVersion: gannet/v1\nkind: HostConfig\nworkers: {{cores: [1], idle: spin}}\n"
      "memory: {{size: 512MiB, hugepages: auto}}\ncapacity: {{connections: {}}}\n"
      "underlay: {{port: uplink, ips: [192.0.2.11/24], gateway: 192.0.2.1, mtu: 1600}}\n"
      "ports:\n  uplink: {{type: vdev, args: net_ring_uplink}}\n"
      "  vm1: {{type: vdev, args: net_ring_vm1}}\n{}",
      connections, has_vm2(scenario) ? "  vm2: {type: vdev, args: net_ring_vm2}\n" : "");
}

Ip4 remote_host(unsigned index) {
  return index < kRemoteHosts ? ip(192, 0, 2, 20 + index) : ip(192, 0, 2, 1);
}

Mac remote_host_mac(unsigned index) {
  return Mac{{0x02, 0, 0, 0, 0x01, static_cast<std::uint8_t>(index)}};
}

Mac vm1_mac() { return kVm1; }

Mac vm2_mac() { return kVm2; }

}  // namespace gannet::bench
