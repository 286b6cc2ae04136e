// SPDX-License-Identifier: BSD-3-Clause
// Connections after a change of policy: those that its changes do not concern take over the new
// generation, and must then be exactly what judging them again would have made of them. Random
// policies that follow each other, the same connections twice: once brought up to each policy by
// its changes, once all judged again.
//
// GANNET_RECONCILE=N sets how many chains of policies (16).
#include "control/policy/load.hpp"
#include "control/policy/validate.hpp"
#include "control/reconcile/compare.hpp"
#include "control/rehearsal.hpp"
#include "dataplane/connections.hpp"
#include "tests/support/literals.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gannet::control {
namespace {

using dataplane::Connections;
using dataplane::DropReason;
using dataplane::FirstPacket;
using dataplane::Ingress;
using dataplane::IpTuple;
using dataplane::Snapshot;
using flows::Direction;
using flows::ZoneKind;
using test::operator""_ip;

constexpr unsigned kPoliciesOfAChain = 6;
constexpr unsigned kPacketsOfAPolicy = 150;
constexpr unsigned kEniCount = 6;
constexpr unsigned kPortCount = 100;

// Policies as a heap of choices, of which a change makes a few anew. VPCs a and c have the same
// networks; a and b may be routed to each other.
class RandomPolicy {
 public:
  explicit RandomPolicy(std::uint32_t seed) : random_(seed) {
    for (std::uint32_t& choice : choices_) choice = random_();
  }

  void change(unsigned count) {
    for (; count != 0; --count) choices_[below(kChoices)] = random_();
  }
  unsigned below(unsigned limit) { return random_() % limit; }
  bool one_in(unsigned count) { return below(count) == 0; }

  std::string text() {
    next_ = 0;
    std::string t = "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: p}\nprefix_lists:\n";
    t += fmt::format("  office: [{}]\n", some({"10.0.0.0/30", "10.0.0.16/28", "198.51.100.0/25",
                                               "10.0.1.0/24", "\"fd00::/64\""}));
    t += "vpcs:\n" + vpc("a", 1, "10.0", "\"fd00::/56\"") + vpc("b", 2, "10.1", "") +
         vpc("c", 3, "10.0", "");
    t += route_tables();
    t += "security_groups:\n";
    for (unsigned i = 0; i < 3; ++i) t += group(i);
    t += enis();
    t += fmt::format("nat_gateways:\n");
    if (!rarely())
      t += fmt::format("  n1: {{vpc: a, public_ips: [203.0.113.20], ports_per_eni: {}}}\n",
                       rarely() ? 512 : 1024);
    t += fmt::format("  n2: {{vpc: a, public_ips: [203.0.113.21{}], ports_per_eni: 256}}\n",
                     pick(2) != 0 ? ", 203.0.113.22" : "");
    t += balancers();
    return t;
  }

 private:
  static constexpr unsigned kChoices = 400;

  unsigned pick(unsigned limit) { return choices_[next_++ % kChoices] % limit; }
  bool rarely() { return pick(8) == 0; }

  // Some of the words, never none, in an order of their own.
  std::string some(std::vector<std::string> words) {
    std::string list;
    const unsigned chosen = pick(1u << words.size());
    if (pick(3) == 0) std::swap(words.front(), words.back());
    for (std::size_t i = 0; i < words.size(); ++i) {
      const bool is_in = (chosen >> i & 1) != 0 || (i + 1 == words.size() && list.empty());
      if (is_in) list += (list.empty() ? "" : ", ") + words[i];
    }
    return list;
  }

