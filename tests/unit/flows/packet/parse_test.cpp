// SPDX-License-Identifier: BSD-3-Clause
// The parser on whole packets: what it reads, what it refuses, and that it never reads beyond the
// end.
#include "flows/packet/parse.hpp"

#include "tests/support/flow_printers.hpp"
#include "tests/support/header_stacks.hpp"
#include "tests/support/literals.hpp"
#include "tests/support/packet_builder.hpp"

#include <memory>

#include <gtest/gtest.h>

namespace gannet::packet::whole_packets {
namespace {

using test::Bytes;
using test::Packet;
using test::operator""_ip;
using test::operator""_mac;

const Mac kA = "02:00:00:00:00:0a"_mac;
const Mac kB = "02:00:00:00:00:0b"_mac;
const IpAddress kA4 = "10.10.1.11"_ip;
const IpAddress kB4 = "10.10.1.12"_ip;
const IpAddress kA6 = "fd00:10::11"_ip;
const IpAddress kB6 = "fd00:10::12"_ip;

Packet v4(test::IpFields fields = {}) {
  return Packet().eth(kA, kB).ip(kA4, kB4, std::move(fields));
}
Packet v6() { return Packet().eth(kA, kB).ip(kA6, kB6); }

// Parses a copy that ends where the memory ends, so that the sanitizer sees any byte read too much.
ParseError parse_exactly(const Bytes& frame, Parsed& out) {
  const auto copy = std::make_unique<std::uint8_t[]>(frame.size());
  std::copy(frame.begin(), frame.end(), copy.get());
  return parse(copy.get(), frame.size(), out);
}
ParseError parse_exactly(const Bytes& frame) {
  Parsed parsed;
  return parse_exactly(frame, parsed);
}
ParseError parse_changed(Bytes frame, std::size_t at, std::uint8_t value) {
  frame.at(at) = value;
  return parse_exactly(frame);
}

TEST(Parse, ReadsTcpOverIpv4) {
  const Bytes frame = v4({.ttl = 9, .tos = 0x2e})
                          .tcp({.source_port = 1000,
                                .destination_port = 80,
                                .flags = kTcpAck | kTcpPsh,
                                .options = {1, 1, 1, 1}})
                          .data(5)
                          .trailer(3)
                          .bytes();
  Parsed p;
  ASSERT_EQ(parse_exactly(frame, p), ParseError::kNone);
  EXPECT_EQ(p.l3, L3::kIpv4);
  EXPECT_EQ(p.l3_offset, 14);
  EXPECT_EQ(p.l4_offset, 34);
  EXPECT_EQ(p.payload_offset, 58);
  EXPECT_EQ(p.end_offset, 63) << "without the Ethernet padding (V29)";
  EXPECT_EQ(p.ether_type, kEtherTypeIpv4);
  EXPECT_EQ(p.source_port, 1000);
  EXPECT_EQ(p.destination_port, 80);
  EXPECT_EQ(p.protocol, kProtoTcp);
  EXPECT_EQ(p.tcp_flags, kTcpAck | kTcpPsh);
  EXPECT_EQ(p.tos, 0x2e);
  EXPECT_EQ(p.ttl, 9);
  EXPECT_TRUE(p.has_l4);
  EXPECT_FALSE(p.has_options);
  EXPECT_FALSE(p.is_fragment);
  EXPECT_EQ(p.fragment_id, 0u);
}

TEST(Parse, ReadsUdpOverIpv6) {
  Parsed p;
  ASSERT_EQ(parse_exactly(v6().udp(1000, 53).data(5).bytes(), p), ParseError::kNone);
  EXPECT_EQ(p.l3, L3::kIpv6);
  EXPECT_EQ(p.l4_offset, 54);
  EXPECT_EQ(p.payload_offset, 62);
  EXPECT_EQ(p.source_port, 1000);
  EXPECT_EQ(p.destination_port, 53);
  EXPECT_EQ(p.l4_bytes(), 13u);
}

TEST(Parse, ReadsTheTrafficClassAcrossItsTwoBytes) {
  Parsed p;
  const Bytes frame = Packet().eth(kA, kB).ip(kA6, kB6, {.tos = 0xb9}).udp(1, 2).bytes();
  ASSERT_EQ(parse_exactly(frame, p), ParseError::kNone);
  EXPECT_EQ(p.tos, 0xb9);
}

TEST(Parse, IcmpQueriesHaveTheirIdentifierAsSourcePort) {
  Parsed p;
  ASSERT_EQ(parse_exactly(v4().echo_request(0x1234).bytes(), p), ParseError::kNone);
  EXPECT_EQ(p.source_port, 0x1234);
  EXPECT_EQ(p.destination_port, kIcmpEchoRequest << 8);
  ASSERT_EQ(parse_exactly(v6().echo_reply(0x4321).bytes(), p), ParseError::kNone);
  EXPECT_EQ(p.source_port, 0x4321);
  EXPECT_EQ(p.destination_port, kIcmp6EchoReply << 8);
}

TEST(Parse, IcmpErrorsHaveNoSourcePort) {
  Parsed p;
  ASSERT_EQ(parse_exactly(v4().icmp(3, 4, 0, 1400).data(28).bytes(), p), ParseError::kNone);
  EXPECT_EQ(p.source_port, 0);
  EXPECT_EQ(p.destination_port, 3 << 8 | 4);
}

// F5
TEST(Parse, F5AcceptsAnEmptyDatagram) {
  EXPECT_EQ(parse_exactly(v4().udp(1, 2).bytes()), ParseError::kNone);
  EXPECT_EQ(parse_exactly(v6().udp(1, 2).bytes()), ParseError::kNone);
}

TEST(Parse, ProtocolsWithoutPortsHaveNone) {
  Parsed p;
  ASSERT_EQ(parse_exactly(v4({.protocol = 47}).data(3).bytes(), p), ParseError::kNone);
  EXPECT_EQ(p.source_port, 0);
  EXPECT_EQ(p.destination_port, 0);
  EXPECT_TRUE(p.has_l4);
  EXPECT_EQ(p.payload_offset, p.l4_offset);
}

TEST(Parse, SkipsIpv4Options) {
  Parsed p;
  const Bytes frame = v4({.options = {7, 7, 4, 0, 0, 0, 0, 0}}).udp(1000, 53).bytes();
  ASSERT_EQ(parse_exactly(frame, p), ParseError::kNone);
  EXPECT_TRUE(p.has_options);
  EXPECT_EQ(p.l4_offset, 42);
  EXPECT_EQ(p.destination_port, 53);
}

// E15
TEST(Parse, E15CountsVlanTags) {
  Parsed p;
  const Bytes one = Packet().eth(kA, kB).vlan(5).ip(kA4, kB4).udp(1, 2).bytes();
  ASSERT_EQ(parse_exactly(one, p), ParseError::kNone);
  EXPECT_EQ(p.vlan_tag_count, 1);
  EXPECT_EQ(p.l3_offset, 18);
  EXPECT_EQ(p.ether_type, kEtherTypeIpv4);
  const Bytes three = Packet().eth(kA, kB).vlan(1).vlan(2).vlan(3).ip(kA4, kB4).udp(1, 2).bytes();
  ASSERT_EQ(parse_exactly(three, p), ParseError::kNone);
  EXPECT_EQ(p.vlan_tag_count, 2);
  EXPECT_EQ(p.l3, L3::kOther) << "a third tag is no IP";
}

// S8, G9: no byte is read that is not there, and no part of a packet passes for the whole.
TEST(Parse, S8EveryTruncationOfEveryStackIsRefused) {
  for (const auto& [name, frame] : test::all_header_stacks()) {
    Parsed whole;
    ASSERT_EQ(parse_exactly(frame, whole), ParseError::kNone) << name;
    const std::size_t needed = whole.is_ip()          ? whole.end_offset
                               : whole.l3 == L3::kArp ? whole.l3_offset + sizeof(ArpHeader)
                                                      : whole.l3_offset;
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const ParseError error = parse_exactly(test::first_bytes(frame, size));
      EXPECT_EQ(error == ParseError::kNone, size >= needed) << name << " cut to " << size;
    }
  }
}

// E16
TEST(Parse, E16RuntsAndLengthsAreNoEthernet2) {
  EXPECT_EQ(parse_exactly({}), ParseError::kRunt);
  EXPECT_EQ(parse_exactly(Bytes(13)), ParseError::kRunt);
  EXPECT_EQ(parse_exactly(Packet().eth(kA, kB, 0x05ff).data(20).bytes()),
            ParseError::kNotEthernet2);
  EXPECT_EQ(parse_exactly(Packet().eth(kA, kB, 0x0600).data(20).bytes()), ParseError::kNone);
  EXPECT_EQ(parse_exactly(Packet().eth(kA, kB, kEtherTypeVlan).data(3).bytes()), ParseError::kRunt);
}

TEST(Parse, RefusesAnImpossibleIpv4Header) {
  const Bytes frame = v4().udp(1, 2).bytes();
  EXPECT_EQ(parse_changed(frame, 14, 0x65), ParseError::kBadIpHeader) << "version";
  EXPECT_EQ(parse_changed(frame, 14, 0x44), ParseError::kBadIpHeader) << "header length 16";
  EXPECT_EQ(parse_changed(frame, 14, 0x4f), ParseError::kTruncated) << "header length 60";
  EXPECT_EQ(parse_changed(frame, 17, 19), ParseError::kBadIpLength) << "total below the header";
}

// G23
TEST(Parse, G23RefusesALengthBeyondTheFrame) {
  EXPECT_EQ(parse_changed(v4().udp(1, 2).bytes(), 17, 29), ParseError::kBadIpLength);
  EXPECT_EQ(parse_changed(v6().udp(1, 2).bytes(), 19, 9), ParseError::kBadIpLength);
}

TEST(Parse, RefusesAVersionThatIsNotTheEtherTypes) {
  EXPECT_EQ(parse_changed(v6().udp(1, 2).bytes(), 14, 0x45), ParseError::kBadIpHeader);
  EXPECT_EQ(parse_changed(v4().udp(1, 2).bytes(), 13, 0x00), ParseError::kNone);
  Bytes frame = v4().udp(1, 2).bytes();
  store(&frame[12], Be16(kEtherTypeIpv6));
  EXPECT_EQ(parse_exactly(frame), ParseError::kBadIpHeader);
}

TEST(Parse, RefusesAnImpossibleTcpHeader) {
  const Bytes frame = v4().tcp({}).bytes();
  EXPECT_EQ(parse_changed(frame, 46, 0x40), ParseError::kBadL4Header) << "offset below 20";
  EXPECT_EQ(parse_changed(frame, 46, 0x60), ParseError::kBadL4Header) << "offset beyond the packet";
  EXPECT_EQ(parse_changed(frame, 17, 39), ParseError::kBadL4Header) << "19 bytes of TCP";
}

TEST(Parse, RefusesAnImpossibleUdpLength) {
  const Bytes frame = v4().udp(1, 2).data(4).bytes();
  EXPECT_EQ(parse_changed(frame, 39, 7), ParseError::kBadL4Header);
  EXPECT_EQ(parse_changed(frame, 39, 13), ParseError::kBadL4Header);
  EXPECT_EQ(parse_changed(frame, 39, 8), ParseError::kNone) << "RFC 9868: what follows is no data";
  EXPECT_EQ(parse_changed(frame, 17, 27), ParseError::kBadL4Header) << "7 bytes of UDP";
}

TEST(Parse, RefusesAnIncompleteIcmpHeader) {
  EXPECT_EQ(parse_changed(v4().echo_request(1).bytes(), 17, 27), ParseError::kBadL4Header);
}

// N24, N54, F38: what is covered by a checksum and what is not.
TEST(Parse, ChecksumsAreCheckedOverTheIpPacketOnly) {
  for (const auto& [name, frame] : test::all_header_stacks()) {
    Parsed p;
    Bytes padded = frame;
    padded.insert(padded.end(), 7, 0xaa);
    ASSERT_EQ(parse_exactly(padded, p), ParseError::kNone) << name;
    if (!p.is_ip()) continue;
    EXPECT_TRUE(p.l3 != L3::kIpv4 || has_good_ipv4_checksum(padded.data(), p)) << name;
    EXPECT_TRUE(has_good_l4_checksum(padded.data(), p)) << name;
  }
}

TEST(Parse, EveryFlippedBitOfAPacketBreaksAChecksum) {
  const Bytes frames[] = {v4().tcp({}).data(3).bytes(), v6().udp(1, 2).data(3).bytes(),
                          v4().echo_request(1).data(3).bytes(),
                          v6().echo_request(1).data(4).bytes()};
  for (const Bytes& frame : frames) {
    for (std::size_t bit = 14 * 8; bit < frame.size() * 8; ++bit) {
      Bytes broken = frame;
      broken[bit / 8] = static_cast<std::uint8_t>(broken[bit / 8] ^ (0x80 >> bit % 8));
      Parsed p;
      if (parse_exactly(broken, p) != ParseError::kNone || p.is_fragment) continue;
      const bool is_v4 = p.l3 == L3::kIpv4;
      // IPv6 has no header checksum: class, label and hop limit are unprotected, another next
      // header is another L4.
      const bool is_unprotected = !is_v4 && (bit < 18 * 8 || (bit >= 20 * 8 && bit < 22 * 8));
      if (is_unprotected) continue;
      EXPECT_FALSE((!is_v4 || has_good_ipv4_checksum(broken.data(), p)) &&
                   has_good_l4_checksum(broken.data(), p))
          << "bit " << bit;
    }
  }
}

// N52, RFC 8200 8.1
TEST(Parse, UdpWithoutChecksumIsGoodOverIpv4Only) {
  Parsed p;
  const Bytes over4 = v4().udp_without_checksum(1, 2).data(4).bytes();
  ASSERT_EQ(parse_exactly(over4, p), ParseError::kNone);
  EXPECT_TRUE(has_good_l4_checksum(over4.data(), p));
  const Bytes over6 = v6().udp_without_checksum(1, 2).data(4).bytes();
  ASSERT_EQ(parse_exactly(over6, p), ParseError::kNone);
  EXPECT_FALSE(has_good_l4_checksum(over6.data(), p));
}

}  // namespace
}  // namespace gannet::packet::whole_packets
