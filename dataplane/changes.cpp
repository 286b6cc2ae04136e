// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/changes.hpp"

#include "dataplane/tuple.hpp"

namespace gannet::dataplane {
namespace {

using flows::Zone;
using flows::ZoneKind;

// The VPC in which a zone's addresses are looked up; kNoIndex for the underlay.
std::uint16_t vpc_of(Zone zone, const Snapshot& policy) {
  switch (zone.kind) {
    case ZoneKind::kEni: return policy.enis[zone.index].vpc;
    case ZoneKind::kTunnel: return zone.index;
    case ZoneKind::kUplink:
    case ZoneKind::kNone: break;
  }
  return kNoIndex;
}

template <typename Key>
bool is_source_translated(const flows::Connection<Key>& c) {
  return c.flows[0].action.tuple.source != c.flows[0].key.tuple.source;
}

template <typename Key>
bool is_destination_translated(const flows::Connection<Key>& c) {
  return c.flows[0].action.tuple.destination != c.flows[0].key.tuple.destination;
}

}  // namespace

bool Changes::is_other_zone(Zone zone) const {
  switch (zone.kind) {
    case ZoneKind::kEni: return zone.index >= enis.size() || enis[zone.index].is_other;
    case ZoneKind::kTunnel: return zone.index >= is_other_vpc.size() || is_other_vpc[zone.index];
    case ZoneKind::kUplink: return false;
    case ZoneKind::kNone: break;
  }
  return true;
}

// Groups are asked about the packet as the layer sees it: at the sender before load balancer and
// NAT, at the receiver after them (judge.hpp). Routes are asked about the destination that the load
// balancer has left.
template <typename Key>
bool Changes::are_other_regions(const flows::Connection<Key>& connection) const {
  const auto& forward = connection.flows[0];
  const Zone from = flows::zone_of(forward.key);
  const Zone to = flows::zone_of(connection.flows[1].key);
  const std::uint8_t protocol = forward.key.protocol;
  const bool has_ports = protocol == packet::kProtoTcp || protocol == packet::kProtoUdp;
  const auto is_in = [&](const std::vector<std::uint32_t>& regions, const typename Key::Ip& remote,
                         Be16 destination_port) {
    const std::uint16_t port = has_ports ? destination_port.host() : std::uint16_t{0};
    for (const std::uint32_t region : regions) {
      if (group_regions[region].match(remote, protocol, port) != Acl::kNoMatch) return true;
    }
    return false;
  };
  if (from.kind == ZoneKind::kEni) {
    const OfEni& sender = enis[from.index];
    if (sender.has_other_nat && is_source_translated(connection)) return true;
    const auto& asked = forward.key.tuple;
    if (is_in(sender.egress, asked.destination, asked.destination_port)) return true;
    if (sender.routes != kNone) {
      const Lpm& routes = route_regions[sender.routes];
      if (routes.find(asked.destination) != Lpm::kNone) return true;
      if (routes.find(forward.action.tuple.destination) != Lpm::kNone) return true;
    }
  }
  if (to.kind != ZoneKind::kEni) return false;
  const OfEni& receiver = enis[to.index];
  if (receiver.has_other_nat && is_destination_translated(connection)) return true;
  const auto& leaving = forward.action.tuple;
  return is_in(receiver.ingress, leaving.source, leaving.destination_port);
}

// Every address that a decision looks up is one of the four of the connection, in the VPC where
// the packet comes from, in that where it goes, or on the public side.
template <typename Key>
bool Changes::are_other_addresses(const flows::Connection<Key>& connection, const Snapshot& policy,
                                  unsigned& looks) const {
  if (addresses.is_empty()) return false;
  const auto has = [&](std::uint16_t vpc, const IpAddress& ip) {
    ++looks;
    return addresses.find({ip, vpc}) != ExactMap<AddressKey>::kNone;
  };
  const auto& asked = connection.flows[0].key.tuple;
  const auto& leaving = connection.flows[0].action.tuple;
  const std::uint16_t vpcs[] = {vpc_of(flows::zone_of(connection.flows[0].key), policy),
                                vpc_of(flows::zone_of(connection.flows[1].key), policy)};
  const bool is_translated = !(asked == leaving);
  if (has(kNoIndex, asked.destination)) return true;
  if (is_translated && has(kNoIndex, leaving.destination)) return true;
  for (unsigned i = 0; i < 2; ++i) {
    const std::uint16_t vpc = vpcs[i];
    if (vpc == kNoIndex || (i == 1 && vpc == vpcs[0])) continue;
    if (has(vpc, asked.source) || has(vpc, asked.destination)) return true;
    if (is_translated && (has(vpc, leaving.source) || has(vpc, leaving.destination))) return true;
  }
  for (unsigned i = 0; i < 2; ++i) {
    const Ip4 host = connection.flows[i].tunnel_source;
    if (!host.is_zero() && has(vpcs[i], host)) return true;
  }
  return false;
}

template <typename Key>
bool Changes::may_concern(const flows::Connection<Key>& connection, const Snapshot& policy,
                          unsigned& looks) const {
  const auto& forward = connection.flows[0];
  const auto& reverse = connection.flows[1];
  if (is_other_zone(flows::zone_of(forward.key)) || is_other_zone(flows::zone_of(reverse.key))) {
    return true;
  }
  // Both ends translated: through the public side back in, or through a load balancer that sends
  // further. On the way there the packet has had an address that the flows do not know.
  if (is_source_translated(connection) && is_destination_translated(connection)) return true;
  const auto is_gone = [this](const auto& flow) {
    return flow.generation != 0 && hops[flow.action.next_hop] == kNone;
  };
  if (is_gone(forward) || is_gone(reverse)) return true;
  return are_other_regions(connection) || are_other_addresses(connection, policy, looks);
}

template <typename Key>
bool Changes::bring_up(flows::Connection<Key>& connection, const Snapshot& policy,
                       unsigned& looks) const {
  if (connection.flows[0].generation != from_generation) return false;
  if (may_concern(connection, policy, looks)) return false;
  const std::uint8_t persists = flows::kEgressPersists | flows::kIngressPersists;
  if (!keeps_rules || (connection.shared.flags & persists) != 0) {
    // Of a rule that persists nobody asks any more, so nothing is known of it from now on.
    const auto rename = [&](std::uint32_t& rule, std::uint8_t persisting) {
      if (rule == flows::kNoRule) return;
      const bool is_asked = (connection.shared.flags & persisting) == 0;
      rule = is_asked ? rules[rule] : flows::kNoRule;
    };
    rename(connection.details.egress_rule, flows::kEgressPersists);
    rename(connection.details.ingress_rule, flows::kIngressPersists);
  }
  for (auto& flow : connection.flows) {
    if (flow.generation == 0) continue;
    flow.action.next_hop = hops[flow.action.next_hop];
    flow.generation = policy.generation;
  }
  return true;
}

template bool Changes::bring_up(flows::Ip4Connection&, const Snapshot&, unsigned&) const;
template bool Changes::bring_up(flows::Ip6Connection&, const Snapshot&, unsigned&) const;

}  // namespace gannet::dataplane
