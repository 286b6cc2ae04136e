// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/packet_builder.hpp"

#include "flows/base/check.hpp"
#include "tests/support/checksum_model.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

namespace gannet::test {
namespace {

using packet::header_at;

constexpr std::size_t kEthernetBytes = sizeof(packet::EthernetHeader);

template <typename Header>
Bytes bytes_of(const Header& header) {
  Bytes bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Be16 complement(std::uint16_t sum) { return Be16(static_cast<std::uint16_t>(~sum)); }

std::uint8_t u8(std::size_t value) { return static_cast<std::uint8_t>(value); }
std::uint16_t u16(std::size_t value) { return static_cast<std::uint16_t>(value); }

std::uint32_t pseudo_sum(const IpAddress& source, const IpAddress& destination,
                         std::uint8_t protocol, std::size_t l4_bytes) {
  const std::size_t size = source.is_v4() ? 4 : 16;
  return std::uint32_t{model_sum({source.data(), size})} +
         std::uint32_t{model_sum({destination.data(), size})} + protocol +
         static_cast<std::uint32_t>(l4_bytes);
}

// Where the L4 checksum field lies in the header.
std::size_t checksum_offset(std::uint8_t protocol) {
  switch (protocol) {
    case packet::kProtoTcp: return 16;
    case packet::kProtoUdp: return 6;
    default: return 2;
  }
}

}  // namespace

Packet& Packet::eth(const Mac& source, const Mac& destination) {
  layers_.push_back(Ethernet{{destination, source, Be16(0)}, false});
  return *this;
}

Packet& Packet::eth(const Mac& source, const Mac& destination, std::uint16_t ether_type) {
  layers_.push_back(Ethernet{{destination, source, Be16(ether_type)}, true});
  return *this;
}

Packet& Packet::vlan(std::uint16_t id, std::uint16_t ether_type) {
  layers_.push_back(Vlan{id, ether_type});
  return *this;
}

Packet& Packet::arp(std::uint16_t operation, const Mac& sender_mac, Ip4 sender_ip,
                    const Mac& target_mac, Ip4 target_ip) {
  layers_.push_back(Arp{{Be16(packet::kArpEthernet), Be16(packet::kEtherTypeIpv4), 6, 4,
                         Be16(operation), sender_mac, sender_ip, target_mac, target_ip}});
  return *this;
}

Packet& Packet::ip(const IpAddress& source, const IpAddress& destination, IpFields fields) {
  GANNET_CHECK(source.family() == destination.family() && fields.options.size() % 4 == 0);
  layers_.push_back(Ip{source, destination, std::move(fields)});
  return *this;
}

Packet& Packet::extension(std::uint8_t kind, Bytes body) {
  while (body.size() % 8 != 6) body.push_back(0);  // Pad1 (RFC 8200, 4.2).
  layers_.push_back(Extension{kind, std::move(body)});
  return *this;
}

Packet& Packet::fragment_header(std::uint16_t offset_bytes, bool more_fragments, std::uint32_t id) {
  layers_.push_back(Fragment{u16(offset_bytes | (more_fragments ? 1u : 0u)), id});
  return *this;
}

Packet& Packet::tcp(TcpFields fields) {
  GANNET_CHECK(fields.options.size() % 4 == 0);
  layers_.push_back(std::move(fields));
  return *this;
}

Packet& Packet::udp(std::uint16_t source_port, std::uint16_t destination_port) {
  layers_.push_back(Udp{source_port, destination_port, true});
  return *this;
}

Packet& Packet::udp_without_checksum(std::uint16_t source_port, std::uint16_t destination_port) {
  layers_.push_back(Udp{source_port, destination_port, false});
  return *this;
}

Packet& Packet::icmp(std::uint8_t type, std::uint8_t code, std::uint16_t identifier,
                     std::uint16_t sequence) {
  layers_.push_back(Icmp{{type, code, Be16(0), Be16(identifier), Be16(sequence)}});
  return *this;
}

Packet& Packet::echo(std::uint8_t v4_type, std::uint8_t v6_type, std::uint16_t identifier,
                     std::uint16_t sequence) {
  return icmp(ip_around(layers_.size()).source.is_v4() ? v4_type : v6_type, 0, identifier,
              sequence);
}

Packet& Packet::echo_request(std::uint16_t identifier, std::uint16_t sequence) {
  return echo(packet::kIcmpEchoRequest, packet::kIcmp6EchoRequest, identifier, sequence);
}

Packet& Packet::echo_reply(std::uint16_t identifier, std::uint16_t sequence) {
  return echo(packet::kIcmpEchoReply, packet::kIcmp6EchoReply, identifier, sequence);
}

Packet& Packet::vxlan(std::uint32_t vni, std::uint8_t flags) {
  return data(bytes_of(packet::VxlanHeader{flags, {}, Be32(vni << 8)}));
}

Packet& Packet::data(Bytes bytes) {
  layers_.push_back(Raw{std::move(bytes)});
  return *this;
}

Packet& Packet::data(std::size_t byte_count) {
  Bytes bytes(byte_count);
  for (std::size_t i = 0; i < byte_count; ++i) bytes[i] = u8(i * 7 + 1);
  return data(std::move(bytes));
}

Packet& Packet::trailer(std::size_t byte_count) {
  trailer_bytes_ = byte_count;
  return *this;
}

Bytes Packet::bytes() const {
  Bytes body;
  for (std::size_t i = layers_.size(); i-- > 0;) body = wrap(i, std::move(body));
  body.insert(body.end(), trailer_bytes_, 0xee);
  return body;
}

const Packet::Ip& Packet::ip_around(std::size_t index) const {
  while (index-- > 0) {
    if (const auto* const ip = std::get_if<Ip>(&layers_[index])) return *ip;
  }
  check_failed("an IP layer around this one", __FILE__, __LINE__);
}

std::uint16_t Packet::ether_type_behind(std::size_t index) const {
  if (index + 1 >= layers_.size()) return 0x9000;
  const Layer& next = layers_[index + 1];
  if (const auto* const vlan = std::get_if<Vlan>(&next)) return vlan->ether_type;
  if (const auto* const ip = std::get_if<Ip>(&next)) {
    return ip->source.is_v4() ? packet::kEtherTypeIpv4 : packet::kEtherTypeIpv6;
  }
  return std::holds_alternative<Arp>(next) ? packet::kEtherTypeArp : std::uint16_t{0x9000};
}

std::uint8_t Packet::protocol_behind(std::size_t index) const {
  const std::uint8_t other = index < layers_.size() && std::holds_alternative<Ip>(layers_[index])
                                 ? std::get<Ip>(layers_[index]).fields.protocol
                                 : ip_around(index).fields.protocol;
  if (index + 1 >= layers_.size()) return other;
  const Layer& next = layers_[index + 1];
  if (const auto* const extension = std::get_if<Extension>(&next)) return extension->kind;
  if (std::holds_alternative<Fragment>(next)) return packet::kProtoFragment;
  if (std::holds_alternative<TcpFields>(next)) return packet::kProtoTcp;
  if (std::holds_alternative<Udp>(next)) return packet::kProtoUdp;
  if (std::holds_alternative<Icmp>(next)) {
    return ip_around(index + 1).source.is_v4() ? packet::kProtoIcmp : packet::kProtoIcmp6;
  }
  return other;
}

// Of the L4 layer at `index`, whose bytes (checksum zero) are `l4`.
std::uint16_t Packet::l4_checksum(std::size_t index, const Bytes& l4) const {
  const Ip& ip = ip_around(index);
  const std::uint8_t protocol = protocol_behind(index - 1);
  const std::uint32_t start = protocol == packet::kProtoIcmp
                                  ? 0
                                  : pseudo_sum(ip.source, ip.destination, protocol, l4.size());
  return u16(~model_sum(l4, start) & 0xffff);
}

Bytes Packet::wrap_ip(std::size_t index, const Ip& ip, const Bytes& body) const {
  const IpFields& f = ip.fields;
  if (ip.source.is_v6()) {
    packet::Ipv6Header header{};
    header.version_class_label = Be32(0x6000'0000 | std::uint32_t{f.tos} << 20);
    header.payload_length = Be16(u16(body.size()));
    header.next_header = protocol_behind(index);
    header.hop_limit = f.ttl;
    header.source = ip.source.v6();
    header.destination = ip.destination.v6();
    return bytes_of(header) + body;
  }
  packet::Ipv4Header header{};
  const std::size_t header_bytes = sizeof header + f.options.size();
  header.version_ihl = u8(0x40 | header_bytes / 4);
  header.tos = f.tos;
  header.total_length = Be16(u16(header_bytes + body.size()));
  header.identification = Be16(f.id);
  header.flags_offset =
      Be16(u16((f.dont_fragment ? packet::kIpv4DontFragment : 0u) |
               (f.more_fragments ? packet::kIpv4MoreFragments : 0u) | f.fragment_offset / 8u));
  header.ttl = f.ttl;
  header.protocol = protocol_behind(index);
  header.source = ip.source.v4();
  header.destination = ip.destination.v4();
  Bytes bytes = bytes_of(header) + f.options;
  header_at<packet::Ipv4Header>(bytes.data()).checksum = complement(model_sum(bytes));
  return bytes + body;
}

Bytes Packet::wrap(std::size_t index, Bytes body) const {
  return std::visit(
      [&](const auto& layer) -> Bytes {
        using T = std::decay_t<decltype(layer)>;
        if constexpr (std::is_same_v<T, Ethernet>) {
          packet::EthernetHeader header = layer.header;
          if (!layer.has_type) header.ether_type = Be16(ether_type_behind(index));
          return bytes_of(header) + body;
        } else if constexpr (std::is_same_v<T, Vlan>) {
          return bytes_of(packet::VlanTag{Be16(layer.id), Be16(ether_type_behind(index))}) + body;
        } else if constexpr (std::is_same_v<T, Arp>) {
          return bytes_of(layer.header) + body;
        } else if constexpr (std::is_same_v<T, Ip>) {
          return wrap_ip(index, layer, body);
        } else if constexpr (std::is_same_v<T, Extension>) {
          return Bytes{protocol_behind(index), u8((layer.body.size() + 2) / 8 - 1)} + layer.body +
                 body;
        } else if constexpr (std::is_same_v<T, Fragment>) {
          return bytes_of(packet::Ipv6FragmentHeader{protocol_behind(index), 0,
                                                     Be16(layer.offset_flags), Be32(layer.id)}) +
                 body;
        } else if constexpr (std::is_same_v<T, TcpFields>) {
          const packet::TcpHeader header{Be16(layer.source_port),
                                         Be16(layer.destination_port),
                                         Be32(layer.sequence),
                                         Be32(layer.acknowledgment),
                                         u8((5 + layer.options.size() / 4) << 4),
                                         layer.flags,
                                         Be16(layer.window),
                                         Be16(0),
                                         Be16(0)};
          Bytes bytes = bytes_of(header) + layer.options + body;
          header_at<packet::TcpHeader>(bytes.data()).checksum = Be16(l4_checksum(index, bytes));
          return bytes;
        } else if constexpr (std::is_same_v<T, Udp>) {
          const packet::UdpHeader header{Be16(layer.source_port), Be16(layer.destination_port),
                                         Be16(u16(sizeof header + body.size())), Be16(0)};
          Bytes bytes = bytes_of(header) + body;
          if (layer.has_checksum) {
            const std::uint16_t sum = l4_checksum(index, bytes);
            header_at<packet::UdpHeader>(bytes.data()).checksum = Be16(sum == 0 ? 0xffff : sum);
          }
          return bytes;
        } else if constexpr (std::is_same_v<T, Icmp>) {
          Bytes bytes = bytes_of(layer.header) + body;
          header_at<packet::IcmpHeader>(bytes.data()).checksum = Be16(l4_checksum(index, bytes));
          return bytes;
        } else {
          return layer.bytes + body;
        }
      },
      layers_[index]);
}

Bytes ip_packet_of(const Bytes& frame) { return {frame.begin() + kEthernetBytes, frame.end()}; }

Bytes first_bytes(const Bytes& bytes, std::size_t count) {
  return {bytes.begin(),
          bytes.begin() + static_cast<std::ptrdiff_t>(std::min(count, bytes.size()))};
}

Bytes fragment_of(const Bytes& frame, const FragmentFields& fields) {
  if (frame.size() < kEthernetBytes + sizeof(packet::Ipv4Header)) return {};
  const bool is_v4 = frame[kEthernetBytes] >> 4 == 4;
  const std::size_t header_bytes =
      is_v4
          ? std::size_t{header_at<packet::Ipv4Header>(frame.data() + kEthernetBytes).header_bytes()}
          : sizeof(packet::Ipv6Header);
  const std::size_t start = kEthernetBytes + header_bytes;
  const std::size_t from = start + fields.from;
  const std::size_t to = start + fields.to;
  if (from > to || to > frame.size()) return {};
  const bool has_more = !fields.says_last && (fields.says_more || to != frame.size());
  Bytes bytes = first_bytes(frame, start);
  std::uint8_t* const ip = bytes.data() + kEthernetBytes;
  if (is_v4) {
    auto& header = header_at<packet::Ipv4Header>(ip);
    header.identification = Be16(u16(fields.id));
    header.total_length = Be16(u16(header_bytes + to - from));
    header.flags_offset = Be16(u16(fields.from / 8 | (has_more ? packet::kIpv4MoreFragments : 0u)));
    header.checksum = Be16(0);
    header.checksum = complement(model_sum({ip, header_bytes}));
  } else {
    auto& header = header_at<packet::Ipv6Header>(ip);
    const std::uint8_t next = std::exchange(header.next_header, packet::kProtoFragment);
    header.payload_length = Be16(u16(8 + to - from));
    bytes = bytes + bytes_of(packet::Ipv6FragmentHeader{
                        next, 0, Be16(u16(fields.from | (has_more ? 1u : 0u))), Be32(fields.id)});
  }
  bytes.insert(bytes.end(), frame.begin() + static_cast<std::ptrdiff_t>(from),
               frame.begin() + static_cast<std::ptrdiff_t>(to));
  return bytes;
}

std::vector<Bytes> cut_into_fragments(const Bytes& frame, std::size_t piece_bytes,
                                      std::uint32_t id) {
  GANNET_CHECK(piece_bytes % 8 == 0);
  const bool is_v4 = frame[kEthernetBytes] >> 4 == 4;
  const std::size_t header_end =
      kEthernetBytes + (is_v4 ? sizeof(packet::Ipv4Header) : sizeof(packet::Ipv6Header));
  const std::size_t payload_bytes = frame.size() - header_end;
  std::vector<Bytes> fragments;
  for (std::size_t at = 0; at < payload_bytes; at += piece_bytes) {
    fragments.push_back(fragment_of(frame, {at, std::min(at + piece_bytes, payload_bytes), id}));
  }
  return fragments;
}

void fix_checksums(Bytes& frame) {
  std::uint8_t* const ip = frame.data() + kEthernetBytes;
  const bool is_v4 = ip[0] >> 4 == 4;
  std::size_t header_bytes = sizeof(packet::Ipv6Header);
  std::size_t end = 0;
  std::uint8_t protocol = 0;
  IpAddress source;
  IpAddress destination;
  if (is_v4) {
    auto& header = header_at<packet::Ipv4Header>(ip);
    header_bytes = header.header_bytes();
    header.checksum = Be16(0);
    header.checksum = complement(model_sum({ip, header_bytes}));
    end = header.total_length.host();
    protocol = header.protocol;
    source = header.source;
    destination = header.destination;
  } else {
    const auto& header = header_at<packet::Ipv6Header>(ip);
    end = header_bytes + header.payload_length.host();
    protocol = header.next_header;
    source = header.source;
    destination = header.destination;
  }
  const std::size_t l4_bytes = end - header_bytes;
  const std::uint32_t start =
      protocol == packet::kProtoIcmp ? 0 : pseudo_sum(source, destination, protocol, l4_bytes);
  std::uint8_t* const field = ip + header_bytes + checksum_offset(protocol);
  store(field, Be16(0));
  store(field, complement(model_sum({ip + header_bytes, l4_bytes}, start)));
}

}  // namespace gannet::test
