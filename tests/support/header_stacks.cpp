// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/header_stacks.hpp"

#include "tests/support/literals.hpp"

namespace gannet::test {
namespace {

const Mac kA = "02:00:00:00:00:0a"_mac;
const Mac kB = "02:00:00:00:00:0b"_mac;
const IpAddress kA4 = "10.10.1.11"_ip;
const IpAddress kB4 = "10.10.1.12"_ip;
const IpAddress kA6 = "fd00:10:0:1::11"_ip;
const IpAddress kB6 = "fd00:10:0:1::12"_ip;

Packet v4(IpFields fields = {}) { return Packet().eth(kA, kB).ip(kA4, kB4, std::move(fields)); }
Packet v6() { return Packet().eth(kA, kB).ip(kA6, kB6); }
TcpFields syn() {
  return {.source_port = 1000, .destination_port = 80, .options = {2, 4, 5, 0xb4, 1, 3, 3, 7}};
}

void add_plain(std::vector<HeaderStack>& stacks) {
  stacks.push_back({"arp", Packet().eth(kA, kB).arp(1, kA, kA4.v4(), Mac{}, kB4.v4()).bytes()});
  stacks.push_back({"unknown", Packet().eth(kA, kB, 0x88cc).data(20).bytes()});
  stacks.push_back({"v4 tcp", v4().tcp(syn()).data(4).bytes()});
  stacks.push_back({"v4 udp", v4().udp(1000, 53).data(4).bytes()});
  stacks.push_back({"v4 udp empty", v4().udp(1000, 53).bytes()});
  stacks.push_back(
      {"v4 udp without checksum", v4().udp_without_checksum(1000, 53).data(4).bytes()});
  stacks.push_back({"v4 echo", v4().echo_request(7).data(4).bytes()});
  stacks.push_back({"v4 gre", v4({.protocol = 47}).data(12).bytes()});
  stacks.push_back({"v4 options", v4({.options = {7, 7, 4, 0, 0, 0, 0, 0}}).udp(1, 2).bytes()});
  stacks.push_back({"v4 padded", v4().udp(1000, 53).trailer(18).bytes()});
  stacks.push_back({"v6 tcp", v6().tcp(syn()).data(4).bytes()});
  stacks.push_back({"v6 udp", v6().udp(1000, 53).data(4).bytes()});
  stacks.push_back({"v6 echo", v6().echo_request(7).data(4).bytes()});
  stacks.push_back({"v6 no next", Packet().eth(kA, kB).ip(kA6, kB6, {.protocol = 59}).bytes()});
  stacks.push_back({"vlan v4 udp", Packet().eth(kA, kB).vlan(5).ip(kA4, kB4).udp(1, 2).bytes()});
  stacks.push_back({"qinq v6 tcp", Packet()
                                       .eth(kA, kB)
                                       .vlan(5, packet::kEtherTypeQinq)
                                       .vlan(6)
                                       .ip(kA6, kB6)
                                       .tcp(syn())
                                       .bytes()});
}

void add_extensions(std::vector<HeaderStack>& stacks) {
  const auto hop = packet::kProtoHopByHop;
  const auto options = packet::kProtoDestOptions;
  const auto routing = packet::kProtoRouting;
  stacks.push_back({"v6 hop-by-hop udp", v6().extension(hop).udp(1, 2).data(4).bytes()});
  stacks.push_back({"v6 options tcp", v6().extension(options, Bytes(14)).tcp(syn()).bytes()});
  stacks.push_back({"v6 routing echo", v6().extension(routing, {4, 0}).echo_request(1).bytes()});
  stacks.push_back({"v6 all extensions", v6().extension(hop)
                                             .extension(options)
                                             .extension(routing, {4, 0})
                                             .fragment_header(0, false, 9)
                                             .extension(options)
                                             .udp(1, 2)
                                             .data(4)
                                             .bytes()});
  stacks.push_back({"v6 atomic fragment", v6().fragment_header(0, false, 9).udp(1, 2).bytes()});
}

void add_fragments(std::vector<HeaderStack>& stacks) {
  const auto v4_pieces = cut_into_fragments(v4().udp(1000, 53).data(40).bytes(), 24, 77);
  const auto v6_pieces = cut_into_fragments(v6().tcp(syn()).data(40).bytes(), 32, 78);
  stacks.push_back({"v4 first fragment", v4_pieces.front()});
  stacks.push_back({"v4 last fragment", v4_pieces.back()});
  stacks.push_back({"v6 first fragment", v6_pieces.front()});
  stacks.push_back({"v6 last fragment", v6_pieces.back()});
}

void add_errors_and_tunnels(std::vector<HeaderStack>& stacks) {
  const Bytes quoted4 = ip_packet_of(v4().udp(1000, 53).data(4).bytes());
  const Bytes quoted6 = ip_packet_of(v6().tcp(syn()).bytes());
  stacks.push_back({"v4 unreachable", v4().icmp(3, 3).data(quoted4).bytes()});
  stacks.push_back({"v6 too big", v6().icmp(2, 0, 0, 1400).data(quoted6).bytes()});
  const Bytes inner4 = v4().tcp(syn()).bytes();
  const Bytes inner6 = v6().udp(1000, 53).bytes();
  const auto outer = [] {
    return Packet()
        .eth(kB, kA)
        .ip("192.0.2.12"_ip, "192.0.2.11"_ip)
        .udp_without_checksum(50'000, packet::kVxlanPort)
        .vxlan(5001);
  };
  stacks.push_back({"vxlan v4 tcp", outer().data(inner4).bytes()});
  stacks.push_back({"vxlan v6 udp", outer().data(inner6).bytes()});
}

}  // namespace

std::vector<HeaderStack> all_header_stacks() {
  std::vector<HeaderStack> stacks;
  add_plain(stacks);
  add_extensions(stacks);
  add_fragments(stacks);
  add_errors_and_tunnels(stacks);
  return stacks;
}

}  // namespace gannet::test