  std::string vpc(const std::string& name, unsigned vni, const std::string& net,
                  const std::string& v6) {
    std::string t =
        fmt::format("  {}:\n    vni: {}\n    cidrs: [{}.0.0/16{}{}]\n    subnets:\n", name,
                    rarely() && name == "c" ? 30 : vni, net, v6.empty() ? "" : ", ", v6);
    const bool is_a = name == "a";
    t +=
        fmt::format("      s: {{cidr: {}.0.0/24{}{}}}\n", net, is_a ? ", cidr6: \"fd00::/64\"" : "",
                    is_a          ? ", route_table: ta"
                    : name == "b" ? ", route_table: tb"
                                  : "");
    t += fmt::format("      t: {{cidr: {}.1.0/24{}}}\n", net,
                     is_a && !rarely() ? ", route_table: tt" : "");
    t += "    mappings:\n";
    t +=
        fmt::format("      {}.0.99: {{underlay_ip: 192.0.2.9, mac: \"02:00:00:00:00:99\"}}\n", net);
    for (unsigned i = 0; i < 4; ++i) {
      if (pick(4) == 0) continue;
      t += fmt::format("      {}.{}.{}: {{underlay_ip: 192.0.2.{}, mac: \"02:00:00:00:00:{}\"}}\n",
                       net, i / 2, 50 + i, 12 + pick(2), 50 + i + (rarely() ? 20 : 0));
    }
    if (is_a && pick(3) != 0) {
      t += fmt::format(
          "      \"fd00::50\": {{underlay_ip: 192.0.2.{}, mac: \"02:00:00:00:00:60\"}}\n",
          12 + pick(2));
    }
    return t;
  }

  std::string route_tables() {
    std::string t = "route_tables:\n";
    for (const char* const name : {"ta", "tt"}) {
      t += fmt::format("  {}:\n    - {{to: 198.51.100.64/26, via: drop}}\n", name);
      for (const char* const to : {"0.0.0.0/0", "198.51.100.0/24", "198.51.100.128/25",
                                   "198.51.100.7/32", "203.0.113.0/24"}) {
        const unsigned via = pick(6);
        if (via == 5) continue;
        static constexpr std::array<const char*, 5> kVia{"internet", "{nat_gateway: n2}",
                                                         "{nat_gateway: n2}", "drop", "internet"};
        t += fmt::format("    - {{to: {}, via: {}}}\n", to, kVia[via]);
      }
      if (pick(4) != 0) t += "    - {to: 10.1.0.0/16, via: {peer_vpc: b}}\n";
    }
    t += "  tb:\n    - {to: 0.0.0.0/0, via: drop}\n";
    if (pick(4) != 0) t += "    - {to: 10.0.0.0/16, via: {peer_vpc: a}}\n";
    return t;
  }

  std::string rules(const char* side) {
    static constexpr std::array<const char*, 8> kRemotes{"any",
                                                         "{cidr: 10.0.0.0/24}",
                                                         "{cidr: [10.0.0.8/29, 198.51.100.0/24]}",
                                                         "{cidr: 10.1.0.0/16}",
                                                         "{prefix_list: office}",
                                                         "{security_group: g1}",
                                                         "{cidr: 10.0.1.0/24}",
                                                         "{cidr: \"fd00::/64\"}"};
    std::string t;
    std::vector<unsigned> order{0, 1, 2, 3};
    if (pick(4) == 0) std::swap(order[0], order[pick(4)]);
    for (const unsigned i : order) {
      if (pick(4) == 0) continue;
      const unsigned first = 50 + pick(6);
      static constexpr std::array<const char*, 4> kProtocols{"tcp", "udp", "udp", "any"};
      const char* const protocol = kProtocols[pick(4)];
      t += fmt::format("      - {{name: r{}, action: {}, proto: {}{}, {}: {}{}}}\n", i,
                       pick(3) != 0   ? "allow"
                       : pick(2) != 0 ? "deny"
                                      : "reject",
                       protocol,
                       *protocol != 'a' && pick(3) != 0
                           ? fmt::format(", ports: [\"{}-{}\", 80]", first, first + pick(4))
                           : std::string(),
                       side, kRemotes[pick(8)], rarely() ? ", persist: true" : "");
    }
    return t;
  }

  std::string group(unsigned number) {
    std::string t = fmt::format("  g{}:\n    default: {{ingress: {}, egress: {}}}\n", number,
                                pick(4) != 0 ? "allow" : "deny", rarely() ? "deny" : "allow");
    if (rarely()) t += "    mode: audit\n";
    const std::string in = rules("from");
    const std::string out = rules("to");
    if (!in.empty()) t += "    ingress:\n" + in;
    if (!out.empty()) t += "    egress:\n" + out;
    return t;
  }

