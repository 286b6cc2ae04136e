// SPDX-License-Identifier: BSD-3-Clause
// Wire images of the headers that Gannet reads and writes, and their constants. All fields are in
// network byte order by type and every struct has alignment 1: an image may be laid over any byte
// of a packet once its length has been checked.
#pragma once

#include "flows/base/byte_order.hpp"
#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"

#include <cstdint>

namespace gannet::packet {

// EtherTypes (IANA "IEEE 802 Numbers").
inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;
inline constexpr std::uint16_t kEtherTypeQinq = 0x88a8;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr std::uint16_t kMinEtherType = 0x0600;  // Below: an IEEE 802.3 length.

// IP protocol numbers (IANA "Protocol Numbers").
inline constexpr std::uint8_t kProtoHopByHop = 0;
inline constexpr std::uint8_t kProtoIcmp = 1;
inline constexpr std::uint8_t kProtoTcp = 6;
inline constexpr std::uint8_t kProtoUdp = 17;
inline constexpr std::uint8_t kProtoRouting = 43;
inline constexpr std::uint8_t kProtoFragment = 44;
inline constexpr std::uint8_t kProtoAh = 51;
inline constexpr std::uint8_t kProtoIcmp6 = 58;
inline constexpr std::uint8_t kProtoNoNext = 59;
inline constexpr std::uint8_t kProtoDestOptions = 60;
inline constexpr std::uint8_t kProtoMobility = 135;

struct EthernetHeader {
  Mac destination;
  Mac source;
  Be16 ether_type;
};
static_assert(sizeof(EthernetHeader) == 14);

/// What follows an EtherType of kEtherTypeVlan or kEtherTypeQinq (IEEE 802.1Q-2018, 9.3).
struct VlanTag {
  Be16 control;  // Priority 3 bits, drop eligible 1, VLAN 12.
  Be16 ether_type;
};
static_assert(sizeof(VlanTag) == 4);

/// ARP for IPv4 over Ethernet (RFC 826).
struct ArpHeader {
  Be16 hardware_type;
  Be16 protocol_type;
  std::uint8_t hardware_bytes;
  std::uint8_t protocol_bytes;
  Be16 operation;
  Mac sender_mac;
  Ip4 sender_ip;
  Mac target_mac;
  Ip4 target_ip;
};
static_assert(sizeof(ArpHeader) == 28);
inline constexpr std::uint16_t kArpEthernet = 1;
inline constexpr std::uint16_t kArpRequest = 1;
inline constexpr std::uint16_t kArpReply = 2;

/// RFC 791, 3.1.
struct Ipv4Header {
  std::uint8_t version_ihl;
  std::uint8_t tos;
  Be16 total_length;
  Be16 identification;
  Be16 flags_offset;
  std::uint8_t ttl;
  std::uint8_t protocol;
  Be16 checksum;
  Ip4 source;
  Ip4 destination;

  [[nodiscard]] unsigned header_bytes() const { return (version_ihl & 0xfu) * 4; }
  [[nodiscard]] unsigned version() const { return version_ihl >> 4; }
};
static_assert(sizeof(Ipv4Header) == 20);
inline constexpr std::uint8_t kIpv4PlainVersionIhl = 0x45;
inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr std::uint16_t kIpv4OffsetMask = 0x1fff;  // In units of 8 bytes.

/// RFC 8200, 3.
struct Ipv6Header {
  Be32 version_class_label;
  Be16 payload_length;
  std::uint8_t next_header;
  std::uint8_t hop_limit;
  Ip6 source;
  Ip6 destination;

  [[nodiscard]] unsigned version() const { return version_class_label.host() >> 28; }
  [[nodiscard]] std::uint8_t traffic_class() const {
    return static_cast<std::uint8_t>(version_class_label.host() >> 20);
  }
};
static_assert(sizeof(Ipv6Header) == 40);

/// RFC 8200, 4.5.
struct Ipv6FragmentHeader {
  std::uint8_t next_header;
  std::uint8_t reserved;
  Be16 offset_flags;  // Offset 13 bits (units of 8 bytes), reserved 2, more-fragments 1.
  Be32 identification;
};
static_assert(sizeof(Ipv6FragmentHeader) == 8);
inline constexpr std::uint16_t kIpv6MoreFragments = 0x0001;
inline constexpr std::uint16_t kIpv6OffsetMask = 0xfff8;  // In bytes once masked.

/// RFC 9293, 3.1.
struct TcpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be32 sequence;
  Be32 acknowledgment;
  std::uint8_t data_offset;  // High four bits, in units of 4 bytes.
  std::uint8_t flags;
  Be16 window;
  Be16 checksum;
  Be16 urgent;

