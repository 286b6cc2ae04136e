// SPDX-License-Identifier: BSD-3-Clause
#include "control/reconcile/compare.hpp"

#include "control/reconcile/compare_work.hpp"

#include <string_view>
#include <unordered_map>
#include <utility>

namespace gannet::control {
namespace {

using dataplane::Changes;
using dataplane::kNoHop;
using dataplane::kNoIndex;
using dataplane::Snapshot;

// Whether everything that is true of all packets is as it was.
bool is_same_underlay(const CompareWork& work) {
  const dataplane::Underlay& a = work.before.snapshot.underlay;
  const dataplane::Underlay& b = work.after.snapshot.underlay;
  const bool is_same =
      a.port == b.port && a.mac == b.mac && a.vtep == b.vtep && a.addresses == b.addresses &&
      a.mtu == b.mtu && a.vxlan_port == b.vxlan_port && a.clamps_mss == b.clamps_mss &&
      a.on_link == b.on_link && (a.on_link_hops == kNoHop) == (b.on_link_hops == kNoHop) &&
      work.are_same_hops(a.gateway_hop, b.gateway_hop);
  if (!is_same || a.on_link_hops == kNoHop) return is_same;
  const std::uint32_t count = std::uint32_t{1} << (32 - a.on_link.length);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!work.is_same_hop(a.on_link_hops + i, b.on_link_hops + i)) return false;
  }
  return true;
}

// Next hops by what they say. Most keep their number.
void compare_hops(CompareWork& work) {
  const auto& old_hops = work.before.snapshot.next_hops;
  const auto& new_hops = work.after.snapshot.next_hops;
  const auto bytes = [](const flows::NextHop& hop) {
    return std::string_view(reinterpret_cast<const char*>(hop.bytes()), sizeof hop);
  };
  std::unordered_map<std::string_view, std::uint32_t> known;
  work.changes.hops.resize(old_hops.size(), Changes::kNone);
  for (std::uint32_t i = 0; i < old_hops.size(); ++i) {
    if (i < new_hops.size() && work.is_same_hop(i, i)) {
      work.changes.hops[i] = i;
      continue;
    }
    if (known.empty()) {
      known.reserve(new_hops.size());
      for (std::uint32_t n = 0; n < new_hops.size(); ++n) known.emplace(bytes(new_hops[n]), n);
    }
    const auto found = known.find(bytes(old_hops[i]));
    if (found != known.end()) work.changes.hops[i] = found->second;
  }
}

void compare_vpcs(CompareWork& work) {
  const auto& old_vpcs = work.before.snapshot.vpcs;
  const auto& new_vpcs = work.after.snapshot.vpcs;
  work.changes.is_other_vpc.assign(std::max(old_vpcs.size(), new_vpcs.size()), true);
  for (std::size_t i = 0; i < std::min(old_vpcs.size(), new_vpcs.size()); ++i) {
    work.changes.is_other_vpc[i] = old_vpcs[i].is_present != new_vpcs[i].is_present ||
                                   old_vpcs[i].vni != new_vpcs[i].vni ||
                                   old_vpcs[i].cidrs != new_vpcs[i].cidrs ||
                                   work.before.names.vpcs[i] != work.after.names.vpcs[i];
  }
}

bool has_same_groups(const CompareWork& work, const dataplane::Eni& a, const dataplane::Eni& b) {
  return std::equal(a.groups.begin(), a.groups.end(), b.groups.begin(), b.groups.end(),
                    [&](std::uint16_t old_group, std::uint16_t new_group) {
                      return work.before.names.groups[old_group] ==
                             work.after.names.groups[new_group];
                    });
}

bool is_same_eni(const CompareWork& work, std::uint16_t i) {
  const dataplane::Eni& a = work.before.snapshot.enis[i];
  const dataplane::Eni& b = work.after.snapshot.enis[i];
  // Of its limits a connection knows only whether there is one for bytes: it keeps it off the card.
  const bool is_limited_as_before = (a.qos.bytes_per_second == 0) == (b.qos.bytes_per_second == 0);
  return a.is_present == b.is_present && work.before.names.enis[i] == work.after.names.enis[i] &&
         a.vpc == b.vpc && a.port == b.port && a.worker == b.worker && a.mac == b.mac &&
         a.ips == b.ips && a.public_ips == b.public_ips && is_limited_as_before &&
         work.are_same_hops(a.hop, b.hop) && has_same_groups(work, a, b) &&
         CompareWork::is_same_name(work.before.names.subnets, a.subnet, work.after.names.subnets,
                                   b.subnet) &&
         !(a.is_present && work.changes.is_other_vpc[a.vpc]);
}

void compare_enis(CompareWork& work) {
  const std::size_t old_count = work.before.snapshot.enis.size();
  const std::size_t new_count = work.after.snapshot.enis.size();
  work.changes.enis.resize(std::max(old_count, new_count));
  for (std::size_t i = 0; i < work.changes.enis.size(); ++i) {
    Changes::OfEni& changed = work.changes.enis[i];
    const auto index = static_cast<std::uint16_t>(i);
    changed.is_other = i >= old_count || i >= new_count || !is_same_eni(work, index);
    if (changed.is_other || !work.after.snapshot.enis[i].is_present) continue;
    for (const std::uint16_t group : work.after.snapshot.enis[i].groups) {
      const auto add = [group](const std::vector<std::uint32_t>& of_groups,
                               std::vector<std::uint32_t>& regions) {
        if (of_groups[group] != Changes::kNone) regions.push_back(of_groups[group]);
      };
      add(work.egress_regions, changed.egress);
      add(work.ingress_regions, changed.ingress);
    }
    compare_routes(work, index);
  }
}

}  // namespace

std::shared_ptr<const Changes> compare(const NamedSnapshot& before, const NamedSnapshot& after) {
  auto changes = std::make_shared<Changes>();
  CompareWork work{before, after, *changes};
  if (!is_same_underlay(work)) return nullptr;
  changes->from_generation = before.snapshot.generation;
  compare_hops(work);
  compare_vpcs(work);
  compare_groups(work);
  compare_enis(work);
  compare_addresses(work);
  std::vector<dataplane::ExactMap<dataplane::AddressKey>::Entry> entries;
  for (const dataplane::AddressKey& key : work.addresses) entries.push_back({key, 0});
  changes->addresses = dataplane::ExactMap<dataplane::AddressKey>(entries);
  return changes;
}

}  // namespace gannet::control