  std::string enis() {
    static constexpr std::array<const char*, kEniCount> kHomes{"a", "a", "a", "b", "c", "a"};
    std::string t = "enis:\n";
    for (unsigned i = 0; i < kEniCount; ++i) {
      const bool is_t = i == 2;
      const std::string net = kHomes[i][0] == 'b' ? "10.1" : "10.0";
      const bool has_v6 = kHomes[i][0] == 'a' && !is_t;
      t += fmt::format(
          "  e{}: {{vpc: {}, subnet: {}, ips: [{}.{}.{}{}{}], mac: \"02:00:00:00:01:{:02x}\"", i,
          kHomes[i], is_t ? "t" : "s", net, is_t ? 1 : 0, 10 + i,
          rarely() ? fmt::format(", {}.{}.{}", net, is_t ? 1 : 0, 110 + i) : std::string(),
          has_v6 ? fmt::format(", \"fd00::{}\"", 10 + i) : std::string(), i);
      if (i != 5 || pick(2) != 0) t += fmt::format(", port: p{}", i);
      if (!rarely()) t += fmt::format(", security_groups: [{}]", some({"g0", "g1", "g2"}));
      if (i < 2 && pick(3) != 0)
        t += fmt::format(", public_ip: 203.0.113.{}", 10 + (rarely() ? 5 : i));
      if (rarely()) t += ", qos: {bandwidth: 1Gbps}";
      if (pick(20) == 0) t += ", admin: down";
      t += "}\n";
    }
    return t;
  }

  std::string backends() {
    std::string t;
    for (unsigned i = 0; i < 4; ++i) {
      if (pick(4) == 0) continue;
      t += fmt::format("          - {{ip: 10.0.{}.{}, port: {}, weight: {}}}\n", i == 2 ? 1 : 0,
                       10 + i + (i == 3 ? 37 : 0), rarely() ? 80 : 53, 1 + pick(3));
    }
    return t;
  }

  std::string balancers() {
    std::string t = "load_balancers:\n";
    for (const char* const vip : {"10.0.9.9", "203.0.113.30"}) {
      t += fmt::format("  l{}:\n    vpc: a\n    vip: {}\n    listeners:\n", vip[0], vip);
      for (const char* const port : {"53", "54", "any"}) {
        if (pick(3) == 0 && port[1] != '3') continue;
        t += fmt::format("      - {{proto: udp, port: {}, backend_pool: {}{}}}\n", port,
                         pick(3) != 0 ? "p" : "q", rarely() ? ", affinity: source_ip" : "");
      }
      for (const char* const pool : {"p", "q"}) {
        const std::string all = backends();
        if (pool[0] == 'p') t += "    backend_pools:\n";
        t += fmt::format("      {}:\n        backends:{}\n{}", pool, all.empty() ? " []" : "", all);
      }
    }
    return t;
  }

  std::mt19937 random_;
  std::array<std::uint32_t, kChoices> choices_{};
  unsigned next_ = 0;
};

/// One of the two: connections, and the policies that they have seen.
struct World {
  Identities identities;
  CompiledPolicy compiled;
  std::unique_ptr<Connections> connections;
};

class Reconcile : public testing::Test {
 protected:
  static HostFacts host() {
    HostFacts host;
    host.ports = {"uplink"};
    for (unsigned i = 0; i < kPortCount; ++i) host.ports.push_back(fmt::format("p{}", i));
    host.uplink = 0;
    host.uplink_mac = Mac{{2, 0, 0, 0, 0, 1}};
    host.underlay_ips.push_back({"192.0.2.11"_ip, 24});
    host.gateway = Ip4(192, 0, 2, 254);
    host.worker_of_port.assign(host.ports.size(), 0);
    host.neighbor = [](Ip4 ip) { return ip.host() & 0xff; };
    return host;
  }

