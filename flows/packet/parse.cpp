// SPDX-License-Identifier: BSD-3-Clause
#include "flows/packet/parse.hpp"

#include "flows/packet/checksum.hpp"

namespace gannet::packet {
namespace {

// RFC 8200 lists six kinds of extension header, one of which may come twice; a chain that is longer
// serves only to hide what follows.
constexpr unsigned kMaxExtensionHeaders = 8;

constexpr std::size_t kMinTcp = sizeof(TcpHeader);
constexpr std::size_t kMinUdp = sizeof(UdpHeader);
constexpr std::size_t kMinIcmp = sizeof(IcmpHeader);

std::uint16_t u16(std::size_t value) { return static_cast<std::uint16_t>(value); }

std::size_t min_l4_bytes(std::uint8_t protocol) {
  switch (protocol) {
    case kProtoTcp: return kMinTcp;
    case kProtoUdp: return kMinUdp;
    case kProtoIcmp:
    case kProtoIcmp6: return kMinIcmp;
    default: return 0;
  }
}

// The two values that stand for ports; at least eight bytes of L4 are there.
void read_ports(const std::uint8_t* l4, Parsed& out) {
  switch (out.protocol) {
    case kProtoTcp:
    case kProtoUdp:
      out.source_port = load<Be16>(l4).host();
      out.destination_port = load<Be16>(l4 + 2).host();
      break;
    case kProtoIcmp:
    case kProtoIcmp6: {
      const auto& icmp = header_at<IcmpHeader>(l4);
      out.destination_port = u16(std::size_t{icmp.type} << 8 | icmp.code);
      if (!is_icmp_error(out.protocol, icmp.type)) out.source_port = icmp.identifier.host();
      break;
    }
    default: break;
  }
}

ParseError parse_l4(const std::uint8_t* frame, Parsed& out) {
  const std::size_t available = out.l4_bytes();
  out.payload_offset = out.l4_offset;
  if (out.is_later_fragment()) {
    out.has_l4 = false;
    // A TCP header split behind its first eight bytes hides the flags (RFC 3128, 2.1).
    const bool hides_flags = out.protocol == kProtoTcp && out.fragment_offset == 8;
    return hides_flags ? ParseError::kTinyFragment : ParseError::kNone;
  }
  out.has_l4 = out.protocol != kProtoNoNext;
  if (available < min_l4_bytes(out.protocol)) {
    return out.is_fragment ? ParseError::kTinyFragment : ParseError::kBadL4Header;
  }
  const std::uint8_t* const l4 = frame + out.l4_offset;
  read_ports(l4, out);
  if (out.protocol == kProtoTcp) {
    const auto& tcp = header_at<TcpHeader>(l4);
    const std::size_t header = tcp.header_bytes();
    if (header < kMinTcp) return ParseError::kBadL4Header;
    if (header > available) {
      return out.is_fragment ? ParseError::kTinyFragment : ParseError::kBadL4Header;
    }
    out.tcp_flags = tcp.flags;
    out.payload_offset = u16(out.l4_offset + header);
  } else if (out.protocol == kProtoUdp) {
    const std::size_t length = header_at<UdpHeader>(l4).length.host();
    // A shorter length is legal: what lies behind it is not UDP data (RFC 9868).
    if (length < kMinUdp || (length > available && !out.is_fragment)) {
      return ParseError::kBadL4Header;
    }
    out.payload_offset = u16(out.l4_offset + kMinUdp);
  } else if (out.protocol == kProtoIcmp || out.protocol == kProtoIcmp6) {
    out.payload_offset = u16(out.l4_offset + kMinIcmp);
  }
  return ParseError::kNone;
}

ParseError check_fragment(const Parsed& out) {
  const std::size_t length = out.fragment_bytes();
  if (length == 0) return ParseError::kBadFragment;
  if (out.has_more_fragments && length % 8 != 0) return ParseError::kBadFragment;
  // The length field of the whole packet counts all of IPv4's header, and of IPv6's only the
  // extensions before the fragment header.
  const std::size_t uncounted =
      out.l3 == L3::kIpv4 ? 0 : sizeof(Ipv6Header) + sizeof(Ipv6FragmentHeader);
  const std::size_t header = std::size_t{out.fragment_start} - out.l3_offset - uncounted;
  if (header + out.fragment_offset + length > 65'535) return ParseError::kBadFragment;
  return ParseError::kNone;
}

// The header of an IPv4 packet; `limit` is one past the last byte that is there.
ParseError read_ipv4(const std::uint8_t* frame, std::size_t limit, std::size_t offset,
                     Parsed& out) {
  if (limit - offset < sizeof(Ipv4Header)) return ParseError::kTruncated;
  const auto& ip = header_at<Ipv4Header>(frame + offset);
  const std::size_t header = ip.header_bytes();
  if (ip.version() != 4 || header < sizeof(Ipv4Header)) return ParseError::kBadIpHeader;
  if (header > limit - offset) return ParseError::kTruncated;
  if (ip.total_length.host() < header) return ParseError::kBadIpLength;
  const std::uint16_t flags = ip.flags_offset.host();
  out.l3 = L3::kIpv4;
  out.l3_offset = u16(offset);
  out.l4_offset = u16(offset + header);
  out.protocol = ip.protocol;
  out.tos = ip.tos;
  out.ttl = ip.ttl;
  out.has_options = header > sizeof(Ipv4Header);
  out.fragment_offset = u16((flags & kIpv4OffsetMask) * 8u);
  out.has_more_fragments = (flags & kIpv4MoreFragments) != 0;
  out.is_fragment = out.has_more_fragments || out.fragment_offset != 0;
  out.fragment_id = out.is_fragment ? ip.identification.host() : 0;
  out.fragment_start = out.l4_offset;
  return ParseError::kNone;
}

void read_ipv6_fragment(const Ipv6FragmentHeader& header, Parsed& out) {
  const std::uint16_t bits = header.offset_flags.host();
  out.fragment_offset = bits & kIpv6OffsetMask;
  out.has_more_fragments = (bits & kIpv6MoreFragments) != 0;
  out.is_fragment = out.has_more_fragments || out.fragment_offset != 0;
  out.fragment_id = out.is_fragment ? header.identification.host() : 0;
}

// Walks the extension headers from `offset`, whose kind is `next`. Leaves l4_offset and protocol.
ParseError walk_extensions(const std::uint8_t* frame, std::size_t limit, std::size_t offset,
                           std::uint8_t next, Parsed& out) {
  bool has_fragment_header = false;
  for (unsigned count = 0;; ++count) {
    const bool is_options = next == kProtoHopByHop || next == kProtoDestOptions ||
                            next == kProtoRouting || next == kProtoMobility;
    if (!is_options && next != kProtoFragment) break;
    if (count == kMaxExtensionHeaders) return ParseError::kBadExtensionHeader;
    if (next == kProtoHopByHop && count != 0) return ParseError::kBadExtensionHeader;
    if (limit - offset < 8) {
      return out.is_fragment ? ParseError::kTinyFragment : ParseError::kTruncated;
    }
    const std::uint8_t* const header = frame + offset;
    if (next == kProtoFragment) {
      if (has_fragment_header) return ParseError::kBadExtensionHeader;
      has_fragment_header = true;
      read_ipv6_fragment(header_at<Ipv6FragmentHeader>(header), out);
      next = header[0];
      offset += sizeof(Ipv6FragmentHeader);
      out.fragment_start = u16(offset);
      if (out.is_later_fragment()) break;  // What follows is the middle of something.
      continue;
    }
    const std::size_t bytes = (std::size_t{header[1]} + 1) * 8;
    // Type 0 routing headers are forbidden (RFC 5095, 3).
    if (next == kProtoRouting && header[2] == 0) return ParseError::kBadExtensionHeader;
    if (bytes > limit - offset) {
      return out.is_fragment ? ParseError::kTinyFragment : ParseError::kTruncated;
    }
    out.has_options = true;
    next = header[0];
    offset += bytes;
  }
  out.protocol = next;
  out.l4_offset = u16(offset);
  return ParseError::kNone;
}

ParseError read_ipv6(const std::uint8_t* frame, std::size_t limit, std::size_t offset,
                     Parsed& out) {
  if (limit - offset < sizeof(Ipv6Header)) return ParseError::kTruncated;
  const auto& ip = header_at<Ipv6Header>(frame + offset);
  if (ip.version() != 6) return ParseError::kBadIpHeader;
  out.l3 = L3::kIpv6;
  out.l3_offset = u16(offset);
  out.tos = ip.traffic_class();
  out.ttl = ip.hop_limit;
  return ParseError::kNone;
}

}  // namespace

ParseError parse_ip(const std::uint8_t* frame, std::size_t size, std::size_t offset, Parsed& out) {
  if (offset >= size) return ParseError::kTruncated;
  ParseError error = ParseError::kNone;
  if (frame[offset] >> 4 == 4) {
    error = read_ipv4(frame, size, offset, out);
    if (error != ParseError::kNone) return error;
    const std::size_t end = offset + header_at<Ipv4Header>(frame + offset).total_length.host();
    if (end > size) return ParseError::kBadIpLength;
    out.end_offset = u16(end);
  } else {
    error = read_ipv6(frame, size, offset, out);
    if (error != ParseError::kNone) return error;
    const auto& ip = header_at<Ipv6Header>(frame + offset);
    const std::size_t end = offset + sizeof(Ipv6Header) + ip.payload_length.host();
    if (end > size) return ParseError::kBadIpLength;
    out.end_offset = u16(end);
    error = walk_extensions(frame, end, offset + sizeof(Ipv6Header), ip.next_header, out);
    if (error != ParseError::kNone) return error;
  }
  if (out.is_fragment) {
    error = check_fragment(out);
    if (error != ParseError::kNone) return error;
  }
  return parse_l4(frame, out);
}

ParseError parse(const std::uint8_t* frame, std::size_t size, Parsed& out) {
  out = Parsed{};
  if (size < sizeof(EthernetHeader) || size > 65'535) return ParseError::kRunt;
  std::size_t offset = sizeof(EthernetHeader);
  std::uint16_t type = header_at<EthernetHeader>(frame).ether_type.host();
  while ((type == kEtherTypeVlan || type == kEtherTypeQinq) && out.vlan_tag_count < 2) {
    if (size - offset < sizeof(VlanTag)) return ParseError::kRunt;
    type = header_at<VlanTag>(frame + offset).ether_type.host();
    offset += sizeof(VlanTag);
    ++out.vlan_tag_count;
  }
  out.ether_type = type;
  out.l3_offset = out.l4_offset = out.payload_offset = u16(offset);
  out.end_offset = u16(size);
  if (type < kMinEtherType) return ParseError::kNotEthernet2;
  switch (type) {
    case kEtherTypeArp:
      if (size - offset < sizeof(ArpHeader)) return ParseError::kTruncated;
      out.l3 = L3::kArp;
      return ParseError::kNone;
    case kEtherTypeIpv4:
    case kEtherTypeIpv6: {
      if (offset >= size) return ParseError::kTruncated;
      const unsigned version = type == kEtherTypeIpv4 ? 4 : 6;
      if (unsigned{frame[offset]} >> 4 != version) return ParseError::kBadIpHeader;
      return parse_ip(frame, size, offset, out);
    }
    default: return ParseError::kNone;
  }
}

ParseError parse_quoted(const std::uint8_t* frame, std::size_t size, std::size_t offset,
                        Parsed& out) {
  out = Parsed{};
  if (offset >= size) return ParseError::kTruncated;
  ParseError error = ParseError::kNone;
  out.end_offset = u16(size);
  if (frame[offset] >> 4 == 4) {
    out.ether_type = kEtherTypeIpv4;
    error = read_ipv4(frame, size, offset, out);
    if (error == ParseError::kNone && !has_good_ipv4_checksum(frame, out)) {
      error = ParseError::kBadIpHeader;
    }
  } else {
    out.ether_type = kEtherTypeIpv6;
    error = read_ipv6(frame, size, offset, out);
    if (error == ParseError::kNone) {
      error = walk_extensions(frame, size, offset + sizeof(Ipv6Header),
                              header_at<Ipv6Header>(frame + offset).next_header, out);
    }
  }
  if (error != ParseError::kNone) return error;
  if (out.is_later_fragment()) return ParseError::kBadFragment;
  if (out.l4_bytes() < 8) return ParseError::kTruncated;
  out.has_l4 = true;
  out.payload_offset = out.l4_offset;
  read_ports(frame + out.l4_offset, out);
  return ParseError::kNone;
}

bool has_good_ipv4_checksum(const std::uint8_t* frame, const Parsed& parsed) {
  const auto& ip = header_at<Ipv4Header>(frame + parsed.l3_offset);
  return fold(sum_bytes(frame + parsed.l3_offset, ip.header_bytes())) == 0xffff;
}

bool has_good_l4_checksum(const std::uint8_t* frame, const Parsed& parsed) {
  if (!parsed.has_l4 || parsed.is_fragment) return true;
  const std::uint8_t* const l4 = frame + parsed.l4_offset;
  std::size_t covered = parsed.l4_bytes();
  const bool is_v4 = parsed.l3 == L3::kIpv4;
  switch (parsed.protocol) {
    case kProtoUdp: {
      const auto& udp = header_at<UdpHeader>(l4);
      // Without a checksum: fine over IPv4, not over IPv6 (RFC 8200, 8.1).
      if (udp.checksum.raw() == 0) return is_v4;
      covered = udp.length.host();
      break;
    }
    case kProtoTcp: break;
    case kProtoIcmp: return fold(sum_bytes(l4, covered)) == 0xffff;
    case kProtoIcmp6: break;
    default: return true;
  }
  const auto bytes = static_cast<std::uint32_t>(covered);
  std::uint64_t sum = sum_bytes(l4, covered);
  if (is_v4) {
    const auto& ip = header_at<Ipv4Header>(frame + parsed.l3_offset);
    sum += pseudo_header_sum(ip.source, ip.destination, parsed.protocol, bytes);
  } else {
    const auto& ip = header_at<Ipv6Header>(frame + parsed.l3_offset);
    sum += pseudo_header_sum(ip.source, ip.destination, parsed.protocol, bytes);
  }
  return fold(sum) == 0xffff;
}

}  // namespace gannet::packet
