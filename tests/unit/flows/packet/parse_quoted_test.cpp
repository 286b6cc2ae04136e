// SPDX-License-Identifier: BSD-3-Clause
// The parser on the packets that ICMP errors quote (RFC 792, RFC 4443, RFC 5508 REQ-3).
#include "flows/packet/parse.hpp"
#include "tests/support/flow_printers.hpp"
#include "tests/support/literals.hpp"
#include "tests/support/packet_builder.hpp"

#include <memory>

#include <gtest/gtest.h>

namespace gannet::packet::quoted_packets {
namespace {

using test::Bytes;
using test::first_bytes;
using test::ip_packet_of;
using test::Packet;
using test::operator""_ip;

Packet v4(test::IpFields fields = {}) {
  return Packet().eth({}, {}).ip("10.0.0.1"_ip, "10.0.0.2"_ip, std::move(fields));
}
Packet v6() { return Packet().eth({}, {}).ip("fd00::1"_ip, "fd00::2"_ip); }

// Parses a copy that starts at `offset` and ends where the memory ends.
ParseError parse_exactly(const Bytes& quoted, Parsed& out, std::size_t offset = 42) {
  const auto copy = std::make_unique<std::uint8_t[]>(offset + quoted.size());
  std::copy(quoted.begin(), quoted.end(), copy.get() + offset);
  return parse_quoted(copy.get(), offset + quoted.size(), offset, out);
}
ParseError parse_exactly(const Bytes& quoted) {
  Parsed parsed;
  return parse_exactly(quoted, parsed);
}

// F9: eight bytes of L4 are enough, and needed.
TEST(ParseQuoted, F9NeedsEightBytesOfL4) {
  const Bytes packets[] = {
      ip_packet_of(v4().tcp({.source_port = 1000, .destination_port = 80}).bytes()),
      ip_packet_of(v6().udp(1000, 80).data(100).bytes())};
  for (const Bytes& packet : packets) {
    const std::size_t header = packet[0] >> 4 == 4 ? 20 : 40;
    for (std::size_t size = 0; size <= packet.size(); ++size) {
      Parsed p;
      const ParseError error = parse_exactly(first_bytes(packet, size), p);
      ASSERT_EQ(error == ParseError::kNone, size >= header + 8) << size;
      if (error != ParseError::kNone) continue;
      EXPECT_EQ(p.source_port, 1000);
      EXPECT_EQ(p.destination_port, 80);
      EXPECT_EQ(p.end_offset, 42 + size);
      EXPECT_EQ(p.l4_offset, 42 + header);
    }
  }
}

// N24 (RFC 5508 REQ-3): options are skipped; the header's checksum counts, the L4 checksum does
// not.
TEST(ParseQuoted, N24SkipsOptionsAndChecksTheHeaderOnly) {
  Bytes packet = ip_packet_of(v4({.options = {7, 7, 4, 0, 0, 0, 0, 0}}).udp(1000, 53).bytes());
  Parsed p;
  ASSERT_EQ(parse_exactly(packet, p), ParseError::kNone);
  EXPECT_EQ(p.destination_port, 53);
  packet[28 + 6] ^= 0xff;
  EXPECT_EQ(parse_exactly(packet), ParseError::kNone) << "L4 checksum";
  packet[10] ^= 0x01;
  EXPECT_EQ(parse_exactly(packet), ParseError::kBadIpHeader) << "header checksum";
}

TEST(ParseQuoted, ReadsTheIdentifierOfAQuery) {
  Parsed p;
  ASSERT_EQ(parse_exactly(ip_packet_of(v4().echo_request(77).bytes()), p), ParseError::kNone);
  EXPECT_EQ(p.source_port, 77);
  EXPECT_EQ(p.destination_port, kIcmpEchoRequest << 8);
}

TEST(ParseQuoted, GoesThroughExtensionHeaders) {
  Parsed p;
  const Bytes packet =
      ip_packet_of(v6().extension(kProtoHopByHop).extension(kProtoDestOptions).udp(1, 53).bytes());
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_NE(parse_exactly(first_bytes(packet, size)), ParseError::kNone) << size;
  }
  ASSERT_EQ(parse_exactly(packet, p), ParseError::kNone);
  EXPECT_EQ(p.destination_port, 53);
}

TEST(ParseQuoted, RefusesLaterFragmentsAndTakesFirstOnes) {
  const auto pieces = test::cut_into_fragments(v4().udp(1000, 53).data(40).bytes(), 24, 1);
  EXPECT_EQ(parse_exactly(ip_packet_of(pieces[0])), ParseError::kNone);
  EXPECT_EQ(parse_exactly(ip_packet_of(pieces[1])), ParseError::kBadFragment);
}

TEST(ParseQuoted, RefusesWhatIsNoIp) {
  Bytes packet = ip_packet_of(v4().udp(1, 2).bytes());
  packet[0] = 0x55;
  EXPECT_NE(parse_exactly(packet), ParseError::kNone);
  packet[0] = 0x44;
  EXPECT_EQ(parse_exactly(packet), ParseError::kBadIpHeader);
}

}  // namespace
}  // namespace gannet::packet::quoted_packets