  static std::optional<Policy> load(const std::string& text) {
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

  void SetUp() override { make(4'096); }

  void make(std::uint32_t capacity) {
    for (World& world : worlds_) {
      dataplane::TrackingConfig config;
      config.timeouts.fill(1'000'000);
      config.ip4_capacity = config.ip6_capacity = capacity;
      auto made = Connections::create(config, flows::HashSeed{{1, 2, 3, 4}}, 0, {});
      ASSERT_TRUE(made);
      world.connections = std::move(*made);
    }
  }

  // Both worlds have the policy; the first knows what it changes.
  void publish(const Policy& policy, const BackendStates& backends, std::uint32_t generation) {
    for (World& world : worlds_) {
      auto compiled =
          compile(policy, host(), backends, generation, generation - 1, world.identities);
      ASSERT_TRUE(compiled);
      if (&world == &worlds_[0] && world.compiled.snapshot != nullptr) {
        compiled->snapshot->changes = compare({*world.compiled.snapshot, world.compiled.names},
                                              {*compiled->snapshot, compiled->names});
        ASSERT_NE(compiled->snapshot->changes, nullptr);
      }
      world.compiled = std::move(*compiled);
    }
  }

  static Ingress ingress_of(const Snapshot& policy, flows::Zone zone, Ip4 tunnel_source, Mac to) {
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
  static void open(World& world, const Ingress& in, const IpTuple& tuple, bool is_answered,
                   Mac answer_to) {
    const Snapshot& policy = *world.compiled.snapshot;
    const auto known = world.connections->table<Key>().find(dataplane::key_of<Key>(tuple, in.zone));
    if (known.is_valid()) return;
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
        flows::FlowRef(admission.flow.connection(), Direction::kReverse), back, policy, 0, true));
  }

  // A packet from anywhere to anywhere, told by random numbers so that both worlds see the same.
  void send(RandomPolicy& random) {
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
        open<flows::Ip6Key>(world, in, tuple, is_answered, dataplane::kGatewayMac);
      } else {
        open<flows::Ip4Key>(world, in, tuple, is_answered, dataplane::kGatewayMac);
      }
    }
  }

