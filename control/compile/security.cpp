// SPDX-License-Identifier: BSD-3-Clause
// Security groups: rules in list order become entries of two tables a group.
#include "control/compile/work.hpp"

#include <unordered_map>

namespace gannet::control {
namespace {

using dataplane::Acl;
using dataplane::AclRule;

const Prefix kAnyV4 = Prefix::of(IpAddress(Ip4(0, 0, 0, 0)), 0);
const Prefix kAnyV6 = Prefix::of(IpAddress(Ip6{}), 0);

using Members = std::unordered_map<std::string_view, std::vector<Prefix>>;

// The addresses of each group's ENIs, wherever they live.
Members members_of_groups(const Policy& policy) {
  Members members;
  for (const Eni& eni : policy.enis) {
    for (const Reference& group : eni.security_groups) {
      for (const auto& ip : eni.ips) members[*group].push_back(Prefix::host(*ip));
    }
  }
  return members;
}

std::vector<Prefix> prefixes_of(const Policy& policy, const Members& members,
                                const Remote& remote) {
  std::vector<Prefix> prefixes;
  switch (remote.kind()) {
    case RemoteKind::kAny: return {kAnyV4, kAnyV6};
    case RemoteKind::kCidrs:
      for (const auto& cidr : remote.cidrs) prefixes.push_back(*cidr);
      break;
    case RemoteKind::kPrefixList:
      for (const auto& prefix : policy.prefix_lists.find(*remote.prefix_list)->prefixes) {
        prefixes.push_back(*prefix);
      }
      break;
    case RemoteKind::kSecurityGroup:
      if (const auto found = members.find(*remote.security_group); found != members.end()) {
        prefixes = found->second;
      }
      break;
  }
  return prefixes;
}

void add_entries(std::vector<Acl::Entry>& entries, const Rule& rule, std::uint32_t id,
                 const std::vector<Prefix>& prefixes) {
  for (const Prefix& prefix : prefixes) {
    AclRule match;
    match.protocol = rule.proto.is_given ? rule.proto->number : Protocol::kAny;
    match.remote = prefix;
    if (rule.ports.empty()) entries.push_back({match, id});
    for (const auto& range : rule.ports) {
      match.first_port = range->first;
      match.last_port = range->last;
      entries.push_back({match, id});
    }
  }
}

dataplane::GroupSide compile_side(CompileWork& work, const Members& members,
                                  const SecurityGroup& group, Direction direction) {
  const bool is_ingress = direction == Direction::kIngress;
  const std::string stem = group.name + (is_ingress ? "/ingress/" : "/egress/");
  std::vector<Acl::Entry> entries;
  for (const Rule& rule : group.rules(direction)) {
    const auto id = static_cast<std::uint32_t>(work.snapshot.rules.size());
    work.snapshot.rules.push_back(
        {rule.action == Action::kAllow, rule.persists, rule.action == Action::kReject, rule.logs});
    work.names.rules.push_back(stem + rule.name);
    add_entries(entries, rule, id, prefixes_of(work.policy, members, *rule.remote));
  }
  dataplane::GroupSide side;
  side.acl = Acl(entries);
  const Action otherwise = is_ingress ? group.defaults->ingress : group.defaults->egress;
  side.allows_by_default = otherwise == Action::kAllow;
  side.default_rule = static_cast<std::uint32_t>(work.snapshot.rules.size());
  work.snapshot.rules.push_back(
      {side.allows_by_default, false, otherwise == Action::kReject, false});
  work.names.rules.push_back(stem + "default");
  return side;
}

}  // namespace

void compile_groups(CompileWork& work) {
  const Members members = members_of_groups(work.policy);
  for (const SecurityGroup& group : work.policy.security_groups) {
    work.groups.emplace(group.name, static_cast<std::uint16_t>(work.snapshot.groups.size()));
    work.names.groups.push_back(group.name);
    dataplane::SecurityGroup compiled;
    compiled.ingress = compile_side(work, members, group, Direction::kIngress);
    compiled.egress = compile_side(work, members, group, Direction::kEgress);
    compiled.is_audit = group.mode == GroupMode::kAudit;
    work.snapshot.groups.push_back(std::move(compiled));
  }
}

}  // namespace gannet::control
