// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/checksum_model.hpp"

#include "flows/packet/headers.hpp"

namespace gannet::test {
namespace {

using Span = std::span<const std::uint8_t>;

// Where an IP packet's parts lie. Filled in for the plain shapes that tests build.
struct Shape {
  bool is_v4 = false;
  bool is_fragment = false;
  std::uint8_t protocol = 0;
  Span source;
  Span destination;
  Span header;
  Span l4;
  bool is_complete = true;  // As many bytes are there as the length field says.
};

bool read_shape(Span ip, Shape& out) {
  if (ip.empty()) return false;
  out.is_v4 = ip[0] >> 4 == 4;
  std::size_t end = 0;
  std::size_t l4 = 0;
  if (out.is_v4) {
    const auto& header = packet::header_at<packet::Ipv4Header>(ip.data());
    l4 = header.header_bytes();
    end = header.total_length.host();
    out.protocol = header.protocol;
    out.is_fragment = (header.flags_offset.host() & 0x3fff) != 0;
    out.source = ip.subspan(12, 4);
    out.destination = ip.subspan(16, 4);
    out.header = ip.first(l4);
  } else {
    const auto& header = packet::header_at<packet::Ipv6Header>(ip.data());
    l4 = sizeof header;
    end = sizeof header + header.payload_length.host();
    out.protocol = header.next_header;
    out.source = ip.subspan(8, 16);
    out.destination = ip.subspan(24, 16);
    while (out.protocol == 0 || out.protocol == 43 || out.protocol == 60 || out.protocol == 44) {
      const bool is_fragment_header = out.protocol == 44;
      if (is_fragment_header && (load<Be16>(&ip[l4 + 2]).host() & 0xfff9) != 0) {
        out.is_fragment = true;
      }
      out.protocol = ip[l4];
      l4 += is_fragment_header ? 8 : (std::size_t{ip[l4 + 1]} + 1) * 8;
    }
  }
  if (end > ip.size()) {
    out.is_complete = false;
    end = ip.size();
  }
  if (l4 > end) return false;
  out.l4 = ip.subspan(l4, end - l4);
  return true;
}

std::uint32_t pseudo_sum(const Shape& shape, std::size_t bytes) {
  return std::uint32_t{model_sum(shape.source)} + model_sum(shape.destination) + shape.protocol +
         static_cast<std::uint32_t>(bytes >> 16) + static_cast<std::uint32_t>(bytes & 0xffff);
}

std::string check_ip(Span ip, const std::string& where);

std::string check_icmp(const Shape& shape, const std::string& where) {
  const bool has_pseudo = shape.protocol == packet::kProtoIcmp6;
  const std::uint32_t start = has_pseudo ? pseudo_sum(shape, shape.l4.size()) : 0;
  if (model_sum(shape.l4, start) != 0xffff) return where + " ICMP checksum";
  const std::uint8_t type = shape.l4[0];
  const bool is_error = has_pseudo ? type < 128 : type == 3 || type == 11 || type == 12;
  return is_error ? check_ip(shape.l4.subspan(8), where + " quoted") : "";
}

std::string check_udp(const Shape& shape, const std::string& where) {
  const auto& udp = packet::header_at<packet::UdpHeader>(shape.l4.data());
  const std::size_t length = udp.length.host();
  if (udp.checksum.raw() == 0) {
    if (!shape.is_v4) return where + " UDP checksum missing";
  } else if (model_sum(shape.l4.first(length), pseudo_sum(shape, length)) != 0xffff) {
    return where + " UDP checksum";
  }
  const bool is_tunnel = udp.destination_port.host() == packet::kVxlanPort && length > 30;
  if (!is_tunnel) return "";
  const std::string inner = find_wrong_checksum(shape.l4.subspan(16));
  return inner.empty() ? "" : "inner " + inner;
}

std::string check_ip(Span ip, const std::string& where) {
  Shape shape;
  if (!read_shape(ip, shape)) return "";
  if (shape.is_v4 && model_sum(shape.header) != 0xffff) return where + " IPv4 header checksum";
  if (shape.is_fragment || !shape.is_complete) return "";
  switch (shape.protocol) {
    case packet::kProtoTcp:
      return model_sum(shape.l4, pseudo_sum(shape, shape.l4.size())) == 0xffff
                 ? ""
                 : where + " TCP checksum";
    case packet::kProtoUdp: return check_udp(shape, where);
    case packet::kProtoIcmp:
    case packet::kProtoIcmp6: return check_icmp(shape, where);
    default: return "";
  }
}

}  // namespace

std::uint16_t model_sum(Span bytes, std::uint32_t start) {
  std::uint32_t sum = start;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8);
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::string find_wrong_checksum(Span frame) {
  if (frame.size() < sizeof(packet::EthernetHeader)) return "no Ethernet header";
  const std::uint16_t type = load<Be16>(frame.data() + 12).host();
  if (type != packet::kEtherTypeIpv4 && type != packet::kEtherTypeIpv6) return "";
  return check_ip(frame.subspan(sizeof(packet::EthernetHeader)), "the");
}

}  // namespace gannet::test