  void sweep() {
    for (World& world : worlds_) {
      while (!world.connections->sweep(*world.compiled.snapshot, 1, 1'000)) {
      }
    }
  }

  // What differs between the two worlds' flows, or nothing.
  template <typename Flow>
  std::string difference(const Flow& a, const Flow& b) const {
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

  std::string rule_name(std::uint32_t rule) const {
    return rule == flows::kNoRule ? "-" : worlds_[0].compiled.names.rules[rule];
  }

  template <typename Key>
  void expect_same() {
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

  std::array<World, 2> worlds_;
  static inline std::string last_error_;
};

unsigned chains() {
  const char* const given = std::getenv("GANNET_RECONCILE");
  return given == nullptr ? 16 : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

// O14 P6: and most are not judged again.
TEST_F(Reconcile, O14P6WhatIsNotJudgedAgainIsWhatJudgingMakesOfIt) {
  std::uint64_t adopted = 0;
  std::uint64_t judged = 0;
  std::uint64_t judged_without = 0;
  unsigned transitions = 0;
  for (unsigned chain = 0; chain < chains(); ++chain) {
    worlds_ = {};
    SetUp();
    RandomPolicy random(chain + 1);
    std::uint32_t generation = 0;
    for (unsigned tries = 0; generation < kPoliciesOfAChain && tries < 200; ++tries) {
      RandomPolicy before = random;
      random.change(1 + random.below(3));
      const auto policy = load(random.text());
      if (!policy) {  // A choice that does not go with the others.
        random = before;
        random.change(generation == 0 ? 100 : 1);
        if (!load(random.text())) random = before;
        random.below(7);
        continue;
      }
      BackendStates backends;
      publish(*policy, backends, ++generation);
      sweep();
      expect_same<flows::Ip4Key>();
      expect_same<flows::Ip6Key>();
      if (HasFatalFailure()) {
        std::fprintf(stderr, "chain %u, policy %u\n%s\n", chain, generation, random.text().c_str());
        return;
      }
      ++transitions;
      for (unsigned i = 0; i < kPacketsOfAPolicy; ++i) send(random);
    }
    adopted += worlds_[0].connections->adopted_count();
    judged += worlds_[0].connections->reevaluated_count();
    judged_without += worlds_[1].connections->reevaluated_count();
  }
  std::printf("%u policies, %lu judged again of %lu, %lu took over\n", transitions, judged,
              judged_without, adopted);
  EXPECT_GT(transitions, chains() * kPoliciesOfAChain / 2) << last_error_.substr(0, 4'000);
  EXPECT_EQ(adopted + judged, judged_without);
  EXPECT_GT(adopted, judged_without / 4);
}

// A hundred VMs with a thousand connections each; the group of one of them closes a port.
class ManyConnections : public Reconcile {
 protected:
  static constexpr unsigned kVms = kPortCount;
  static constexpr unsigned kOfEach = 1'000;

  static std::string policy(bool is_closed) {
    std::string t =
        "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: p}\n"
        "vpcs: {v: {vni: 1, cidrs: [10.0.0.0/16], subnets: {s: {cidr: 10.0.0.0/20}}}}\n"
        "security_groups:\n";
    std::string enis = "enis:\n";
    for (unsigned i = 0; i < kVms; ++i) {
      t += fmt::format(
          "  g{}:\n    default: {{ingress: allow, egress: allow}}\n    egress:\n"
          "      - {{name: r, action: {}, proto: udp, ports: [53], to: any}}\n",
          i, is_closed && i == 7 ? "deny" : "allow");
      enis += fmt::format(
          "  e{}: {{vpc: v, subnet: s, ips: [10.0.1.{}], "
          "mac: \"02:00:00:00:01:{:02x}\", port: p{}, security_groups: [g{}]}}\n",
          i, 1 + i, i, i, i);
    }
    return t + enis;
  }

  // Seconds that both worlds' sweeps take.
  std::array<double, 2> time_sweeps() {
    std::array<double, 2> seconds{};
    for (std::size_t i = 0; i < worlds_.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      while (!worlds_[i].connections->sweep(*worlds_[i].compiled.snapshot, 1, 1'000'000)) {
      }
      seconds[i] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    return seconds;
  }
};

// O14 P6: those of one VM are judged again, and of these only those to the port.
TEST_F(ManyConnections, O14P6OnlyThoseThatAChangeConcernsAreJudgedAgain) {
  make(kVms * kOfEach);
  publish(*load(policy(false)), {}, 1);
  const Snapshot& snapshot = *worlds_[0].compiled.snapshot;
  for (std::uint16_t vm = 0; vm < kVms; ++vm) {
    const Ingress in = ingress_of(snapshot, {ZoneKind::kEni, vm}, {}, dataplane::kGatewayMac);
    const dataplane::Eni& peer = snapshot.enis[(vm + 1) % kVms];
    for (unsigned i = 0; i < kOfEach; ++i) {
      const IpTuple tuple{snapshot.enis[vm].ips.front(), peer.ips.front(),
                          static_cast<std::uint16_t>(1 + i),
                          static_cast<std::uint16_t>(i % 4 == 0 ? 54 : 53), packet::kProtoUdp};
      Ingress direct = in;
      direct.destination_mac = peer.mac;
      for (World& world : worlds_) open<flows::Ip4Key>(world, direct, tuple, false, {});
    }
  }
  ASSERT_EQ(worlds_[0].connections->connection_total(), kVms * kOfEach);
  publish(*load(policy(true)), {}, 2);
  const auto seconds = time_sweeps();
  std::printf("swept in %.2f ms, %.2f ms if all are judged again\n", seconds[0] * 1e3,
              seconds[1] * 1e3);
  EXPECT_EQ(worlds_[0].connections->reevaluated_count(), kOfEach * 3 / 4);
  EXPECT_EQ(worlds_[0].connections->adopted_count(), kVms * kOfEach - kOfEach * 3 / 4);
  EXPECT_EQ(worlds_[1].connections->reevaluated_count(), kVms * kOfEach);
  EXPECT_EQ(worlds_[0].connections->connection_total(), kVms * kOfEach - kOfEach * 3 / 4);
  expect_same<flows::Ip4Key>();
}

}  // namespace
}  // namespace gannet::control
