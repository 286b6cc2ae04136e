// SPDX-License-Identifier: BSD-3-Clause
// ENIs: where they are, what they are called on the wire, and that no two are the same.
#include "control/policy/check.hpp"

#include <algorithm>
#include <map>

namespace gannet::control {
namespace {

// What is taken in one VPC.
struct Taken {
  explicit Taken(const Vpc& vpc) : subnets(vpc) {}
  FirstPlaces<IpAddress> ips;
  FirstPlaces<std::uint64_t> macs;  // As numbers.
  SubnetIndex subnets;
};

void check_ips(const Eni& eni, const Subnet* subnet, Taken& taken, Diagnostics& diagnostics) {
  for (const auto& ip : eni.ips) {
    if (!check_unicast(ip, diagnostics)) continue;
    const auto blocks = subnet == nullptr ? std::vector<Located<Prefix>>() : subnet->blocks();
    if (!blocks.empty() && !contains(blocks, *ip)) {
      diagnostics
          .error(Slug::outside_subnet, ip.place,
                 fmt::format("'{}' is outside subnet '{}' ({})", gannet::to_string(*ip),
                             subnet->name, join(blocks)))
          .note(subnet->place, "the subnet is defined here");
    } else {
      check_not_reserved(taken.subnets, ip, diagnostics);
    }
    taken.ips.add(*ip, ip.place, Slug::duplicate_ip,
                  fmt::format("'{}' is used twice in VPC '{}'", gannet::to_string(*ip), *eni.vpc),
                  diagnostics);
  }
}

// An ENI at a port of this host is here; nothing else can have its addresses.
void check_mappings(const Eni& eni, const Vpc& vpc, Diagnostics& diagnostics) {
  if (!eni.port.is_given) return;
  for (const auto& ip : eni.ips) {
    if (!ip.is_given) continue;
    const auto* const mapping = vpc.mappings.find(gannet::to_string(*ip));
    if (mapping == nullptr) continue;
    diagnostics
        .error(Slug::mapping_conflict, mapping->place,
               fmt::format("'{}' is an address of ENI '{}', which is at a port of this host",
                           mapping->name, eni.name))
        .note(ip.place, "the ENI has it here");
  }
}

void check_public_ips(const Eni& eni, const Vpc* vpc, Diagnostics& diagnostics) {
  const Located<IpAddress>* first_of[2] = {};
  for (const auto& ip : eni.public_ips) {
    if (!check_unicast(ip, diagnostics)) continue;
    const char* const family = ip->is_v4() ? "IPv4" : "IPv6";
    auto& first = first_of[ip->is_v4() ? 0 : 1];
    if (first != nullptr) {
      diagnostics
          .error(Slug::duplicate_item, ip.place,
                 fmt::format("an ENI has one public {} address", family))
          .note(first->place, "the other one is here");
    }
    first = &ip;
    const bool has_family = std::any_of(eni.ips.begin(), eni.ips.end(), [&ip](const auto& own) {
      return !own.is_given || own->family() == ip->family();
    });
    if (!has_family && !eni.ips.empty()) {
      diagnostics.error(Slug::mixed_families, ip.place,
                        fmt::format("the ENI has no {} address to translate to", family));
    }
    if (vpc != nullptr && contains(vpc->cidrs, *ip)) {
      diagnostics.error(
          Slug::inside_vpc, ip.place,
          fmt::format("'{}' is an address of VPC '{}' itself", gannet::to_string(*ip), vpc->name));
    }
  }
}

void check_groups(const Policy& policy, const Eni& eni, Diagnostics& diagnostics) {
  FirstPlaces<std::string> groups;
  for (const auto& group : eni.security_groups) {
    if (resolve(policy.security_groups, group, "security group", diagnostics) == nullptr) continue;
    groups.add(*group, group.place, Slug::duplicate_item,
               fmt::format("security group '{}' is listed twice", *group), diagnostics);
  }
}

void check_eni(const Policy& policy, const Eni& eni, std::map<std::string, Taken>& taken_of_vpc,
               Diagnostics& diagnostics) {
  const Vpc* const vpc = resolve(policy.vpcs, eni.vpc, "VPC", diagnostics);
  check_public_ips(eni, vpc, diagnostics);
  check_groups(policy, eni, diagnostics);
  if (vpc == nullptr) {
    check_mac(eni.mac, diagnostics);
    return;
  }
  const Subnet* const subnet = resolve(vpc->subnets, eni.subnet, "subnet", diagnostics,
                                       fmt::format(" in VPC '{}'", vpc->name));
  Taken& taken = taken_of_vpc.try_emplace(vpc->name, *vpc).first->second;
  check_ips(eni, subnet, taken, diagnostics);
  check_mappings(eni, *vpc, diagnostics);
  if (check_mac(eni.mac, diagnostics)) {
    taken.macs.add(eni.mac->raw(), eni.mac.place, Slug::duplicate_mac,
                   fmt::format("MAC address {} is used twice in VPC '{}'",
                               gannet::to_string(*eni.mac), vpc->name),
                   diagnostics);
  }
}

}  // namespace

void validate_enis(const Policy& policy, Diagnostics& diagnostics) {
  std::map<std::string, Taken> taken_of_vpc;
  FirstPlaces<std::string> ports;
  for (const Eni& eni : policy.enis) {
    check_eni(policy, eni, taken_of_vpc, diagnostics);
    if (!eni.port.is_given) continue;
    ports.add(*eni.port, eni.port.place, Slug::duplicate_port,
              fmt::format("another ENI is at port '{}'", *eni.port), diagnostics);
  }
}

}  // namespace gannet::control
