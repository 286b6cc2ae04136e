// SPDX-License-Identifier: BSD-3-Clause
// The same random packets through the same random policies, in software and with cards of several
// temper: what comes out, what is dropped and how many connections there are must be equal, byte
// for byte (O1, O10). What differs by ruling R27 (TCP windows on a card) is left out of the
// traffic: segments are in order.
//
// GANNET_DIFFERENTIAL=1000x1000 sets how many policies, and packets of each.
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "tests/card/conversation.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace gannet::test {
namespace {

using Random = std::mt19937;

unsigned below(Random& random, unsigned limit) {
  return std::uniform_int_distribution<unsigned>(0, limit - 1)(random);
}
bool one_in(Random& random, unsigned count) { return below(random, count) == 0; }

const char* word(Random& random, const char* a, const char* b) { return one_in(random, 2) ? a : b; }

// A policy with the same objects but other rules, routes and mappings each time.
std::string random_policy(Random& random, unsigned number) {
  std::string rules;
  const unsigned rule_count = below(random, 6);
  for (unsigned i = 0; i < rule_count; ++i) {
    const unsigned first = 50 + below(random, 10);
    rules +=
        fmt::format("      - {{name: r{}, action: {}, proto: {}, ports: [\"{}-{}\"], from: {}}}\n",
                    i, word(random, "allow", "deny"), word(random, "tcp", "udp"), first,
                    first + below(random, 8), word(random, "any", "{cidr: 10.10.2.0/24}"));
  }
  return fmt::format(
      "apiVersion: gannet/v1\nkind: Policy\nmetadata: {{name: p{}}}\n"
      "vpcs:\n  shop:\n    vni: 5001\n    cidrs: [10.10.0.0/16]\n    subnets:\n"
      "      web: {{cidr: 10.10.1.0/24, route_table: public}}\n"
      "      db: {{cidr: 10.10.2.0/24, route_table: private}}\n    mappings:\n"
      "      10.10.2.20: {{underlay_ip: 192.0.2.{}, mac: \"02:00:00:0a:02:14\"}}\n"
      "      10.10.2.21: {{underlay_ip: 192.0.2.13, mac: \"02:00:00:0a:02:15\"}}\n"
      "route_tables:\n  public:\n    - {{to: 0.0.0.0/0, via: {}}}\n"
      "  private:\n    - {{to: 0.0.0.0/0, via: {{nat_gateway: egress}}}}\n"
      "security_groups:\n  open:\n    default: {{ingress: {}, egress: allow}}\n    ingress:\n"
      "      - {{name: most, action: allow, proto: udp, ports: [\"1000-1010\"], from: any}}\n{}"
      "enis:\n"
      "  vm1: {{vpc: shop, subnet: web, ips: [10.10.1.11], mac: \"02:00:00:0a:01:0b\", port: vm1,\n"
      "        security_groups: [open], public_ip: 203.0.113.11}}\n"
      "  vm2: {{vpc: shop, subnet: db, ips: [10.10.2.12], mac: \"02:00:00:0a:02:0c\", port: vm2,\n"
      "        security_groups: [open]}}\n"
      "nat_gateways:\n  egress: {{vpc: shop, public_ips: [203.0.113.20], ports_per_eni: 1024}}\n"
      "load_balancers:\n  front:\n    vpc: shop\n    vip: 10.10.9.9\n    listeners:\n"
      "      - {{proto: udp, port: 53, backend_pool: dns}}\n    backend_pools:\n      dns:\n"
      "        backends: [{{eni: vm2, port: 5353}}]\n",
      number, 12 + below(random, 2), word(random, "internet", "drop"),
      word(random, "allow", "allow"), rules);
}

struct Frame {
  std::string port;
  Bytes bytes;
};

// Traffic that comes back to the same few tuples, so that most packets are of flows on the card,
// and that now and then is odd in one respect.
class Traffic {
 public:
  explicit Traffic(const BenchSwitch& bench) : bench_(bench) {}

  Frame next(Random& random) {
    switch (below(random, 5)) {
      case 0: return vm(random, 1);
      case 1: return vm(random, 2);
      case 2: return remote(random);
      case 3: return internet(random);
      default: return tcp(random);
    }
  }

 private:
  static IpFields fields(Random& random) {
    IpFields f;
    if (one_in(random, 30)) f.ttl = static_cast<std::uint8_t>(below(random, 3));
    if (one_in(random, 10)) f.tos = static_cast<std::uint8_t>(below(random, 256));
    if (one_in(random, 40)) f.options = {1, 1, 1, 0};
    f.dont_fragment = one_in(random, 2);
    return f;
  }
  static std::size_t size(Random& random) {
    return one_in(random, 30) ? 1'400 + below(random, 400) : below(random, 64);
  }
  static std::uint16_t port(Random& random) {
    return static_cast<std::uint16_t>(50 + below(random, 6));
  }

