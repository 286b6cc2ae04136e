// SPDX-License-Identifier: BSD-3-Clause
// Actions applied to packets: what comes out is what a sender with the new addresses would have
// sent, checksums included.
#include "dataplane/rewrite.hpp"

#include "dataplane/icmp_error.hpp"
#include "flows/packet/parse.hpp"
#include "tests/support/literals.hpp"
#include "tests/support/packet_builder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace gannet::dataplane {
namespace {

using test::Bytes;
using test::Packet;
using test::operator""_ip;
using test::operator""_ip4;
using test::operator""_mac;

const Mac kA = "02:00:00:00:00:0a"_mac;
const Mac kB = "02:00:00:00:00:0b"_mac;

struct Ends {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port;
  std::uint16_t destination_port;
};

Packet packet_of(const Ends& e, std::uint8_t protocol, std::uint8_t ttl) {
  Packet p;
  p.eth(kA, kB).ip(e.source, e.destination, {.ttl = ttl});
  switch (protocol) {
    case packet::kProtoTcp:
      p.tcp({.source_port = e.source_port, .destination_port = e.destination_port});
      break;
    case packet::kProtoUdp: p.udp(e.source_port, e.destination_port); break;
    default: p.echo_request(e.source_port); break;
  }
  return p.data(11);
}

template <typename Ip>
void expect_rewritten(const Ends& before, const Ends& after, std::uint8_t protocol,
                      std::uint8_t ttl) {
  flows::Action<Ip> action{};
  const auto as = [](const Ends& e) {
    if constexpr (sizeof(Ip) == 4) {
      return flows::Ip4Tuple{e.source.v4(), e.destination.v4(), Be16(e.source_port),
                             Be16(e.destination_port)};
    } else {
      return flows::Ip6Tuple{e.source.v6(), e.destination.v6(), Be16(e.source_port),
                             Be16(e.destination_port)};
    }
  };
  action.tuple = as(after);
  action.flags = flows::kRewriteTuple | flows::kDecrementTtl;
  flows::compute_deltas(action, protocol, as(before));
  Bytes frame = packet_of(before, protocol, ttl).bytes();
  packet::Parsed parsed;
  RC_ASSERT(packet::parse(frame.data(), frame.size(), parsed) == packet::ParseError::kNone);
  rewrite_ip(frame.data() + parsed.l3_offset, frame.data() + parsed.l4_offset, protocol, action,
             action.flags);
  RC_ASSERT(frame == packet_of(after, protocol, static_cast<std::uint8_t>(ttl - 1)).bytes());
}

std::uint16_t a_port() { return *rc::gen::arbitrary<std::uint16_t>(); }

RC_GTEST_PROP(Rewrite, O17Ipv4IsAsIfSentSo, ()) {
  const auto ip = [] { return IpAddress(Ip4(Be32(*rc::gen::arbitrary<std::uint32_t>()))); };
  const auto protocol = *rc::gen::element(packet::kProtoTcp, packet::kProtoUdp, packet::kProtoIcmp);
  // An echo has one identifier; its type is no port.
  const bool is_echo = protocol == packet::kProtoIcmp;
  const Ends before{ip(), ip(), a_port(), is_echo ? std::uint16_t{0x0800} : a_port()};
  const Ends after{ip(), ip(), a_port(), is_echo ? std::uint16_t{0x0800} : a_port()};
  expect_rewritten<Ip4>(before, after, protocol, *rc::gen::inRange<std::uint8_t>(2, 255));
}

RC_GTEST_PROP(Rewrite, O17Ipv6IsAsIfSentSo, ()) {
  const auto ip = [] {
    Ip6 out;
    for (auto& byte : out.bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
    return IpAddress(out);
  };
  const auto protocol =
      *rc::gen::element(packet::kProtoTcp, packet::kProtoUdp, packet::kProtoIcmp6);
  const bool is_echo = protocol == packet::kProtoIcmp6;
  const Ends before{ip(), ip(), a_port(), is_echo ? std::uint16_t{0x8000} : a_port()};
  const Ends after{ip(), ip(), a_port(), is_echo ? std::uint16_t{0x8000} : a_port()};
  expect_rewritten<Ip6>(before, after, protocol, *rc::gen::inRange<std::uint8_t>(2, 255));
}

TEST(Rewrite, AnAbsentUdpChecksumStaysAbsent) {
  Bytes frame =
      Packet().eth(kA, kB).ip("10.0.0.1"_ip, "10.0.0.2"_ip).udp_without_checksum(1, 2).bytes();
  flows::Action<Ip4> action{};
  action.tuple = {"1.2.3.4"_ip4, "10.0.0.2"_ip4, Be16(7), Be16(2)};
  action.flags = flows::kRewriteTuple;
  flows::compute_deltas(action, packet::kProtoUdp,
                        {"10.0.0.1"_ip4, "10.0.0.2"_ip4, Be16(1), Be16(2)});
  rewrite_ip(frame.data() + 14, frame.data() + 34, packet::kProtoUdp, action, action.flags);
  EXPECT_EQ(
      frame,
      Packet().eth(kA, kB).ip("1.2.3.4"_ip, "10.0.0.2"_ip).udp_without_checksum(7, 2).bytes());
}

TEST(Rewrite, TheHopAloneIsOneTtlLess) {
  for (unsigned ttl = 2; ttl < 256; ++ttl) {
    const auto with = [](unsigned n) {
      return Packet()
          .eth(kA, kB)
          .ip("10.0.0.1"_ip, "10.0.0.2"_ip, {.ttl = static_cast<std::uint8_t>(n)})
          .udp(1, 2)
          .bytes();
    };
    Bytes frame = with(ttl);
    rewrite_hop(frame.data() + 14, true, flows::kDecrementTtl);
    ASSERT_EQ(frame, with(ttl - 1)) << ttl;
  }
}

class Tunnel : public testing::Test {
 protected:
  static Packet between(Packet packet, const Mac& source, const Mac& destination) {
    return packet.eth(source, destination)
        .ip("10.0.0.1"_ip, "10.0.0.2"_ip, {.tos = 0xb9})
        .udp(1, 2);
  }
  static Bytes inner() { return between(Packet(), kA, kB).bytes(); }
  // What comes out, with these inner MACs.
  static Bytes tunnelled(const Mac& source, const Mac& destination) {
    return between(Packet()
                       .eth(kUp, kPeer)
                       .ip("192.0.2.11"_ip, "192.0.2.12"_ip,
                           {.ttl = 64, .tos = 0xb9, .dont_fragment = true})
                       .udp_without_checksum(50'000, 4789)
                       .vxlan(5001),
                   source, destination)
        .bytes();
  }
  // Puts the tunnel around a frame that stands at this place. \return where it begins now.
  static std::uint8_t* enter(std::uint8_t* frame, bool rewrites_macs) {
    const auto hop = flows::make_tunnel_hop(0, 1, kUp, "192.0.2.11"_ip4, "192.0.2.12"_ip4, 4789,
                                            5001, kTo, kFrom, packet::kEtherTypeIpv4);
    return encapsulate(frame, static_cast<std::uint32_t>(inner().size()), hop, Be16(50'000), 0xb9,
                       kPeer.raw(), rewrites_macs);
  }

  static inline const Mac kUp = "02:00:00:00:01:01"_mac;
  static inline const Mac kPeer = "02:00:00:00:01:02"_mac;
  static inline const Mac kTo = "02:00:0a:0a:02:14"_mac;
  static inline const Mac kFrom = "02:67:6e:74:00:01"_mac;
};

// V1, V10, V14, V25, V26: the outer headers, against the builder's.
TEST_F(Tunnel, V1HeadersAreAsTheRfcHasThem) {
  Bytes room(packet::kVxlanOverIpv4Bytes);
  const Bytes frame = inner();
  room.insert(room.end(), frame.begin(), frame.end());
  EXPECT_EQ(enter(room.data() + packet::kVxlanOverIpv4Bytes, true), room.data());
  EXPECT_EQ(room, tunnelled(kFrom, kTo));
}

// R26: inside a subnet the inner Ethernet header is the sender's.
TEST_F(Tunnel, R26MayLeaveTheInnerMacsAsTheyAre) {
  const Bytes around(64, 0xee);
  const Bytes frame = inner();
  Bytes room(around.size() + packet::kVxlanOverIpv4Bytes, 0xee);
  room.insert(room.end(), frame.begin(), frame.end());
  room.insert(room.end(), around.begin(), around.end());
  enter(room.data() + around.size() + packet::kVxlanOverIpv4Bytes, false);
  Bytes expected = around;
  const Bytes out = tunnelled(kA, kB);
  expected.insert(expected.end(), out.begin(), out.end());
  expected.insert(expected.end(), around.begin(), around.end());
  EXPECT_EQ(room, expected);
}

// V27: RFC 6040, figure 4.
TEST(Rewrite, V27EcnAtTheEndOfATunnel) {
  constexpr int kDrop = -1;
  constexpr int kExpected[4][4] = {
      // Outer:   Not-ECT ECT(1) ECT(0) CE          Inner:
      {0, 0, 0, kDrop},  // Not-ECT
      {1, 1, 1, 3},      // ECT(1)
      {2, 1, 2, 3},      // ECT(0)
      {3, 3, 3, 3},      // CE
  };
  for (int inner = 0; inner < 4; ++inner) {
    for (int outer = 0; outer < 4; ++outer) {
      for (const bool is_v4 : {true, false}) {
        const auto with = [is_v4](int ecn) {
          const auto tos = static_cast<std::uint8_t>(0x28 | ecn);
          return is_v4 ? Packet()
                             .eth(kA, kB)
                             .ip("10.0.0.1"_ip, "10.0.0.2"_ip, {.tos = tos})
                             .udp(1, 2)
                             .bytes()
                       : Packet()
                             .eth(kA, kB)
                             .ip("fd00::1"_ip, "fd00::2"_ip, {.tos = tos})
                             .udp(1, 2)
                             .bytes();
        };
        Bytes frame = with(inner);
        const bool passes =
            decapsulate_ecn(static_cast<std::uint8_t>(outer), frame.data() + 14, is_v4);
        const int expected = kExpected[inner][outer];
        ASSERT_EQ(passes, expected != kDrop) << inner << outer;
        if (passes) {
          ASSERT_EQ(frame, with(expected)) << inner << outer << is_v4;
        }
      }
    }
  }
}

}  // namespace
}  // namespace gannet::dataplane
