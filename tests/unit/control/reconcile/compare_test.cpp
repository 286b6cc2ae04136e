// SPDX-License-Identifier: BSD-3-Clause
// What a change of policy concerns, and what not.
#include "dataplane/changes.hpp"
#include "tests/support/literals.hpp"
#include "tests/unit/control/reconcile/worlds.hpp"

#include <chrono>
#include <cstdio>

#include <fmt/format.h>

namespace gannet::control {
namespace {

using dataplane::Changes;
using dataplane::Ingress;
using dataplane::IpTuple;
using dataplane::Snapshot;
using flows::ZoneKind;
using test::operator""_ip;

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

  // Each VM asks the next one.
  void fill() {
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
        for (World& world : worlds_) receive<flows::Ip4Key>(world, direct, tuple, false, {});
      }
    }
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
  publish(*load(policy(false)), 1);
  fill();
  ASSERT_EQ(worlds_[0].connections->connection_total(), kVms * kOfEach);
  publish(*load(policy(true)), 2);
  const auto seconds = time_sweeps();
  std::printf("swept in %.2f ms, %.2f ms if all are judged again\n", seconds[0] * 1e3,
              seconds[1] * 1e3);
  EXPECT_EQ(worlds_[0].connections->reevaluated_count(), kOfEach * 3 / 4);
  EXPECT_EQ(worlds_[0].connections->adopted_count(), kVms * kOfEach - kOfEach * 3 / 4);
  EXPECT_EQ(worlds_[1].connections->reevaluated_count(), kVms * kOfEach);
  EXPECT_EQ(worlds_[0].connections->connection_total(), kVms * kOfEach - kOfEach * 3 / 4);
  expect_same<flows::Ip4Key>();
}

// What a change of one group's rules concerns.
class ChangedRules : public Reconcile {
 protected:
  static std::string policy(const std::string& remotes) {
    return "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: p}\n"
           "vpcs: {v: {vni: 1, cidrs: [10.0.0.0/16], subnets: {s: {cidr: 10.0.0.0/20}}}}\n"
           "security_groups:\n  g:\n    default: {ingress: deny, egress: deny}\n    egress:\n"
           "      - {name: r, action: allow, proto: udp, ports: [53], to: {cidr: [" +
           remotes +
           "]}}\n"
           "enis:\n  e0: {vpc: v, subnet: s, ips: [10.0.1.1], mac: \"02:00:00:00:01:01\", "
           "port: p0, security_groups: [g]}\n";
  }
  // Whether packets from the ENI to an address are concerned.
  bool concerns(const IpAddress& to) const {
    const Changes& changes = *worlds_[0].compiled.snapshot->changes;
    for (const std::uint32_t region : changes.enis[0].egress) {
      if (changes.group_regions[region].match(to, packet::kProtoUdp, 53) !=
          dataplane::Acl::kNoMatch) {
        return true;
      }
    }
    return false;
  }
};

// Families are mixed, and as bytes an IPv6 prefix comes before one of IPv4.
TEST_F(ChangedRules, O14P6ConcernTheirPrefixesAndNoOthers) {
  const char* const kAll = "8.0.0.0/8, 200.0.0.0/8, 210.0.0.0/8, \"2001:db8::/32\", \"fd00::/16\"";
  publish(*load(policy(kAll)), 1);
  publish(*load(policy("8.0.0.0/8, 210.0.0.0/8, \"2001:db8::/32\", \"fd00::/16\"")), 2);
  EXPECT_TRUE(concerns("200.1.1.1"_ip));
  for (const IpAddress& other : {"8.1.1.1"_ip, "210.1.1.1"_ip, "2001:db8::1"_ip, "fd00::1"_ip}) {
    EXPECT_FALSE(concerns(other)) << gannet::to_string(other);
  }
  publish(*load(policy(kAll)), 3);
  EXPECT_TRUE(concerns("200.1.1.1"_ip));
  publish(*load(policy("8.0.0.0/8, 200.0.0.0/8, 210.0.0.0/8, \"fd00::/16\"")), 4);
  EXPECT_TRUE(concerns("2001:db8::1"_ip));
  for (const IpAddress& other : {"8.1.1.1"_ip, "200.1.1.1"_ip, "210.1.1.1"_ip, "fd00::1"_ip}) {
    EXPECT_FALSE(concerns(other)) << gannet::to_string(other);
  }
}

// A thousand listeners of one pool of two hundred backends, one of which goes.
TEST_F(Reconcile, O14P6APoolConcernsThoseOfTheBackendThatHasGone) {
  const auto policy = [](unsigned backends) {
    std::string t =
        "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: p}\n"
        "vpcs: {v: {vni: 1, cidrs: [10.0.0.0/16], subnets: {s: {cidr: 10.0.0.0/20}}}}\n"
        "load_balancers:\n  l:\n    vpc: v\n    vip: 10.0.9.9\n    listeners:\n";
    for (unsigned i = 0; i < 1'000; ++i) {
      t += fmt::format("      - {{proto: udp, port: {}, backend_pool: p}}\n", 1 + i);
    }
    t += "    backend_pools:\n      p:\n        backends:\n";
    for (unsigned i = 0; i < backends; ++i) {
      t += fmt::format("          - {{ip: 10.0.1.{}, port: 53}}\n", 1 + i);
    }
    return t;
  };
  publish(*load(policy(200)), 1);
  publish(*load(policy(199)), 2);
  const auto& addresses = worlds_[0].compiled.snapshot->changes->addresses;
  unsigned count = 0;
  addresses.for_each([&count](const auto&, std::uint32_t) { ++count; });
  EXPECT_EQ(count, 1u);
  EXPECT_NE(addresses.find({"10.0.1.200"_ip, 0}),
            dataplane::ExactMap<dataplane::AddressKey>::kNone);
}

// An address that nobody speaks with has changed: nobody is judged again, but it is looked for.
TEST_F(ManyConnections, O14SweepInPartsAsLargeAsTheirWork) {
  constexpr unsigned kBudget = 1'000;
  make(kVms * kOfEach);
  const std::string mapping =
      "mappings: {10.0.8.8: {underlay_ip: 192.0.2.12, mac: \"02:00:00:00:00:";
  const auto with = [&](const char* mac) {
    std::string text = policy(false);
    return text.insert(text.find("subnets:"), mapping + mac + "\"}}, ");
  };
  publish(*load(with("11")), 1);
  fill();
  publish(*load(with("12")), 2);
  auto& connections = *worlds_[0].connections;
  ASSERT_FALSE(connections.sweep(*worlds_[0].compiled.snapshot, 1, kBudget));
  EXPECT_GT(connections.adopted_count(), kBudget / 12);
  EXPECT_LT(connections.adopted_count(), kBudget / 3);
  sweep();
  EXPECT_EQ(connections.reevaluated_count(), 0u);
  EXPECT_EQ(connections.adopted_count(), kVms * kOfEach);
}

}  // namespace
}  // namespace gannet::control
