// SPDX-License-Identifier: BSD-3-Clause
// The scenarios: a policy as an operator would write it, and the flows that go through it. A
// scenario says which port each direction comes in by; what the other direction looks like follows
// from what the switch sends.
//
//   forward  VM to VM on this host, stateful security groups          vm1 <-> vm2
//   encap    VM to a VM behind a tunnel, that direction only          vm1  -> uplink
//   decap    and only back                                            vm1 <-  uplink
//   nat      VM to the internet by a NAT gateway, both ways           vm1 <-> uplink
//   lb       VM to a virtual address with backends on this host       vm1 <-> vm2
//   full     VM to a virtual address with backends behind tunnels:    vm1 <-> uplink
//            load balancer, firewall, NAT and VXLAN, both ways
#pragma once

#include "bench/system/frames.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace gannet::bench {

struct Scenario {
  std::string_view name;
  std::string_view far_port;  // Where the flows lead: "vm2" or "uplink".
  bool measures_there = true;
  bool measures_back = true;
};

[[nodiscard]] std::span<const Scenario> scenarios();
[[nodiscard]] std::optional<Scenario> find_scenario(std::string_view name);

struct PolicyShape {
  unsigned rule_count = 1'000;        // Each way, in the security group that the flows pass.
  std::string_view protocol = "udp";  // That the flows use, udp or tcp.
  // Whether most rules are about prefixes that the flows' addresses are in, so that a classifier
  // has to look at them; else about others.
  bool has_near_rules = false;
  unsigned first_denied_port = 20'000;  // Of the rules that do not match; no flow's.
};

[[nodiscard]] std::string policy_of(const Scenario& scenario, const PolicyShape& shape);

/// The first packet of a flow, of either protocol; equal numbers are equal flows.
[[nodiscard]] UdpFlow flow_of(const Scenario& scenario, std::uint32_t number);

/// The configuration of a host with the ports that the scenario needs, and an uplink; they are made
/// by the rig.
[[nodiscard]] std::string host_of(const Scenario& scenario, std::uint32_t connections);

inline constexpr unsigned kRemoteHosts = 8;
[[nodiscard]] Ip4 remote_host(unsigned index);  // Below kRemoteHosts; then comes the gateway.
[[nodiscard]] Mac remote_host_mac(unsigned index);
[[nodiscard]] Mac vm1_mac();
[[nodiscard]] Mac vm2_mac();

}  // namespace gannet::bench
