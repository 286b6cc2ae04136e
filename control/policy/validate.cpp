// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/validate.hpp"

#include "control/policy/check.hpp"

namespace gannet::control {
namespace {

// The tables of the packet path index these objects with 16 bits, of which one value means "none".
constexpr std::size_t kMaxObjects = 65535;

template <typename T>
void check_count(const Dictionary<T>& dictionary, std::string_view what, Diagnostics& diagnostics) {
  if (dictionary.size() <= kMaxObjects) return;
  diagnostics.error(Slug::too_many, (dictionary.begin() + kMaxObjects)->place,
                    fmt::format("more than {} {}", kMaxObjects, what));
}

void check_counts(const Policy& policy, Diagnostics& diagnostics) {
  check_count(policy.vpcs, "VPCs", diagnostics);
  check_count(policy.enis, "ENIs", diagnostics);
  check_count(policy.security_groups, "security groups", diagnostics);
  check_count(policy.route_tables, "route tables", diagnostics);
  check_count(policy.nat_gateways, "NAT gateways", diagnostics);
  std::size_t subnet_count = 0;
  for (const Vpc& vpc : policy.vpcs) {
    const bool had_room = subnet_count <= kMaxObjects;
    subnet_count += vpc.subnets.size();
    if (had_room && subnet_count > kMaxObjects) {
      diagnostics.error(Slug::too_many, vpc.place,
                        fmt::format("more than {} subnets in all VPCs", kMaxObjects));
    }
  }
}

}  // namespace

void validate(const Policy& policy, const HostConfig* host, Diagnostics& diagnostics) {
  if (policy.metadata.is_given && policy.metadata->name.is_given) {
    check_name(*policy.metadata->name, policy.metadata->name.place, diagnostics);
  }
  check_counts(policy, diagnostics);
  validate_networks(policy, diagnostics);
  validate_route_tables(policy, diagnostics);
  validate_security(policy, diagnostics);
  validate_enis(policy, diagnostics);
  validate_nat_gateways(policy, diagnostics);
  validate_load_balancers(policy, diagnostics);
  validate_public_addresses(policy, host, diagnostics);
  if (host != nullptr) validate_on_host(policy, *host, diagnostics);
}

}  // namespace gannet::control
