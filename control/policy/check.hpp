// SPDX-License-Identifier: BSD-3-Clause
// What several validators need; internal to them.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/dictionary.hpp"
#include "control/policy/host_config.hpp"
#include "control/policy/model.hpp"
#include "control/policy/nearest.hpp"
#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

namespace gannet::control {

/// Adds to an unknown name where the nearest one is defined.
template <typename T>
void suggest(Diagnostic& diagnostic, const Dictionary<T>& dictionary, std::string_view name) {
  NearestName nearest(name);
  for (const T& object : dictionary) nearest.offer(object.name);
  if (const auto best = nearest.best()) {
    diagnostic.note(dictionary.find(*best)->place,
                    fmt::format("did you mean '{}', defined here?", *best));
  }
}

/// Finds what a reference names. Null if it is not given or unknown; unknown is reported.
/// \param what such an object is called: "security group"; \param where it should be, if that is
/// not plain: " in VPC 'shop'".
template <typename T>
const T* resolve(const Dictionary<T>& dictionary, const Reference& reference, std::string_view what,
                 Diagnostics& diagnostics, std::string_view where = "") {
  if (!reference.is_given) return nullptr;
  const T* const found = dictionary.find(*reference);
  if (found != nullptr || dictionary.is_partial()) return found;
  const bool wants_notes = diagnostics.wants_notes();
  auto& diagnostic = diagnostics.error(Slug::unknown_reference, reference.place,
                                       fmt::format("unknown {} '{}'{}", what, *reference, where));
  if (wants_notes) suggest(diagnostic, dictionary, *reference);
  return nullptr;
}

/// Finds what a reference names, for checks that are not about the reference.
template <typename T>
const T* find(const Dictionary<T>& dictionary, const Reference& reference) {
  return reference.is_given ? dictionary.find(*reference) : nullptr;
}

/// Where each of some values was seen first.
template <typename Key>
class FirstPlaces {
 public:
  /// Reports a value that was there before. \param what the finding, as a sentence.
  /// \return whether it is new.
  bool add(const Key& key, const Place& place, Slug slug, std::string what,
           Diagnostics& diagnostics) {
    const auto [at, is_new] = places_.emplace(key, place);
    if (is_new) return true;
    diagnostics.error(slug, place, std::move(what)).note(at->second, "first used here");
    return false;
  }
  /// Takes note of a value about which there is nothing to report.
  void record(const Key& key, const Place& place) { places_.emplace(key, place); }

 private:
  std::unordered_map<Key, Place> places_;
};

/// The kind of special address that contains the block as a whole ("a loopback address"), or null.
[[nodiscard]] const char* special_kind(const Prefix& block);
/// Reports an address that no host can have. \return whether it is given and good.
bool check_unicast(const Located<IpAddress>& ip, Diagnostics& diagnostics);
/// Reports a block of hosts that holds addresses which no host can have.
bool check_host_block(const Located<Prefix>& block, Diagnostics& diagnostics);
/// Reports a block to match packets with that never come: multicast, loopback, reserved.
void check_match_block(const Located<Prefix>& block, Diagnostics& diagnostics);
/// Reports a MAC address that is zero or of a group.
bool check_mac(const Located<Mac>& mac, Diagnostics& diagnostics);
/// Reports a name that cannot be one.
void check_name(std::string_view name, const Place& place, Diagnostics& diagnostics);

/// Reports each block that overlaps with another one.
void check_overlaps(std::vector<Located<Prefix>> blocks, std::string_view what,
                    Diagnostics& diagnostics);

[[nodiscard]] bool contains(const std::vector<Located<Prefix>>& blocks, const IpAddress& ip);
[[nodiscard]] bool contains(const std::vector<Located<Prefix>>& blocks, const Prefix& block);
/// "10.0.0.0/8 and fd00::/8"
[[nodiscard]] std::string join(const std::vector<Located<Prefix>>& blocks);

/// The first VPC whose blocks hold the address, or null.
[[nodiscard]] const Vpc* find_vpc_of(const Policy& policy, const IpAddress& ip);
/// Reports an address that is this host's own on the underlay. `host` may be null.
void check_not_underlay(const HostConfig* host, const Located<IpAddress>& ip,
                        Diagnostics& diagnostics);

/// What an address is to the subnet with this block that nobody else can have: "the gateway", "the
/// broadcast address"; null for the address of a host.
[[nodiscard]] const char* reserved_role(const Prefix& block, const IpAddress& ip);

/// The blocks of a VPC's subnets, to find the one that an address is in.
class SubnetIndex {
 public:
  explicit SubnetIndex(const Vpc& vpc);
  /// The block that contains the address, or null.
  [[nodiscard]] const Prefix* find(const IpAddress& ip) const;

 private:
  std::vector<Prefix> blocks_;  // Sorted; they do not overlap, or that has been reported.
};

/// Reports an address that is the gateway, the network or the broadcast address of a subnet.
bool check_not_reserved(const SubnetIndex& subnets, const Located<IpAddress>& ip,
                        Diagnostics& diagnostics);

// By subject; called by validate().
void validate_networks(const Policy& policy, Diagnostics& diagnostics);
void validate_route_tables(const Policy& policy, Diagnostics& diagnostics);
void validate_security(const Policy& policy, Diagnostics& diagnostics);
void validate_enis(const Policy& policy, Diagnostics& diagnostics);
void validate_nat_gateways(const Policy& policy, Diagnostics& diagnostics);
void validate_load_balancers(const Policy& policy, Diagnostics& diagnostics);
void validate_public_addresses(const Policy& policy, const HostConfig* host,
                               Diagnostics& diagnostics);
void validate_on_host(const Policy& policy, const HostConfig& host, Diagnostics& diagnostics);

/// Earlier rules decide all that a rule of the list names.
void lint_unreachable_rules(const std::vector<Rule>& rules, Diagnostics& diagnostics);

}  // namespace gannet::control
