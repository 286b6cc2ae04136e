// SPDX-License-Identifier: BSD-3-Clause
// The full parser of one Ethernet frame: every shape, every bound checked, nothing trusted. The
// worker calls it for packets that do not have the common shape (flows/key.hpp reads that one with
// a handful of loads) and for first packets. Any thread; some tens of nanoseconds; never fails in
// any other way than by the returned error.
#pragma once

#include "flows/packet/headers.hpp"

#include <cstddef>
#include <cstdint>

namespace gannet::packet {

/// Why a frame is not acceptable. The dataplane has a drop reason of the same name for each.
enum class ParseError : std::uint8_t {
  kNone,
  kRunt,                // Shorter than an Ethernet header (and its VLAN tags).
  kNotEthernet2,        // An IEEE 802.3 length where the EtherType should be.
  kTruncated,           // A header or the packet itself is longer than the frame.
  kBadIpHeader,         // Wrong version, header length below the minimum or beyond the packet.
  kBadIpLength,         // IP length field below the header or beyond the frame.
  kBadL4Header,         // TCP data offset or UDP length impossible.
  kBadExtensionHeader,  // IPv6 extension chain out of order, too long, or of a forbidden kind.
  kTinyFragment,        // First fragment without the whole L4 header (RFC 1858, RFC 7112), or
                        // a TCP fragment at offset 8 (RFC 3128).
  kBadFragment,  // Reaches beyond 65,535 bytes, empty, or not a multiple of 8 (RFC 8200, 4.5).
};

enum class L3 : std::uint8_t { kOther, kArp, kIpv4, kIpv6 };

/// Where things lie in a frame, and the few values on which everything depends. Offsets are in
/// bytes from the first byte of the frame.
struct Parsed {
  std::uint16_t l3_offset;       // First byte after EtherType.
  std::uint16_t l4_offset;       // First byte after the IP header and its options or extensions.
  std::uint16_t payload_offset;  // First byte after the L4 header (of a known L4), else l4_offset.
  std::uint16_t end_offset;      // One past the last byte of the IP packet; beyond it is padding.
  std::uint16_t ether_type;      // After any VLAN tags.
  std::uint16_t source_port;     // TCP, UDP: the port. ICMP query: the identifier. Else 0.
  std::uint16_t destination_port;  // TCP, UDP: the port. ICMP: type << 8 | code. Else 0.
  std::uint16_t fragment_offset;   // In bytes.
  std::uint16_t fragment_start;  // Of fragments: first byte of the part that was cut. IPv6 options
                                 // behind the fragment header belong to it.
  std::uint32_t fragment_id;     // Identification, only of fragments.
  L3 l3;
  std::uint8_t vlan_tag_count;
  std::uint8_t protocol;  // Of L4, after any extension headers.
  std::uint8_t tcp_flags;
  std::uint8_t tos;  // TOS or traffic class: DSCP and ECN.
  std::uint8_t ttl;  // TTL or hop limit.
  bool has_l4;       // False: later fragment, or no next header.
  bool has_options;  // IPv4 options or IPv6 extension headers other than a fragment header.
  bool is_fragment;  // Any fragment but an atomic one (RFC 6946).
  bool has_more_fragments;

  [[nodiscard]] bool is_ip() const { return l3 == L3::kIpv4 || l3 == L3::kIpv6; }
  [[nodiscard]] bool is_first_fragment() const { return is_fragment && fragment_offset == 0; }
  [[nodiscard]] bool is_later_fragment() const { return is_fragment && fragment_offset != 0; }
  [[nodiscard]] unsigned l4_bytes() const { return unsigned{end_offset} - l4_offset; }
  /// How much of the whole packet a fragment carries, from fragment_offset on.
  [[nodiscard]] unsigned fragment_bytes() const { return unsigned{end_offset} - fragment_start; }
};

/// Reads a frame of `size` bytes. On error `out` holds what had been read up to there.
[[nodiscard]] ParseError parse(const std::uint8_t* frame, std::size_t size, Parsed& out);

/// Reads a bare IP packet that starts at `offset` of the frame; `out` keeps its Ethernet fields.
[[nodiscard]] ParseError parse_ip(const std::uint8_t* frame, std::size_t size, std::size_t offset,
                                  Parsed& out);

/// Reads the packet that an ICMP error quotes (RFC 792, RFC 4443): an IP header whose length field
/// speaks of more than is there, and of L4 at least eight bytes. Fills all but `end_offset`, which
/// is where the quotation ends, and `payload_offset`. Fragments other than the first are refused,
/// as is an IPv4 header with a wrong checksum (RFC 5508, REQ-3).
[[nodiscard]] ParseError parse_quoted(const std::uint8_t* frame, std::size_t size,
                                      std::size_t offset, Parsed& out);

/// Whether the frame's L4 checksum is right (or absent, for UDP over IPv4); true for protocols that
/// have none that Gannet knows. Only for whole packets (not fragments).
[[nodiscard]] bool has_good_l4_checksum(const std::uint8_t* frame, const Parsed& parsed);

/// Whether the IPv4 header's checksum is right.
[[nodiscard]] bool has_good_ipv4_checksum(const std::uint8_t* frame, const Parsed& parsed);

/// ICMP types that ask and are answered, and so form connections: the answer's type, or -1.
[[nodiscard]] constexpr int icmp_answer_type(std::uint8_t protocol, std::uint8_t type) {
  if (protocol == kProtoIcmp && type == kIcmpEchoRequest) return kIcmpEchoReply;
  if (protocol == kProtoIcmp && type == 13) return 14;  // Timestamp.
  if (protocol == kProtoIcmp6 && type == kIcmp6EchoRequest) return kIcmp6EchoReply;
  return -1;
}
/// The other way round: the type that a type of answer answers, or -1.
[[nodiscard]] constexpr int icmp_question_type(std::uint8_t protocol, std::uint8_t type) {
  if (protocol == kProtoIcmp && type == kIcmpEchoReply) return kIcmpEchoRequest;
  if (protocol == kProtoIcmp && type == 14) return 13;  // Timestamp.
  if (protocol == kProtoIcmp6 && type == kIcmp6EchoReply) return kIcmp6EchoRequest;
  return -1;
}
/// ICMP types that report about another packet, which they quote.
[[nodiscard]] constexpr bool is_icmp_error(std::uint8_t protocol, std::uint8_t type) {
  if (protocol == kProtoIcmp) {
    return type == kIcmpUnreachable || type == kIcmpSourceQuench || type == kIcmpRedirect ||
           type == kIcmpTimeExceeded || type == kIcmpParameterProblem;
  }
  return protocol == kProtoIcmp6 && type < 128;
}

}  // namespace gannet::packet
