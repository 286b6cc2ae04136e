// SPDX-License-Identifier: BSD-3-Clause
// What actions and next hops hold ready. That packets come out right is tested where they are
// applied: tests/unit/dataplane/rewrite_test.cpp.
#include "flows/action.hpp"

#include "flows/next_hop.hpp"
#include "flows/packet/checksum.hpp"
#include "tests/support/checksum_model.hpp"
#include "tests/support/literals.hpp"

#include <gtest/gtest.h>

namespace gannet::flows {
namespace {

using test::operator""_ip4;
using test::operator""_ip6;
using test::operator""_mac;

const Ip4Tuple kBefore{"10.0.0.1"_ip4, "8.8.8.8"_ip4, Be16(1000), Be16(53)};
const Ip4Tuple kAfter{"203.0.113.20"_ip4, "8.8.8.8"_ip4, Be16(2048), Be16(53)};

std::uint16_t ip_delta(std::uint16_t flags, const Ip4Tuple& after) {
  Action<Ip4> action{};
  action.tuple = after;
  action.flags = flags;
  compute_deltas(action, packet::kProtoUdp, kBefore);
  return action.ip_delta;
}
std::uint16_t l4_delta(std::uint8_t protocol, const Ip4Tuple& after) {
  Action<Ip4> action{};
  action.tuple = after;
  compute_deltas(action, protocol, kBefore);
  return action.l4_delta;
}

TEST(Action, WhatDoesNotChangeHasNoDelta) {
  EXPECT_EQ(ip_delta(0, kBefore), 0);
  EXPECT_EQ(l4_delta(packet::kProtoTcp, kBefore), 0);
  EXPECT_EQ(l4_delta(packet::kProtoIcmp, kBefore), 0);
}

// R26: one hop less is the same change of the checksum for every TTL.
TEST(Action, R26TtlDeltaFitsEveryTtl) {
  const std::uint16_t delta = ip_delta(kDecrementTtl, kBefore);
  for (unsigned ttl = 255; ttl > 0; --ttl) {
    const auto protocol = std::uint16_t{17};
    const Be16 before = packet::finish(Be16(static_cast<std::uint16_t>(ttl << 8 | protocol)).raw());
    const Be16 after =
        packet::finish(Be16(static_cast<std::uint16_t>((ttl - 1) << 8 | protocol)).raw());
    ASSERT_EQ(packet::update(before, delta), after) << ttl;
  }
}

// N50: ICMP has no pseudo header, so its checksum follows the identifier alone.
TEST(Action, N50IcmpChecksumDoesNotCoverAddresses) {
  Ip4Tuple other_address = kBefore;
  other_address.source = kAfter.source;
  EXPECT_EQ(l4_delta(packet::kProtoIcmp, other_address), 0);
  EXPECT_NE(l4_delta(packet::kProtoUdp, other_address), 0);
  EXPECT_NE(l4_delta(packet::kProtoIcmp, kAfter), 0);
}

TEST(Action, Icmp6ChecksumCoversAddresses) {
  const Ip6Tuple before{"fd00::1"_ip6, "fd00::2"_ip6, Be16(7), Be16(0x8000)};
  Action<Ip6> action{};
  action.tuple = before;
  action.tuple.destination = "fd00::3"_ip6;
  action.flags = kDecrementTtl;
  compute_deltas(action, packet::kProtoIcmp6, before);
  EXPECT_EQ(Be16::from_raw(action.l4_delta).host(), 1);
  EXPECT_EQ(action.ip_delta, 0) << "IPv6 has no header checksum";
}

TEST(Action, IsTheSameOnlyIfAllThatAPacketSeesIs) {
  Action<Ip4> a{};
  a.tuple = kAfter;
  a.max_ip_bytes = 1'450;
  EXPECT_TRUE(same_action(a, a));
  for (int field = 0; field < 5; ++field) {
    Action<Ip4> b = a;
    if (field == 0) b.tuple.source_port = Be16(1);
    if (field == 1) b.flags = kDecrementTtl;
    if (field == 2) b.next_hop = 9;
    if (field == 3) b.outer_source_port = Be16(50'000);
    if (field == 4) b.max_ip_bytes = 1'400;
    EXPECT_FALSE(same_action(a, b)) << field;
  }
}

// V1, V10, V14, V25: what every packet of the tunnel carries.
TEST(NextHop, TunnelHeadersAreReadyMade) {
  const NextHop hop = make_tunnel_hop(3, 9, "02:00:00:00:00:01"_mac, "192.0.2.11"_ip4,
                                      "192.0.2.12"_ip4, 4789, 0xff'fffe, "02:00:00:00:00:02"_mac,
                                      "02:00:00:00:00:03"_mac, packet::kEtherTypeIpv6);
  EXPECT_EQ(hop.port, 3);
  EXPECT_EQ(hop.neighbor, 9u);
  EXPECT_TRUE(hop.leaves_by_underlay());
  EXPECT_EQ(hop.outer_ip.version_ihl, 0x45);
  EXPECT_EQ(hop.outer_ip.identification.host(), 0);
  EXPECT_EQ(hop.outer_ip.flags_offset.host(), packet::kIpv4DontFragment);
  EXPECT_EQ(hop.outer_ip.ttl, 64);
  EXPECT_EQ(hop.outer_udp.checksum.host(), 0);
  EXPECT_EQ(hop.outer_udp.destination_port.host(), 4789);
  EXPECT_EQ(hop.vxlan.flags, 0x08);
  EXPECT_EQ(hop.vxlan.reserved[0] | hop.vxlan.reserved[1] | hop.vxlan.reserved[2], 0);
  EXPECT_EQ(hop.vxlan.vni_reserved.host(), 0xffff'fe00u);
  EXPECT_EQ(hop.ethernet.ether_type.host(), packet::kEtherTypeIpv6);
  EXPECT_EQ(hop.ethernet.destination, "02:00:00:00:00:02"_mac);
}

TEST(NextHop, LocalOnesDoNotLeaveByTheUnderlay) {
  const NextHop hop =
      make_local_hop(2, "02:00:00:00:00:02"_mac, "02:00:00:00:00:03"_mac, packet::kEtherTypeIpv4);
  EXPECT_FALSE(hop.leaves_by_underlay());
  EXPECT_TRUE(
      make_plain_hop(0, 4, "02:00:00:00:00:03"_mac, packet::kEtherTypeIpv4).leaves_by_underlay());
}

}  // namespace
}  // namespace gannet::flows