  // UDP or an echo on one of a few tuples.
  static Bytes finish(Random& random, Packet packet, std::uint16_t from, std::uint16_t to) {
    if (one_in(random, 12)) return packet.echo_request(7).data(below(random, 40)).bytes();
    if (one_in(random, 12)) return packet.echo_reply(7).data(below(random, 40)).bytes();
    if (one_in(random, 8)) return packet.udp_without_checksum(from, to).data(size(random)).bytes();
    return packet.udp(from, to).data(size(random)).bytes();
  }

  Frame vm(Random& random, unsigned number) {
    const std::array<Ip4, 7> targets{kVm1,      kVm2,     kRemote,          Ip4(10, 10, 2, 21),
                                     kInternet, kPublic1, Ip4(10, 10, 9, 9)};
    const Ip4 to = targets[below(random, targets.size())];
    const Mac source = one_in(random, 50) ? kRemoteMac : number == 1 ? kVm1Mac : kVm2Mac;
    const Ip4 ip = one_in(random, 50) ? Ip4(10, 10, 1, 99) : number == 1 ? kVm1 : kVm2;
    Packet packet;
    packet.eth(source, dataplane::kGatewayMac).ip(ip, to, fields(random));
    const bool answers = one_in(random, 2);
    const auto client = static_cast<std::uint16_t>(1'000 + below(random, 4));
    return {"vm" + std::to_string(number), answers ? finish(random, packet, port(random), client)
                                                   : finish(random, packet, client, port(random))};
  }

  Frame remote(Random& random) {
    const bool is_first = one_in(random, 2);
    const Ip4 peer = one_in(random, 8) ? kOtherPeer : kPeer;
    const std::uint32_t vni = one_in(random, 40) ? kOtherVni : kVni;
    const auto ecn = static_cast<std::uint8_t>(one_in(random, 10) ? below(random, 4) : 0);
    const Packet packet = from_remote(bench_, is_first ? kVm1Mac : kVm2Mac, is_first ? kVm1 : kVm2,
                                      fields(random), peer, vni, ecn);
    const auto client = static_cast<std::uint16_t>(1'000 + below(random, 4));
    return {"uplink", one_in(random, 2) ? finish(random, packet, port(random), client)
                                        : finish(random, packet, client, port(random))};
  }

  Frame internet(Random& random) {
    const Ip4 to = one_in(random, 4) ? Ip4(203, 0, 113, 20) : kPublic1;
    const auto client = static_cast<std::uint16_t>(1'000 + below(random, 4));
    const Packet packet = from_internet(bench_, to, fields(random));
    return {"uplink", one_in(random, 2) ? finish(random, packet, port(random), client)
                                        : finish(random, packet, client, port(random))};
  }

  // One of a few TCP conversations between vm1 and vm2, a step further, in order.
  Frame tcp(Random& random) {
    using namespace packet;
    Tcp& t = conversations_[below(random, kConversations)];
    const auto number = static_cast<std::uint16_t>(&t - conversations_.data());
    const auto send = [&](bool by_client, std::uint8_t flags, std::size_t bytes) -> Frame {
      std::uint32_t& mine = by_client ? t.client : t.server;
      const std::uint32_t theirs = by_client ? t.server : t.client;
      TcpFields f;
      // A port of its own for each: of a connection that begins anew within its old one's
      // TIME_WAIT, windows would decide.
      const auto client = static_cast<std::uint16_t>(3'000 + kConversations * t.life + number);
      f.source_port = by_client ? client : std::uint16_t{55};
      f.destination_port = by_client ? std::uint16_t{55} : client;
      f.flags = flags;
      f.sequence = mine;
      f.acknowledgment = (flags & kTcpAck) != 0 ? theirs : 0;
      mine += static_cast<std::uint32_t>(bytes) + ((flags & (kTcpSyn | kTcpFin)) != 0 ? 1 : 0);
      Packet packet;
      packet.eth(by_client ? kVm1Mac : kVm2Mac, dataplane::kGatewayMac)
          .ip(by_client ? kVm1 : kVm2, by_client ? kVm2 : kVm1);
      return {by_client ? "vm1" : "vm2", packet.tcp(f).data(bytes).bytes()};
    };
    switch (t.step) {
      case 0:
        t.client = random();
        t.server = random();
        t.life = (t.life + 1) % 10'000;
        t.step = 1;
        return send(true, kTcpSyn, 0);
      case 1: t.step = 2; return send(false, kTcpSyn | kTcpAck, 0);
      case 2: t.step = 3; return send(true, kTcpAck, 0);
      case 3:
        if (one_in(random, 40)) {
          t.step = 4;
          return send(true, kTcpFin | kTcpAck, 0);
        }
        return send(one_in(random, 2), kTcpAck, below(random, 60));
      case 4: t.step = 5; return send(false, kTcpFin | kTcpAck, 0);
      default: t.step = 0; return send(true, kTcpAck, 0);
    }
  }

  struct Tcp {
    std::uint32_t client = 0;
    std::uint32_t server = 0;
    unsigned step = 0;
    unsigned life = 0;
  };
  static constexpr unsigned kConversations = 6;
  const BenchSwitch& bench_;
  std::array<Tcp, kConversations> conversations_{};
};

std::string first_difference(const std::map<std::string, std::vector<Bytes>>& a,
                             const std::map<std::string, std::vector<Bytes>>& b) {
  for (const auto* side : {&a, &b}) {
    for (const auto& [port, frames] : *side) {
      const auto left = a.find(port);
      const auto right = b.find(port);
      const std::size_t mine = left == a.end() ? 0 : left->second.size();
      const std::size_t theirs = right == b.end() ? 0 : right->second.size();
      if (mine != theirs) return fmt::format("{}: {} and {} frames", port, mine, theirs);
      for (std::size_t i = 0; i < frames.size(); ++i) {
        if (left->second[i] == right->second[i]) continue;
        return fmt::format("{}: frame {}:\n  {:02x}\n  {:02x}", port, i,
                           fmt::join(left->second[i], " "), fmt::join(right->second[i], " "));
      }
    }
  }
  return {};
}

struct Size {
  unsigned policies = 30;
  unsigned packets = 500;
};
Size wanted_size() {
  Size size;
  if (const char* const text = std::getenv("GANNET_DIFFERENTIAL")) {
    std::sscanf(text, "%ux%u", &size.policies, &size.packets);
  }
  return size;
}

// Sends everything through both and compares after each packet.
void compare(const std::string& card, unsigned failing_percent, unsigned seed) {
  const auto software = make_world("");
  const auto hardware = make_world(card);
  ASSERT_TRUE(software && hardware);
  if (failing_percent != 0) {
    hardware->set_card_fault("insert_percent", std::to_string(failing_percent));
  }
  ASSERT_EQ(software->uplink_mac(), hardware->uplink_mac());
  const auto [policies, packets] = wanted_size();
  Random random(seed);
  Traffic traffic(*software);
  for (unsigned p = 0; p < policies; ++p) {
    const std::string policy = random_policy(random, p);
    for (BenchSwitch* const bench : {software.get(), hardware.get()}) {
      const auto applied = bench->apply("policy", policy);
      ASSERT_TRUE(applied.has_value()) << applied.error().message << policy;
    }
    for (unsigned i = 0; i < packets; ++i) {
      const Frame frame = traffic.next(random);
      for (BenchSwitch* const bench : {software.get(), hardware.get()}) {
        bench->send(frame.port, frame.bytes);
        bench->run();
        if (i % 64 == 0) bench->advance(kNanosPerMilli);
      }
      const std::string difference =
          first_difference(software->take_output(), hardware->take_output());
      ASSERT_EQ(difference, "") << fmt::format("dropped: {}\nand {}\n", software->drops(),
                                               hardware->drops())
                                << "policy " << p << ", packet " << i << " into " << frame.port
                                << fmt::format(": {:02x}\n", fmt::join(frame.bytes, " ")) << policy;
    }
    ASSERT_EQ(software->drops(), hardware->drops()) << "policy " << p;
    ASSERT_EQ(software->connection_count(), hardware->connection_count()) << "policy " << p;
    ASSERT_EQ(hardware->unbalanced(), "");
  }
  EXPECT_EQ(hardware->miscounted(), "");
  const std::uint64_t total = std::uint64_t{policies} * packets;
  if (failing_percent < 100) {
    EXPECT_GT(hardware->card_count(), total / 10) << "hardly anything took the card";
  } else {
    EXPECT_EQ(hardware->card_count(), 0u);
  }
}

TEST(Differential, ACardChangesNothing) { compare("profile=unlimited", 0, 1); }
TEST(Differential, ACardLikeAConnectxChangesNothing) { compare("profile=connectx6dx", 0, 2); }
TEST(Differential, OneFailingInsertInAHundredChangesNothing) { compare("profile=unlimited", 1, 3); }
TEST(Differential, OneFailingInsertInTenChangesNothing) { compare("profile=unlimited", 10, 4); }
TEST(Differential, OnlyFailingInsertsChangeNothing) { compare("profile=unlimited", 100, 5); }

}  // namespace
}  // namespace gannet::test
