// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/packet_parser.hpp"

#include <algorithm>
#include <cstring>

namespace gannet::emudpu {
namespace {

using packet::header_at;

constexpr std::uint8_t kProtoEsp = 50;     // RFC 4303.
constexpr std::uint8_t kProtoHip = 139;    // RFC 7401.
constexpr std::uint8_t kProtoShim6 = 140;  // RFC 5533.
// More extension headers than any sane packet has; the rest is not looked at.
constexpr int kMaxExtensions = 8;

struct Cursor {
  const std::uint8_t* bytes;
  std::uint32_t available;
  std::uint32_t at;
  std::uint32_t end;  // Of the enclosing packet, which may lie beyond `available`.

  [[nodiscard]] bool has(std::uint32_t count) const {
    return at + count <= available && at + count <= end;
  }
  [[nodiscard]] const std::uint8_t* here() const { return bytes + at; }
};

template <typename T>
void copy_image(void* to, const std::uint8_t* from) {
  std::memcpy(to, from, sizeof(T));
}

// Fills in the transport header; the cursor stays at its beginning, `end` is set behind UDP.
std::uint32_t parse_l4(const Cursor& cursor, std::uint8_t protocol, LayerKey& key, Layout& layout) {
  layout.l4 = static_cast<std::uint16_t>(cursor.at);
  switch (protocol) {
    case packet::kProtoTcp: {
      if (!cursor.has(sizeof(packet::TcpHeader))) return 0;
      const unsigned bytes = header_at<packet::TcpHeader>(cursor.here()).header_bytes();
      if (bytes < sizeof(packet::TcpHeader) || cursor.at + bytes > cursor.end) return 0;
      copy_image<packet::TcpHeader>(key.l4, cursor.here());
      return kHasTcp | kIsL4Ok;
    }
    case packet::kProtoUdp: {
      if (!cursor.has(sizeof(packet::UdpHeader))) return 0;
      copy_image<packet::UdpHeader>(key.l4, cursor.here());
      const bool fits =
          header_at<packet::UdpHeader>(cursor.here()).length.host() == cursor.end - cursor.at;
      return fits ? std::uint32_t{kHasUdp | kIsL4Ok} : std::uint32_t{kHasUdp};
    }
    case packet::kProtoIcmp:
    case packet::kProtoIcmp6:
      if (!cursor.has(sizeof(packet::IcmpHeader))) return 0;
      copy_image<packet::IcmpHeader>(key.l4, cursor.here());
      return protocol == packet::kProtoIcmp ? kHasIcmp : kHasIcmp6;
    default: return 0;
  }
}

std::uint32_t parse_ipv4(Cursor& cursor, LayerKey& key, Layout& layout) {
  if (!cursor.has(sizeof(packet::Ipv4Header))) return 0;
  const auto& ip = header_at<packet::Ipv4Header>(cursor.here());
  const std::uint32_t header = ip.header_bytes();
  const std::uint32_t total = ip.total_length.host();
  if (ip.version() != 4 || header < sizeof(packet::Ipv4Header) || total < header) return 0;
  if (cursor.at + total > cursor.end || !cursor.has(header)) return 0;
  copy_image<packet::Ipv4Header>(key.l3, cursor.here());
  layout.l3 = static_cast<std::uint16_t>(cursor.at);
  cursor.end = cursor.at + total;
  cursor.at += header;
  constexpr std::uint32_t kFound = kHasIpv4 | kIsL3Ok;
  if ((ip.flags_offset.host() & packet::kIpv4OffsetMask) != 0) return kFound;
  // An ICMPv6 number over IPv4 (and the reverse) is no ICMP.
  if (ip.protocol == packet::kProtoIcmp6) return kFound;
  return kFound | parse_l4(cursor, ip.protocol, key, layout);
}

std::uint32_t extension_bit(std::uint8_t kind) {
  switch (kind) {
    case packet::kProtoHopByHop: return kHasHopByHop;
    case packet::kProtoRouting: return kHasRouting;
    case packet::kProtoFragment: return kHasFragment;
    case packet::kProtoAh: return kHasAuthentication;
    case kProtoEsp: return kHasEsp;
    case packet::kProtoDestOptions: return kHasDestination;
    case packet::kProtoMobility: return kHasMobility;
    case kProtoHip: return kHasHip;
    case kProtoShim6: return kHasShim6;
    default: return 0;
  }
}

// Walks extension headers; returns their bits and leaves the upper protocol in `next`. `is_blind`
// is set where no transport header can follow.
std::uint32_t parse_extensions(Cursor& cursor, LayerKey& key, std::uint8_t& next, bool& is_blind) {
  std::uint32_t presence = 0;
  for (int count = 0; count < kMaxExtensions; ++count) {
    const std::uint32_t bit = extension_bit(next);
    if (bit == 0) return presence;
    if (!cursor.has(8)) break;
    presence |= bit;
    if (bit == kHasEsp) break;
    std::uint32_t bytes = (cursor.here()[1] + 1u) * 8;
    if (bit == kHasAuthentication) bytes = (cursor.here()[1] + 2u) * 4;  // RFC 4302, 2.2.
    if (bit == kHasFragment) {
      bytes = sizeof(packet::Ipv6FragmentHeader);
      copy_image<packet::Ipv6FragmentHeader>(&key.fragment, cursor.here());
      is_blind |= (key.fragment.offset_flags.host() & packet::kIpv6OffsetMask) != 0;
    }
    next = cursor.here()[0];
    if (!cursor.has(bytes)) break;
    cursor.at += bytes;
    if (is_blind) return presence;
  }
  is_blind = true;
  return presence;
}

std::uint32_t parse_ipv6(Cursor& cursor, LayerKey& key, Layout& layout) {
  if (!cursor.has(sizeof(packet::Ipv6Header))) return 0;
  const auto& ip = header_at<packet::Ipv6Header>(cursor.here());
  const std::uint32_t total = sizeof(packet::Ipv6Header) + ip.payload_length.host();
  if (ip.version() != 6 || cursor.at + total > cursor.end) return 0;
  copy_image<packet::Ipv6Header>(key.l3, cursor.here());
  layout.l3 = static_cast<std::uint16_t>(cursor.at);
  cursor.end = cursor.at + total;
  cursor.at += sizeof(packet::Ipv6Header);
  std::uint8_t next = ip.next_header;
  bool is_blind = false;
  std::uint32_t presence = kHasIpv6 | kIsL3Ok | parse_extensions(cursor, key, next, is_blind);
  if (is_blind || next == packet::kProtoIcmp) return presence;
  presence |= parse_l4(cursor, next, key, layout);
  // Over IPv6 UDP has to have a checksum (RFC 8200, 8.1).
  const bool has_none =
      (presence & kHasUdp) != 0 && header_at<packet::UdpHeader>(key.l4).checksum.raw() == 0;
  return has_none ? presence & ~std::uint32_t{kIsL4Ok} : presence;
}

std::uint32_t parse_layer(Cursor& cursor, LayerKey& key, Layout& layout) {
  layout.eth = static_cast<std::uint16_t>(cursor.at);
  if (!cursor.has(sizeof(packet::EthernetHeader))) return 0;
  copy_image<packet::EthernetHeader>(&key.eth, cursor.here());
  cursor.at += sizeof(packet::EthernetHeader);
  std::uint32_t presence = kHasEth;
  std::uint16_t type = key.eth.ether_type.host();
  for (unsigned i = 0; type == packet::kEtherTypeVlan || type == packet::kEtherTypeQinq; ++i) {
    if (i == kTagCount || !cursor.has(sizeof(packet::VlanTag))) return presence;
    copy_image<packet::VlanTag>(&key.tags[i], cursor.here());
    cursor.at += sizeof(packet::VlanTag);
    presence |= i == 0 ? kHasVlan : kHasMoreVlan;
    type = key.tags[i].ether_type.host();
  }
  if (type == packet::kEtherTypeIpv4) return presence | parse_ipv4(cursor, key, layout);
  if (type == packet::kEtherTypeIpv6) return presence | parse_ipv6(cursor, key, layout);
  return presence;
}

}  // namespace

void parse_packet(const std::uint8_t* bytes, std::uint32_t available, std::uint32_t size,
                  const VxlanPorts& vxlan_ports, ParsedPacket& out) {
  // Offsets are 16 bits wide; nothing of interest lies further in.
  constexpr std::uint32_t kMaxLook = 4096;
  Cursor cursor{bytes, std::min(available, kMaxLook), 0, size};
  out.key.presence[1] = 0;
  LayerKey& outer = out.key.layers[0];
  std::uint32_t presence = parse_layer(cursor, outer, out.layouts[0]);
  if ((presence & kHasUdp) != 0) {
    const std::uint16_t port = header_at<packet::UdpHeader>(outer.l4).destination_port.host();
    cursor.at += sizeof(packet::UdpHeader);
    const bool is_vxlan_port =
        std::ranges::find(vxlan_ports, port) != vxlan_ports.end() && port != 0;
    // A header without the I flag is not VXLAN (RFC 7348, 5).
    if (is_vxlan_port && cursor.has(sizeof(packet::VxlanHeader)) &&
        (cursor.here()[0] & packet::kVxlanFlagVni) != 0) {
      copy_image<packet::VxlanHeader>(&outer.vxlan, cursor.here());
      cursor.at += sizeof(packet::VxlanHeader);
      presence |= kHasVxlan;
      out.layouts[0].end = static_cast<std::uint16_t>(cursor.at);
      out.key.presence[1] = parse_layer(cursor, out.key.layers[1], out.layouts[1]);
    }
  }
  out.key.presence[0] = presence;
}

std::uint32_t hash_flow(const ParsedPacket& packet) {
  const std::uint32_t presence = packet.key.presence[0];
  const LayerKey& layer = packet.key.layers[0];
  const bool is_v4 = (presence & kHasIpv4) != 0;
  const std::uint8_t* const addresses = layer.l3 + (is_v4 ? 12 : 8);
  const unsigned words = is_v4 ? 2 : (presence & kHasIpv6) != 0 ? 8 : 0;
  std::uint64_t hash = is_v4 ? layer.l3[9] : layer.l3[6];
  if (words == 0) return 0;
  for (unsigned i = 0; i < words; ++i) {
    hash = (hash ^ load<std::uint32_t>(addresses + 4 * i)) * 0x9e37'79b9'7f4a'7c15;
    hash ^= hash >> 32;
  }
  if ((presence & (kHasTcp | kHasUdp)) != 0) {
    hash = (hash ^ load<std::uint32_t>(layer.l4)) * 0x9e37'79b9'7f4a'7c15;
  }
  return static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace gannet::emudpu
