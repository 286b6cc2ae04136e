// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/icmp_error.hpp"

#include "flows/packet/checksum.hpp"

#include <algorithm>
#include <cstring>

namespace gannet::dataplane {
namespace {

using packet::ChecksumDelta;
using packet::header_at;
using packet::IcmpHeader;
using packet::Ipv4Header;
using packet::Ipv6Header;

constexpr std::size_t kMaxV4Bytes = 576;    // RFC 1812, 4.3.2.3.
constexpr std::size_t kMaxV6Bytes = 1'280;  // RFC 4443, 2.4 (c).
constexpr std::uint8_t kErrorTtl = 64;

IcmpHeader error_header(bool is_v4, IcmpProblem problem, std::uint16_t mtu) {
  IcmpHeader icmp{};
  switch (problem) {
    case IcmpProblem::kTtlExpired:
      icmp.type = is_v4 ? packet::kIcmpTimeExceeded : packet::kIcmp6TimeExceeded;
      break;
    case IcmpProblem::kTooBig:
      icmp.type = is_v4 ? packet::kIcmpUnreachable : packet::kIcmp6PacketTooBig;
      icmp.code = is_v4 ? packet::kIcmpCodeFragmentationNeeded : std::uint8_t{0};
      icmp.sequence = Be16(mtu);  // v4: low half of the field; v6: low half of 32 bits.
      break;
    case IcmpProblem::kProhibited:
      icmp.type = is_v4 ? packet::kIcmpUnreachable : packet::kIcmp6Unreachable;
      icmp.code = is_v4 ? packet::kIcmpCodeProhibited : std::uint8_t{1};
      break;
  }
  return icmp;
}

void write_v4(std::uint8_t* at, const IpAddress& source, Ip4 destination, std::size_t bytes) {
  Ipv4Header ip{};
  ip.version_ihl = packet::kIpv4PlainVersionIhl;
  ip.tos = 0xc0;  // Internetwork control (RFC 1812, 4.3.2.5).
  ip.total_length = Be16(static_cast<std::uint16_t>(bytes));
  ip.ttl = kErrorTtl;
  ip.protocol = packet::kProtoIcmp;
  ip.source = source.v4();
  ip.destination = destination;
  ip.checksum =
      packet::finish(packet::sum_bytes(reinterpret_cast<const std::uint8_t*>(&ip), sizeof ip));
  store(at, ip);
}

void write_v6(std::uint8_t* at, const IpAddress& source, const Ip6& destination,
              std::size_t bytes) {
  Ipv6Header ip{};
  ip.version_class_label = Be32(0x6000'0000);
  ip.payload_length = Be16(static_cast<std::uint16_t>(bytes - sizeof ip));
  ip.next_header = packet::kProtoIcmp6;
  ip.hop_limit = kErrorTtl;
  ip.source = source.v6();
  ip.destination = destination;
  store(at, ip);
}

// Where the checksum of the quoted L4 header lies, or null if the quotation ends before it or there
// is none.
Be16* quoted_checksum(std::uint8_t* frame, const packet::Parsed& quoted) {
  std::size_t offset = 0;
  switch (quoted.protocol) {
    case packet::kProtoTcp: offset = 16; break;
    case packet::kProtoUdp: offset = 6; break;
    case packet::kProtoIcmp:
    case packet::kProtoIcmp6: offset = 2; break;
    default: return nullptr;
  }
  if (quoted.l4_bytes() < offset + 2) return nullptr;
  return &header_at<Be16>(frame + quoted.l4_offset + offset);
}

// The change of the words that one tuple's packet has where another's has others.
template <typename Ip>
void add_change(ChecksumDelta& delta, const IpTuple& before, const IpTuple& after) {
  delta.replace(address_as<Ip>(before.source), address_as<Ip>(after.source));
  delta.replace(address_as<Ip>(before.destination), address_as<Ip>(after.destination));
}

// Rewrites addresses of an IP header, its own checksum included.
void rewrite_addresses(std::uint8_t* ip, bool is_v4, const IpAddress& source,
                       const IpAddress& destination) {
  if (is_v4) {
    auto& v4 = header_at<Ipv4Header>(ip);
    ChecksumDelta delta;
    delta.replace(v4.source, source.v4());
    delta.replace(v4.destination, destination.v4());
    v4.source = source.v4();
    v4.destination = destination.v4();
    v4.checksum = packet::update(v4.checksum, delta.folded());
  } else {
    auto& v6 = header_at<Ipv6Header>(ip);
    v6.source = source.v6();
    v6.destination = destination.v6();
  }
}

void rewrite_quoted(std::uint8_t* frame, const packet::Parsed& quoted, const ErrorTranslation& t) {
  const bool is_v4 = quoted.l3 == packet::L3::kIpv4;
  ChecksumDelta delta;
  if (quoted.protocol != packet::kProtoIcmp) {
    if (is_v4) {
      add_change<Ip4>(delta, t.quoted_before, t.quoted_after);
    } else {
      add_change<Ip6>(delta, t.quoted_before, t.quoted_after);
    }
  }
  std::uint8_t* const l4 = frame + quoted.l4_offset;
  if (t.quoted_before.has_ports()) {
    store(l4, Be16(t.quoted_after.source_port));
    store(l4 + 2, Be16(t.quoted_after.destination_port));
    delta.replace(Be16(t.quoted_before.source_port), Be16(t.quoted_after.source_port));
    delta.replace(Be16(t.quoted_before.destination_port), Be16(t.quoted_after.destination_port));
  } else if (t.quoted_before.is_icmp()) {
    header_at<IcmpHeader>(l4).identifier = Be16(t.quoted_after.source_port);
    delta.replace(Be16(t.quoted_before.source_port), Be16(t.quoted_after.source_port));
  }
  if (Be16* const checksum = quoted_checksum(frame, quoted); checksum != nullptr) {
    *checksum = quoted.protocol == packet::kProtoUdp ? packet::update_udp(*checksum, delta.folded())
                                                     : packet::update(*checksum, delta.folded());
  }
  rewrite_addresses(frame + quoted.l3_offset, is_v4, t.quoted_after.source,
                    t.quoted_after.destination);
}

}  // namespace

bool may_report(const Frame& frame, const packet::Parsed& parsed) {
  if (!parsed.is_ip() || parsed.is_later_fragment()) return false;
  if (frame.ethernet().destination.is_group()) return false;
  const bool is_icmp =
      parsed.protocol == packet::kProtoIcmp || parsed.protocol == packet::kProtoIcmp6;
  const auto type = static_cast<std::uint8_t>(parsed.destination_port >> 8);
  if (is_icmp && packet::is_icmp_error(parsed.protocol, type)) return false;
  if (parsed.l3 == packet::L3::kIpv4) {
    const auto& ip = header_at<Ipv4Header>(frame.data + parsed.l3_offset);
    const Ip4 s = ip.source;
    return !s.is_zero() && !s.is_multicast() && !s.is_loopback() && !s.is_broadcast() &&
           !ip.destination.is_multicast() && !ip.destination.is_broadcast();
  }
  const auto& ip = header_at<Ipv6Header>(frame.data + parsed.l3_offset);
  return !ip.source.is_zero() && !ip.source.is_multicast() && !ip.destination.is_multicast();
}

bool make_icmp_error(Frame& frame, const packet::Parsed& parsed, IcmpProblem problem,
                     const IpAddress& source, std::uint16_t mtu) {
  const bool is_v4 = parsed.l3 == packet::L3::kIpv4;
  const std::size_t ip_bytes = is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  const std::size_t header_bytes = ip_bytes + sizeof(IcmpHeader);
  const std::size_t whole = std::size_t{parsed.end_offset} - parsed.l3_offset;
  const std::size_t quoted = std::min(whole, (is_v4 ? kMaxV4Bytes : kMaxV6Bytes) - header_bytes);
  const packet::EthernetHeader old = frame.ethernet();

  // The new headers go before the packet, over the old Ethernet header and tags.
  frame.pull(parsed.l3_offset);
  if (!frame.resize(static_cast<std::uint32_t>(quoted))) return false;
  const std::uint8_t* const packet = frame.data;
  const Ip4 v4_sender = is_v4 ? header_at<Ipv4Header>(packet).source : Ip4{};
  const Ip6 v6_sender = is_v4 ? Ip6{} : header_at<Ipv6Header>(packet).source;
  if (!frame.push(static_cast<std::uint32_t>(header_bytes + sizeof old))) return false;
  frame.ethernet() = {old.source, old.destination,
                      Be16(is_v4 ? packet::kEtherTypeIpv4 : packet::kEtherTypeIpv6)};
  std::uint8_t* const ip = frame.data + sizeof old;
  std::uint8_t* const message = ip + ip_bytes;
  store(message, error_header(is_v4, problem, mtu));
  std::uint64_t sum = packet::sum_bytes(message, sizeof(IcmpHeader) + quoted);
  if (is_v4) {
    write_v4(ip, source, v4_sender, header_bytes + quoted);
  } else {
    write_v6(ip, source, v6_sender, header_bytes + quoted);
    sum += packet::pseudo_header_sum(source.v6(), v6_sender, packet::kProtoIcmp6,
                                     static_cast<std::uint32_t>(sizeof(IcmpHeader) + quoted));
  }
  header_at<IcmpHeader>(message).checksum = packet::finish(sum);
  return true;
}

void translate_icmp_error(Frame& frame, const packet::Parsed& parsed, const packet::Parsed& quoted,
                          const ErrorTranslation& translation) {
  const bool is_v4 = parsed.l3 == packet::L3::kIpv4;
  rewrite_quoted(frame.data, quoted, translation);
  rewrite_addresses(frame.data + parsed.l3_offset, is_v4, translation.source,
                    translation.destination);
  // The message is short and errors are rare: its checksum is made anew, which was checked before.
  auto& icmp = header_at<IcmpHeader>(frame.data + parsed.l4_offset);
  icmp.checksum = Be16(0);
  std::uint64_t sum = packet::sum_bytes(frame.data + parsed.l4_offset, parsed.l4_bytes());
  if (!is_v4) {
    sum += packet::pseudo_header_sum(translation.source.v6(), translation.destination.v6(),
                                     packet::kProtoIcmp6, parsed.l4_bytes());
  }
  icmp.checksum = packet::finish(sum);
}

}  // namespace gannet::dataplane
