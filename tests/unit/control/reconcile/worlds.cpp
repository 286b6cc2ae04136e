// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/reconcile/worlds.hpp"

#include "control/policy/validate.hpp"
#include "control/rehearsal.hpp"
#include "tests/support/literals.hpp"

#include <cstring>

#include <fmt/format.h>

namespace gannet::control {
namespace {

using dataplane::Connections;
using dataplane::DropReason;
using dataplane::FirstPacket;
using dataplane::Ingress;
using dataplane::IpTuple;
using dataplane::Snapshot;
using flows::ZoneKind;
using test::operator""_ip;

HostFacts host(unsigned port_count) {
  HostFacts host;
  host.ports = {"uplink"};
  for (unsigned i = 0; i < port_count; ++i) host.ports.push_back(fmt::format("p{}", i));
  host.uplink = 0;
  host.uplink_mac = Mac{{2, 0, 0, 0, 0, 1}};
  host.underlay_ips.push_back({"192.0.2.11"_ip, 24});
  host.gateway = Ip4(192, 0, 2, 254);
  host.worker_of_port.assign(host.ports.size(), 0);
  host.neighbor = [](Ip4 ip) { return ip.host() & 0xff; };
  return host;
}

}  // namespace

std::optional<Policy> Reconcile::load(const std::string& text) {
  Diagnostics diagnostics;
  const Source source{std::make_shared<const SourceFile>("p.yaml", text)};
  auto policy = load_policy({&source, 1}, diagnostics);
  if (policy) validate(*policy, nullptr, diagnostics);
  if (!policy || diagnostics.has_errors()) {
    for (const auto& d : diagnostics.found()) last_error_ += d.message + "; ";
    return std::nullopt;
  }
  return policy;
}

void Reconcile::make(std::uint32_t capacity) {
  for (World& world : worlds_) {
    dataplane::TrackingConfig config;
    config.timeouts.fill(1'000'000);
    config.ip4_capacity = config.ip6_capacity = capacity;
    auto made = Connections::create(config, flows::HashSeed{{1, 2, 3, 4}}, 0, {});
    ASSERT_TRUE(made);
    world.connections = std::move(*made);
  }
}

void Reconcile::publish(const Policy& policy, std::uint32_t generation) {
  for (World& world : worlds_) {
    auto compiled =
        compile(policy, host(kPortCount), {}, generation, generation - 1, world.identities);
    ASSERT_TRUE(compiled);
    if (&world == &worlds_[0] && world.compiled.snapshot != nullptr) {
      compiled->snapshot->changes = compare({*world.compiled.snapshot, world.compiled.names},
                                            {*compiled->snapshot, compiled->names});
      ASSERT_NE(compiled->snapshot->changes, nullptr);
    }
    world.compiled = std::move(*compiled);
  }
}

Ingress Reconcile::ingress_of(const Snapshot& policy, flows::Zone zone, Ip4 tunnel_source, Mac to) {
  Ingress in;
  in.zone = zone;
  in.destination_mac = to;
  if (zone.kind == ZoneKind::kTunnel) {
    in.vpc = zone.index;
    in.tunnel_source = tunnel_source;
  }
  if (zone.kind == ZoneKind::kEni) {
    in.vpc = policy.enis[zone.index].vpc;
    in.port = policy.enis[zone.index].port;
    in.source_mac = policy.enis[zone.index].mac;
  }
  return in;
}

template <typename Key>
void Reconcile::receive(World& world, const Ingress& in, const IpTuple& tuple, bool is_answered,
                        Mac answer_to) {
  const Snapshot& policy = *world.compiled.snapshot;
  const auto known = world.connections->table<Key>().find(dataplane::key_of<Key>(tuple, in.zone));
  if (known.is_valid()) {
    const bool is_reply = known.direction() == flows::Direction::kReverse;
    const auto met = world.connections->refresh<Key>(known, in, policy, 0, is_reply);
    // The connection is gone; the packet may open another.
    if (met.reason != DropReason::policy_changed) return;
  }
  FirstPacket first(policy, in, tuple);
  const auto admission =
      world.connections->open<Key>(first, {nullptr, 64, 0}, flows::kNoConnection);
  if (admission.reason != DropReason::kNone || !is_answered) return;
  auto& table = world.connections->table<Key>();
  const auto& reverse = table[admission.flow.connection()].flows[1];
  const flows::Zone zone = flows::zone_of(reverse.key);
  const bool is_tunnel = zone.kind == ZoneKind::kTunnel;
  const Ip4 peer(192, 0, 2, (tuple.source_port & 7) == 0 ? 13 : 12);
  if (is_tunnel && policy.find_peer(zone.index, peer) == nullptr) return;  // As the layer says.
  const Ingress back = ingress_of(policy, zone, is_tunnel ? peer : Ip4{}, answer_to);
  static_cast<void>(world.connections->refresh<Key>(
      flows::FlowRef(admission.flow.connection(), flows::Direction::kReverse), back, policy, 0,
      true));
}

void Reconcile::send(RandomPolicy& random) {
  const Snapshot& policy = *worlds_[0].compiled.snapshot;
  static const std::array<IpAddress, 18> kTargets{
      "10.0.0.10"_ip,    "10.0.0.11"_ip,    "10.0.1.12"_ip,      "10.1.0.13"_ip,
      "10.0.0.14"_ip,    "10.0.0.50"_ip,    "10.0.0.51"_ip,      "10.0.1.52"_ip,
      "10.1.1.53"_ip,    "10.0.9.9"_ip,     "203.0.113.10"_ip,   "203.0.113.11"_ip,
      "203.0.113.30"_ip, "198.51.100.7"_ip, "198.51.100.200"_ip, "198.51.100.3"_ip,
      "203.0.113.21"_ip, "10.0.0.15"_ip};
  static const std::array<IpAddress, 6> kTargets6{"fd00::10"_ip, "fd00::11"_ip,  "fd00::50"_ip,
                                                  "fd00::15"_ip, "fd00:1::1"_ip, "fd00::99"_ip};
  const bool is_v6 = random.one_in(6);
  IpTuple tuple;
  tuple.protocol = random.one_in(3)   ? packet::kProtoTcp
                   : random.one_in(6) ? (is_v6 ? packet::kProtoIcmp6 : packet::kProtoIcmp)
                                      : packet::kProtoUdp;
  tuple.source_port = static_cast<std::uint16_t>(1'000 + random.below(40));
  tuple.destination_port = static_cast<std::uint16_t>(random.one_in(8) ? 1'024 + random.below(300)
                                                                       : 49 + random.below(10));
  if (tuple.is_icmp()) tuple.destination_port = is_v6 ? 128 << 8 : 8 << 8;
  tuple.destination =
      is_v6 ? kTargets6[random.below(kTargets6.size())] : kTargets[random.below(kTargets.size())];
  tuple.source = is_v6 ? kTargets6[random.below(3)] : kTargets[random.below(9)];
  flows::Zone zone{ZoneKind::kUplink, 0};
  const unsigned where = random.below(6);
  const unsigned choice = random.below(64);
  if (where < 4) {
    const auto eni = static_cast<std::uint16_t>(choice % policy.enis.size());
    if (!policy.enis[eni].is_present || !policy.enis[eni].is_local()) return;
    zone = {ZoneKind::kEni, eni};
    for (const IpAddress& ip : policy.enis[eni].ips) {
      if (ip.family() == tuple.destination.family()) tuple.source = ip;
    }
  } else if (where == 4) {
    const auto vpc = static_cast<std::uint16_t>(choice % policy.vpcs.size());
    if (!policy.vpcs[vpc].is_present) return;
    zone = {ZoneKind::kTunnel, vpc};
  } else if (!is_v6) {
    tuple.source = Ip4(198, 51, 100, static_cast<std::uint8_t>(choice));
  }
  if (tuple.source.family() != tuple.destination.family() || tuple.source == tuple.destination)
    return;
  const Ip4 peer(192, 0, 2, static_cast<std::uint8_t>(12 + random.below(2)));
  const bool is_stranger =
      zone.kind == ZoneKind::kTunnel && policy.find_peer(zone.index, peer) == nullptr;
  if (is_stranger) return;
  const auto* const to = policy.find_endpoint(
      zone.kind == ZoneKind::kEni ? policy.enis[zone.index].vpc : zone.index, tuple.destination);
  const bool is_direct = to != nullptr && random.one_in(3) && zone.kind != ZoneKind::kUplink;
  const Ingress in = ingress_of(policy, zone, peer, is_direct ? to->mac : dataplane::kGatewayMac);
  const bool is_answered = random.one_in(2);
  for (World& world : worlds_) {
    if (is_v6) {
      receive<flows::Ip6Key>(world, in, tuple, is_answered, dataplane::kGatewayMac);
    } else {
      receive<flows::Ip4Key>(world, in, tuple, is_answered, dataplane::kGatewayMac);
    }
  }
}

template <typename Key>
void Reconcile::send_again(RandomPolicy& random) {
  const Snapshot& policy = *worlds_[0].compiled.snapshot;
  const auto& records = worlds_[0].connections->table<Key>();
  if (records.touched_count() == 0) return;
  const std::uint32_t index = random.below(records.touched_count());
  const bool is_reply = random.one_in(2);
  const Ip4 peer(192, 0, 2, static_cast<std::uint8_t>(12 + random.below(2)));
  if (!records.is_used(index)) return;
  const auto& flow = records[index].flows[is_reply ? 1 : 0];
  const flows::Zone zone = flows::zone_of(flow.key);
  const bool comes_from_vm = zone.kind == ZoneKind::kEni;
  if (comes_from_vm &&
      (policy.find_eni(zone.index) == nullptr || !policy.enis[zone.index].is_local())) {
    return;
  }
  const bool is_tunnel = zone.kind == ZoneKind::kTunnel;
  if (is_tunnel && policy.find_peer(zone.index, peer) == nullptr) return;
  const Mac to = flow.destination_mac.is_zero() ? dataplane::kGatewayMac : flow.destination_mac;
  const Ingress in = ingress_of(policy, zone, is_tunnel ? peer : Ip4{}, to);
  const flows::FlowRef ref(index,
                           is_reply ? flows::Direction::kReverse : flows::Direction::kForward);
  // A burst that hits it, and perhaps others, on the fast path.
  const std::array<flows::FlowRef, 2> hit{ref, ref};
  const bool is_common = random.one_in(2);
  for (World& world : worlds_) {
    const Snapshot& of_world = *world.compiled.snapshot;
    if (is_common && !world.connections->is_settled(of_world)) {
      world.connections->bring_up<Key>(hit, of_world);
    }
    static_cast<void>(world.connections->refresh<Key>(ref, in, of_world, 0, is_reply));
  }
}

// With a budget of one a record is looked at, whatever becomes of it.
void Reconcile::sweep_some(unsigned records) {
  for (World& world : worlds_) {
    for (unsigned i = 0; i < records; ++i) {
      static_cast<void>(world.connections->sweep(*world.compiled.snapshot, 1, 1));
    }
  }
}

void Reconcile::sweep() {
  for (World& world : worlds_) {
    while (!world.connections->sweep(*world.compiled.snapshot, 1, 1'000)) {
    }
  }
}

// What differs between the two worlds' flows, or nothing.
template <typename Flow>
std::string Reconcile::difference(const Flow& a, const Flow& b) const {
  if (!(a.key == b.key)) return "key";
  if (a.generation != b.generation) return "generation";
  if (!(a.action.tuple == b.action.tuple)) return "tuple";
  if (a.generation == 0) return {};
  if (a.action.flags != b.action.flags) return "flags";
  if (a.action.ip_delta != b.action.ip_delta || a.action.l4_delta != b.action.l4_delta) {
    return "checksum";
  }
  if (a.action.max_ip_bytes != b.action.max_ip_bytes) return "size";
  if (a.action.outer_source_port != b.action.outer_source_port) return "outer port";
  if (a.tunnel_source != b.tunnel_source || !(a.destination_mac == b.destination_mac)) {
    return "guard";
  }
  const auto& hops = worlds_[0].compiled.snapshot->next_hops;
  const auto& other_hops = worlds_[1].compiled.snapshot->next_hops;
  const bool is_same_hop = std::memcmp(&hops[a.action.next_hop], &other_hops[b.action.next_hop],
                                       sizeof(flows::NextHop)) == 0;
  return is_same_hop ? "" : "hop";
}

std::string Reconcile::rule_name(std::uint32_t rule) const {
  return rule == flows::kNoRule ? "-" : worlds_[0].compiled.names.rules[rule];
}

template <typename Key>
void Reconcile::expect_same() {
  auto& a = worlds_[0].connections->table<Key>();
  auto& b = worlds_[1].connections->table<Key>();
  ASSERT_EQ(a.touched_count(), b.touched_count());
  for (std::uint32_t i = 0; i < a.touched_count(); ++i) {
    ASSERT_EQ(a.is_used(i), b.is_used(i)) << "connection " << i;
    if (!a.is_used(i)) continue;
    for (unsigned d = 0; d < 2; ++d) {
      ASSERT_EQ(difference(a[i].flows[d], b[i].flows[d]), "") << "connection " << i;
    }
    ASSERT_EQ(rule_name(a[i].details.egress_rule), rule_name(b[i].details.egress_rule));
    ASSERT_EQ(rule_name(a[i].details.ingress_rule), rule_name(b[i].details.ingress_rule));
    ASSERT_EQ(a[i].shared.flags, b[i].shared.flags);
  }
}

#define GANNET_INSTANTIATE(Key)                                                             \
  template void Reconcile::receive<Key>(World&, const Ingress&, const IpTuple&, bool, Mac); \
  template void Reconcile::send_again<Key>(RandomPolicy&);                                  \
  template void Reconcile::expect_same<Key>()
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::control
