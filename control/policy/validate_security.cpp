// SPDX-License-Identifier: BSD-3-Clause
// Security groups, their rules, and prefix lists.
#include "control/policy/check.hpp"

namespace gannet::control {
namespace {

void check_ports(const Rule& rule, Diagnostics& diagnostics) {
  if (rule.proto.is_given && !rule.proto->has_ports() && !rule.ports.empty()) {
    diagnostics.error(Slug::ports_without_protocol, rule.ports.front().place,
                      rule.proto->number == Protocol::kAny
                          ? "ports can be given for tcp and udp only; write a rule for each"
                          : "ports can be given for tcp and udp only");
  }
  for (const auto& range : rule.ports) {
    if (!range.is_given || range->first != 1 || range->last != 65535) continue;
    diagnostics.error(Slug::full_port_range, range.place,
                      "the range holds all ports; leave 'ports' out to mean all");
  }
}

// ICMP is a protocol of IPv4, ICMPv6 one of IPv6.
void check_family(const Rule& rule, const Located<Prefix>& block, Diagnostics& diagnostics) {
  if (!block.is_given || !rule.proto.is_given) return;
  const bool is_wrong = (*rule.proto == kProtocolIcmp && block->address.is_v6()) ||
                        (*rule.proto == kProtocolIcmp6 && block->address.is_v4());
  if (!is_wrong) return;
  diagnostics.error(
      Slug::mixed_families, block.place,
      fmt::format("'{}' never meets a rule for {}", gannet::to_string(*block),
                  *rule.proto == kProtocolIcmp ? "icmp, which is IPv4; for IPv6 it is icmp6"
                                               : "icmp6, which is IPv6; for IPv4 it is icmp"));
}

void check_remote(const Policy& policy, const Rule& rule, Diagnostics& diagnostics) {
  if (!rule.remote.is_given) return;
  const Remote& remote = *rule.remote;
  (void)resolve(policy.prefix_lists, remote.prefix_list, "prefix list", diagnostics);
  (void)resolve(policy.security_groups, remote.security_group, "security group", diagnostics);
  for (const auto& block : remote.cidrs) {
    check_match_block(block, diagnostics);
    check_family(rule, block, diagnostics);
  }
}

void check_rules(const Policy& policy, const std::vector<Rule>& rules, Diagnostics& diagnostics) {
  FirstPlaces<std::string> names;
  for (const Rule& rule : rules) {
    check_ports(rule, diagnostics);
    check_remote(policy, rule, diagnostics);
    if (rule.name.empty()) continue;  // Missing or no text: reported.
    check_name(rule.name, rule.place, diagnostics);
    if (rule.name == "default") {
      diagnostics.error(Slug::invalid_name, rule.place,
                        "the name 'default' stands for what no rule matches");
    }
    names.add(rule.name, rule.place, Slug::duplicate_name,
              fmt::format("another rule of this list is called '{}'", rule.name), diagnostics);
  }
}

}  // namespace

void validate_security(const Policy& policy, Diagnostics& diagnostics) {
  for (const PrefixList& list : policy.prefix_lists) {
    for (const auto& block : list.prefixes) check_match_block(block, diagnostics);
  }
  for (const SecurityGroup& group : policy.security_groups) {
    check_rules(policy, group.ingress, diagnostics);
    check_rules(policy, group.egress, diagnostics);
  }
}

}  // namespace gannet::control
