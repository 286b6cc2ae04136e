// SPDX-License-Identifier: BSD-3-Clause
// The parser on fragments and IPv6 extension headers, where packets hide things.
#include "flows/packet/parse.hpp"
#include "tests/support/flow_printers.hpp"
#include "tests/support/literals.hpp"
#include "tests/support/packet_builder.hpp"

#include <gtest/gtest.h>

namespace gannet::packet::fragments {
namespace {

using test::Bytes;
using test::Packet;
using test::operator""_ip;
using test::operator""_mac;

const Mac kA = "02:00:00:00:00:0a"_mac;
const Mac kB = "02:00:00:00:00:0b"_mac;

Packet v4(test::IpFields fields = {}) {
  return Packet().eth(kA, kB).ip("10.0.0.1"_ip, "10.0.0.2"_ip, std::move(fields));
}
Packet v6(test::IpFields fields = {}) {
  return Packet().eth(kA, kB).ip("fd00::1"_ip, "fd00::2"_ip, std::move(fields));
}
ParseError parse_all(const Bytes& frame, Parsed& out) {
  return parse(frame.data(), frame.size(), out);
}
ParseError parse_all(const Packet& packet) {
  Parsed parsed;
  return parse_all(packet.bytes(), parsed);
}

TEST(ParseFragment, ReadsFirstAndLastOfBothFamilies) {
  const Bytes whole[] = {v4().udp(1000, 53).data(40).bytes(), v6().udp(1000, 53).data(40).bytes()};
  for (const Bytes& frame : whole) {
    const auto pieces = test::cut_into_fragments(frame, 24, 0x4321);
    ASSERT_EQ(pieces.size(), 2u);
    Parsed p;
    ASSERT_EQ(parse_all(pieces[0], p), ParseError::kNone);
    EXPECT_TRUE(p.is_first_fragment());
    EXPECT_TRUE(p.has_more_fragments);
    EXPECT_TRUE(p.has_l4);
    EXPECT_EQ(p.destination_port, 53);
    EXPECT_EQ(p.fragment_id, 0x4321u);
    EXPECT_EQ(p.protocol, kProtoUdp);
    ASSERT_EQ(parse_all(pieces[1], p), ParseError::kNone);
    EXPECT_TRUE(p.is_later_fragment());
    EXPECT_FALSE(p.has_more_fragments);
    EXPECT_FALSE(p.has_l4);
    EXPECT_EQ(p.fragment_offset, 24);
    EXPECT_EQ(p.destination_port, 0) << "what stands there is not a port";
    EXPECT_EQ(p.fragment_id, 0x4321u);
    EXPECT_EQ(p.l4_bytes(), 24u);
  }
}

// F8, G1: options behind the fragment header belong to the fragmented part, so that the first
// fragment's extent starts with them and not with L4.
TEST(ParseFragment, F8ExtentBeginsBehindTheFragmentHeader) {
  Parsed p;
  const Bytes frame = v6().extension(kProtoHopByHop)
                          .fragment_header(0, true, 5)
                          .extension(kProtoDestOptions)
                          .udp(1, 53)
                          .data(8)
                          .bytes();
  ASSERT_EQ(parse_all(frame, p), ParseError::kNone);
  EXPECT_EQ(p.destination_port, 53);
  EXPECT_EQ(p.l4_bytes(), 16u);
  EXPECT_EQ(p.fragment_bytes(), 24u);
  ASSERT_EQ(parse_all(v4({.more_fragments = true}).udp(1, 2).data(8).bytes(), p),
            ParseError::kNone);
  EXPECT_EQ(p.fragment_bytes(), 16u);
}

// G7, RFC 6946
TEST(ParseFragment, G7AtomicFragmentIsAWholePacket) {
  Parsed p;
  ASSERT_EQ(parse_all(v6().fragment_header(0, false, 7).udp(1000, 53).data(3).bytes(), p),
            ParseError::kNone);
  EXPECT_FALSE(p.is_fragment);
  EXPECT_EQ(p.fragment_id, 0u);
  EXPECT_EQ(p.destination_port, 53);
}

TEST(ParseFragment, DontFragmentIsNoFragment) {
  Parsed p;
  ASSERT_EQ(parse_all(v4({.dont_fragment = true, .id = 99}).udp(1, 2).bytes(), p),
            ParseError::kNone);
  EXPECT_FALSE(p.is_fragment);
  EXPECT_EQ(p.fragment_id, 0u);
}

// G8: RFC 1858 for IPv4, RFC 7112 for IPv6.
TEST(ParseFragment, G8FirstFragmentHoldsTheWholeHeader) {
  EXPECT_EQ(parse_all(v4({.more_fragments = true, .protocol = kProtoTcp}).data(16)),
            ParseError::kTinyFragment);
  EXPECT_EQ(parse_all(v6({.protocol = kProtoTcp}).fragment_header(0, true, 1).data(16)),
            ParseError::kTinyFragment);
  // The fixed part is there, but not the options that it announces.
  EXPECT_EQ(parse_all(v4({.more_fragments = true, .protocol = kProtoTcp})
                          .data({0,    1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
                                 0xa0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})),
            ParseError::kTinyFragment);
  EXPECT_EQ(parse_all(v4({.more_fragments = true}).udp(1, 2)), ParseError::kNone);
  // An extension header that goes on in the next fragment.
  EXPECT_EQ(parse_all(v6({.protocol = kProtoDestOptions})
                          .fragment_header(0, true, 1)
                          .data({kProtoUdp, 1, 0, 0, 0, 0, 0, 0})),
            ParseError::kTinyFragment);
}

// G8: RFC 3128, a second fragment that overwrites the flags of the first.
TEST(ParseFragment, G8TcpFragmentAtOffsetEightIsTiny) {
  EXPECT_EQ(parse_all(v4({.fragment_offset = 8, .protocol = kProtoTcp}).data(24)),
            ParseError::kTinyFragment);
  EXPECT_EQ(parse_all(v6({.protocol = kProtoTcp}).fragment_header(8, false, 1).data(24)),
            ParseError::kTinyFragment);
  EXPECT_EQ(parse_all(v4({.fragment_offset = 8, .protocol = kProtoUdp}).data(24)),
            ParseError::kNone);
  EXPECT_EQ(parse_all(v4({.fragment_offset = 16, .protocol = kProtoTcp}).data(24)),
            ParseError::kNone);
}

// G5
TEST(ParseFragment, G5ReachesNeverBeyondTheLargestPacket) {
  // 65,512 + 3 bytes behind a header of 20 just fit.
  EXPECT_EQ(parse_all(v4({.fragment_offset = 65'512, .protocol = 17}).data(3)), ParseError::kNone);
  EXPECT_EQ(parse_all(v4({.fragment_offset = 65'512, .protocol = 17}).data(4)),
            ParseError::kBadFragment);
  EXPECT_EQ(parse_all(v4({.fragment_offset = 65'528, .protocol = 17}).data(100)),
            ParseError::kBadFragment);
  // The payload length of IPv6 does not count the header.
  EXPECT_EQ(parse_all(v6({.protocol = 17}).fragment_header(65'528, false, 1).data(7)),
            ParseError::kNone);
  EXPECT_EQ(parse_all(v6({.protocol = 17}).fragment_header(65'528, false, 1).data(8)),
            ParseError::kBadFragment);
}

// G6
TEST(ParseFragment, G6AllButTheLastAreMultiplesOfEight) {
  EXPECT_EQ(parse_all(v6({.protocol = 17}).fragment_header(16, true, 1).data(15)),
            ParseError::kBadFragment);
  EXPECT_EQ(parse_all(v6({.protocol = 17}).fragment_header(16, false, 1).data(15)),
            ParseError::kNone);
  EXPECT_EQ(parse_all(v4({.more_fragments = true, .fragment_offset = 16, .protocol = 17}).data(15)),
            ParseError::kBadFragment);
}

TEST(ParseFragment, EmptyOnesAreRefused) {
  EXPECT_EQ(parse_all(v4({.fragment_offset = 16, .protocol = 17})), ParseError::kBadFragment);
  EXPECT_EQ(parse_all(v6({.protocol = 17}).fragment_header(16, false, 1)),
            ParseError::kBadFragment);
}

// F8
TEST(ParseExtensions, F8HideNoPortInAnyLegalOrder) {
  const std::uint8_t kinds[] = {kProtoDestOptions, kProtoRouting, kProtoMobility};
  for (const std::uint8_t a : kinds) {
    for (const std::uint8_t b : kinds) {
      for (const bool has_hop_by_hop : {false, true}) {
        for (const bool has_fragment_header : {false, true}) {
          Packet packet = v6();
          if (has_hop_by_hop) packet.extension(kProtoHopByHop);
          packet.extension(a, {4, 0}).extension(b, test::Bytes{4, 0, 0, 0, 0, 0, 0, 0});
          if (has_fragment_header) packet.fragment_header(0, false, 1);
          packet.extension(kProtoDestOptions).udp(1000, 53);
          Parsed p;
          ASSERT_EQ(parse_all(packet.bytes(), p), ParseError::kNone) << int{a} << " " << int{b};
          EXPECT_EQ(p.protocol, kProtoUdp);
          EXPECT_EQ(p.destination_port, 53);
          EXPECT_TRUE(p.has_options);
        }
      }
    }
  }
}

// F8
TEST(ParseExtensions, F8IllegalChainsAreRefused) {
  const auto udp = [](Packet packet) { return parse_all(packet.udp(1, 2)); };
  EXPECT_EQ(udp(v6().extension(kProtoDestOptions).extension(kProtoHopByHop)),
            ParseError::kBadExtensionHeader)
      << "hop-by-hop comes first";
  EXPECT_EQ(udp(v6().extension(kProtoHopByHop).extension(kProtoHopByHop)),
            ParseError::kBadExtensionHeader);
  EXPECT_EQ(udp(v6().fragment_header(0, false, 1).fragment_header(0, false, 1)),
            ParseError::kBadExtensionHeader)
      << "a fragment of a fragment (G11)";
  EXPECT_EQ(udp(v6().extension(kProtoRouting, {0, 1})), ParseError::kBadExtensionHeader)
      << "RFC 5095";
  Packet longest = v6();
  for (int i = 0; i < 8; ++i) longest.extension(kProtoDestOptions);
  EXPECT_EQ(udp(longest), ParseError::kNone);
  longest = v6();
  for (int i = 0; i < 9; ++i) longest.extension(kProtoDestOptions);
  EXPECT_EQ(udp(longest), ParseError::kBadExtensionHeader);
}

TEST(ParseExtensions, EndWithThePacketAtTheLatest) {
  EXPECT_EQ(parse_all(v6({.protocol = kProtoDestOptions})), ParseError::kTruncated);
  EXPECT_EQ(parse_all(v6({.protocol = kProtoDestOptions}).data({17, 1, 0, 0, 0, 0, 0, 0})),
            ParseError::kTruncated);
  EXPECT_EQ(parse_all(v6({.protocol = kProtoFragment}).data({17, 0, 0, 0})),
            ParseError::kTruncated);
}

}  // namespace
}  // namespace gannet::packet::fragments
