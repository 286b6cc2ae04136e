// SPDX-License-Identifier: BSD-3-Clause
#include "tests/card/conversation.hpp"

#include "dataplane/snapshot.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gannet::test {
namespace {

constexpr const char* kPolicy = R"(
apiVersion: gannet/v1
kind: Policy
metadata: {{name: world}}
vpcs:
  shop:
    vni: 5001
    cidrs: [10.10.0.0/16]
    subnets:
      web: {{cidr: 10.10.1.0/24, route_table: public}}
      db: {{cidr: 10.10.2.0/24, route_table: private}}
    mappings:
      10.10.2.20: {{underlay_ip: 192.0.2.12, mac: "02:00:00:0a:02:14"}}
      10.10.2.21: {{underlay_ip: 192.0.2.13, mac: "02:00:00:0a:02:15"}}
  other:
    vni: 5002
    cidrs: [10.10.0.0/16]
    subnets:
      web: {{cidr: 10.10.1.0/24}}
    mappings:
      10.10.2.20: {{underlay_ip: 192.0.2.12, mac: "02:00:00:0a:02:14"}}
route_tables:
  public:
    - {{to: 0.0.0.0/0, via: internet}}
  private:
    - {{to: 0.0.0.0/0, via: {{nat_gateway: egress}}}}
security_groups:
  open:
    default: {{ingress: allow, egress: allow}}
    ingress:
      - {{name: dns, action: {}, proto: udp, ports: [53], from: any}}
enis:
  vm1: {{vpc: shop, subnet: web, ips: [10.10.1.11], mac: "02:00:00:0a:01:0b", port: vm1,
        security_groups: [open], public_ip: 203.0.113.11}}
  vm2: {{vpc: shop, subnet: db, ips: [10.10.2.12], mac: "02:00:00:0a:02:0c", port: vm2,
        security_groups: [open]}}
nat_gateways:
  egress: {{vpc: shop, public_ips: [203.0.113.20], ports_per_eni: 1024}}
)";

}  // namespace

std::string world_policy(bool locked) {
  return fmt::format(fmt::runtime(kPolicy), locked ? "deny" : "allow");
}

std::unique_ptr<BenchSwitch> make_world(const std::string& card, const std::string& host_yaml,
                                        unsigned worker_count, bool is_live, Nanos look_round,
                                        std::chrono::milliseconds card_patience) {
  BenchConfig config;
  config.vm_ports = {"vm1", "vm2"};
  config.card = card;
  config.host_yaml = host_yaml;
  config.worker_count = worker_count;
  config.is_live = is_live;
  config.look_round = look_round;
  config.card_patience = card_patience;
  config.seed = flows::HashSeed{{1, 2, 3, 4}};
  auto bench = BenchSwitch::create(config);
  if (!bench) {
    ADD_FAILURE() << bench.error().message;
    return nullptr;
  }
  (*bench)->set_neighbor(kPeer, kHostMac);
  (*bench)->set_neighbor(kOtherPeer, kOtherHostMac);
  (*bench)->set_neighbor(Ip4{192, 0, 2, 1}, kRouterMac);
  const auto applied = (*bench)->apply("world", world_policy(), !is_live);
  EXPECT_TRUE(applied.has_value()) << (applied ? "" : applied.error().message);
  static_cast<void>((*bench)->take_output());
  return std::move(*bench);
}

Packet from_vm1(const IpAddress& to, IpFields fields) {
  return Packet().eth(kVm1Mac, dataplane::kGatewayMac).ip(kVm1, to, std::move(fields));
}

Packet from_vm2(const IpAddress& to, IpFields fields) {
  return Packet().eth(kVm2Mac, dataplane::kGatewayMac).ip(kVm2, to, std::move(fields));
}

Packet from_remote(const BenchSwitch& bench, const Mac& to_mac, const IpAddress& to,
                   IpFields fields, Ip4 peer, std::uint32_t vni, std::uint8_t outer_tos) {
  IpFields outer;
  outer.tos = outer_tos;
  outer.dont_fragment = true;
  return Packet()
      .eth(kHostMac, bench.uplink_mac())
      .ip(peer, kHost, outer)
      .udp_without_checksum(50'000, packet::kVxlanPort)
      .vxlan(vni)
      .eth(kRemoteMac, to_mac)
      .ip(kRemote, to, std::move(fields));
}

Packet from_internet(const BenchSwitch& bench, const IpAddress& to, IpFields fields) {
  return Packet().eth(kRouterMac, bench.uplink_mac()).ip(kInternet, to, std::move(fields));
}

Bytes frame_of_flow(unsigned flow) {
  return from_vm1(kInternet).udp(static_cast<std::uint16_t>(1'000 + flow), 53).bytes();
}

void send_flows(BenchSwitch& bench, unsigned count, unsigned rounds) {
  for (unsigned round = 0; round < rounds; ++round) {
    for (unsigned flow = 0; flow < count; ++flow) {
      pass(bench, "vm1", frame_of_flow(flow), "uplink");
    }
  }
}

std::uint64_t software_packets(BenchSwitch& bench) {
  std::uint64_t total = 0;
  for (unsigned w = 0; w < bench.dataplane().worker_count(); ++w) {
    for (const auto& port : bench.dataplane().worker(w).stats().ports) {
      total += port.rx_packets.read();
    }
  }
  return total;
}

std::uint64_t rules(BenchSwitch& bench) { return bench.offload()->status().stats.rules; }

Bytes pass(BenchSwitch& bench, const std::string& from, const Bytes& frame, const std::string& to) {
  bench.send(from, frame);
  bench.run();
  auto output = bench.take_output();
  EXPECT_EQ(output[to].size(), 1u) << "out of " << to;
  return output[to].size() == 1 ? output[to].front() : Bytes{};
}

bool comes_to_software(BenchSwitch& bench, const std::string& from, const Bytes& frame) {
  const std::uint64_t before = software_packets(bench);
  bench.send(from, frame);
  bench.run();
  static_cast<void>(bench.take_output());
  return software_packets(bench) != before;
}

}  // namespace gannet::test