  [[nodiscard]] unsigned header_bytes() const { return (data_offset >> 4) * 4u; }
};
static_assert(sizeof(TcpHeader) == 20);
inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;
// TCP options (RFC 9293, 3.2; RFC 7323, 2.2).
inline constexpr std::uint8_t kTcpOptionEnd = 0;
inline constexpr std::uint8_t kTcpOptionNop = 1;
inline constexpr std::uint8_t kTcpOptionWindowScale = 3;

/// RFC 768.
struct UdpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be16 length;
  Be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

/// ICMP (RFC 792) and ICMPv6 (RFC 4443); `rest` depends on the type.
struct IcmpHeader {
  std::uint8_t type;
  std::uint8_t code;
  Be16 checksum;
  Be16 identifier;  // Echo: identifier. Errors: unused, or the length of RFC 4884.
  Be16 sequence;    // Echo: sequence. Type 3 code 4: next-hop MTU (RFC 1191).
};
static_assert(sizeof(IcmpHeader) == 8);
inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpSourceQuench = 4;
inline constexpr std::uint8_t kIcmpRedirect = 5;
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;
inline constexpr std::uint8_t kIcmpCodeFragmentationNeeded = 4;  // Of type 3.
inline constexpr std::uint8_t kIcmpCodeProhibited = 13;          // Of type 3 (RFC 1812, 5.2.7.1).
inline constexpr std::uint8_t kIcmp6Unreachable = 1;
inline constexpr std::uint8_t kIcmp6PacketTooBig = 2;
inline constexpr std::uint8_t kIcmp6TimeExceeded = 3;
inline constexpr std::uint8_t kIcmp6ParameterProblem = 4;
inline constexpr std::uint8_t kIcmp6EchoRequest = 128;
inline constexpr std::uint8_t kIcmp6EchoReply = 129;
// Neighbour discovery (RFC 4861).
inline constexpr std::uint8_t kIcmp6RouterSolicitation = 133;
inline constexpr std::uint8_t kIcmp6RouterAdvertisement = 134;
inline constexpr std::uint8_t kIcmp6NeighborSolicitation = 135;
inline constexpr std::uint8_t kIcmp6NeighborAdvertisement = 136;
inline constexpr std::uint8_t kIcmp6Redirect = 137;

/// Neighbour solicitation and advertisement (RFC 4861, 4.3 and 4.4), without options.
struct NeighborMessage {
  IcmpHeader icmp;  // identifier/sequence: flags of an advertisement.
  Ip6 target;
};
static_assert(sizeof(NeighborMessage) == 24);
inline constexpr std::uint8_t kNdSourceLinkAddress = 1;
inline constexpr std::uint8_t kNdTargetLinkAddress = 2;

/// RFC 7348, 5.
struct VxlanHeader {
  std::uint8_t flags;
  std::uint8_t reserved[3];
  Be32 vni_reserved;  // VNI 24 bits, reserved 8.
};
static_assert(sizeof(VxlanHeader) == 8);
inline constexpr std::uint8_t kVxlanFlagVni = 0x08;
inline constexpr std::uint16_t kVxlanPort = 4789;
/// Outer Ethernet, IPv4, UDP and VXLAN headers.
inline constexpr unsigned kVxlanOverIpv4Bytes = 14 + 20 + 8 + 8;

/// DHCPv4 (RFC 2131, 2), options follow.
struct DhcpHeader {
  std::uint8_t operation;
  std::uint8_t hardware_type;
  std::uint8_t hardware_bytes;
  std::uint8_t hops;
  Be32 transaction;
  Be16 seconds;
  Be16 flags;
  Ip4 client_ip;
  Ip4 your_ip;
  Ip4 server_ip;
  Ip4 relay_ip;
  Mac client_mac;
  std::uint8_t client_mac_padding[10];
  std::uint8_t server_name[64];
  std::uint8_t boot_file[128];
  Be32 magic;
};
static_assert(sizeof(DhcpHeader) == 240);
inline constexpr std::uint16_t kDhcpServerPort = 67;
inline constexpr std::uint16_t kDhcpClientPort = 68;
inline constexpr std::uint16_t kDhcp6ServerPort = 547;
inline constexpr std::uint16_t kDhcp6ClientPort = 546;

/// An image of type H over `bytes`; the caller has checked that sizeof(H) bytes are there.
template <typename H>
[[nodiscard]] inline const H& header_at(const std::uint8_t* bytes) {
  static_assert(alignof(H) == 1);
  return *reinterpret_cast<const H*>(bytes);
}
template <typename H>
[[nodiscard]] inline H& header_at(std::uint8_t* bytes) {
  static_assert(alignof(H) == 1);
  return *reinterpret_cast<H*>(bytes);
}

}  // namespace gannet::packet
