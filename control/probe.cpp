// SPDX-License-Identifier: BSD-3-Clause
#include "control/probe.hpp"

#include "flows/packet/checksum.hpp"
#include "flows/packet/headers.hpp"

namespace gannet::control {
namespace {

using packet::header_at;

constexpr std::uint8_t kTtl = 64;
// No data is asked for. Not zero: some stacks take a closed window for a reason to wait.
constexpr std::uint16_t kWindow = 8'192;
constexpr std::uint32_t kTcpBytes = sizeof(packet::TcpHeader);

void write_ip(std::uint8_t* bytes, Ip4 source, Ip4 destination) {
  auto& ip = header_at<packet::Ipv4Header>(bytes);
  ip = {};
  ip.version_ihl = packet::kIpv4PlainVersionIhl;
  ip.total_length = Be16(sizeof ip + kTcpBytes);
  ip.flags_offset = Be16(packet::kIpv4DontFragment);  // So that the identification may be 0.
  ip.ttl = kTtl;
  ip.protocol = packet::kProtoTcp;
  ip.source = source;
  ip.destination = destination;
  ip.checksum = packet::finish(packet::sum_bytes(bytes, sizeof ip));
}

void write_ip(std::uint8_t* bytes, const Ip6& source, const Ip6& destination) {
  auto& ip = header_at<packet::Ipv6Header>(bytes);
  ip.version_class_label = Be32(0x6000'0000);
  ip.payload_length = Be16(kTcpBytes);
  ip.next_header = packet::kProtoTcp;
  ip.hop_limit = kTtl;
  ip.source = source;
  ip.destination = destination;
}

void write_tcp(std::uint8_t* bytes, const ProbeSegment& segment, std::uint64_t pseudo_sum) {
  auto& tcp = header_at<packet::TcpHeader>(bytes);
  tcp = {};
  tcp.source_port = Be16(segment.tuple.source_port);
  tcp.destination_port = Be16(segment.tuple.destination_port);
  tcp.sequence = Be32(segment.sequence);
  tcp.acknowledgment = Be32(segment.acknowledgment);
  tcp.data_offset = (kTcpBytes / 4) << 4;
  tcp.flags = segment.flags;
  tcp.window = Be16(kWindow);
  tcp.checksum = packet::finish(packet::sum_bytes(bytes, kTcpBytes) + pseudo_sum);
}

template <typename Ip>
void write(std::vector<std::uint8_t>& frame, std::size_t ip_bytes, const ProbeSegment& segment) {
  const Ip source = dataplane::address_as<Ip>(segment.tuple.source);
  const Ip destination = dataplane::address_as<Ip>(segment.tuple.destination);
  frame.resize(sizeof(packet::EthernetHeader) + ip_bytes + kTcpBytes);
  std::uint8_t* const ip = frame.data() + sizeof(packet::EthernetHeader);
  write_ip(ip, source, destination);
  write_tcp(ip + ip_bytes, segment,
            packet::pseudo_header_sum(source, destination, packet::kProtoTcp, kTcpBytes));
}

}  // namespace

std::vector<std::uint8_t> probe_frame(const ProbeSegment& segment) {
  std::vector<std::uint8_t> frame;
  const bool is_v4 = segment.tuple.family() == Family::kIpv4;
  if (is_v4) {
    write<Ip4>(frame, sizeof(packet::Ipv4Header), segment);
  } else {
    write<Ip6>(frame, sizeof(packet::Ipv6Header), segment);
  }
  header_at<packet::EthernetHeader>(frame.data()).ether_type =
      Be16(is_v4 ? packet::kEtherTypeIpv4 : packet::kEtherTypeIpv6);
  return frame;
}

}  // namespace gannet::control
