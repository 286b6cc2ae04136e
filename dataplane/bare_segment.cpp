// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/bare_segment.hpp"

#include "flows/packet/checksum.hpp"

namespace gannet::dataplane {
namespace {

using packet::header_at;

constexpr std::uint8_t kSegmentTtl = 64;
constexpr std::uint32_t kSegmentTcpBytes = sizeof(packet::TcpHeader);

std::uint64_t write_ip(std::uint8_t* bytes, Ip4 source, Ip4 destination) {
  auto& ip = header_at<packet::Ipv4Header>(bytes);
  ip = {};
  ip.version_ihl = packet::kIpv4PlainVersionIhl;
  ip.total_length = Be16(sizeof ip + kSegmentTcpBytes);
  ip.flags_offset = Be16(packet::kIpv4DontFragment);  // So that the identification may be 0.
  ip.ttl = kSegmentTtl;
  ip.protocol = packet::kProtoTcp;
  ip.source = source;
  ip.destination = destination;
  ip.checksum = packet::finish(packet::sum_bytes(bytes, sizeof ip));
  return packet::pseudo_header_sum(source, destination, packet::kProtoTcp, kSegmentTcpBytes);
}

std::uint64_t write_ip(std::uint8_t* bytes, const Ip6& source, const Ip6& destination) {
  auto& ip = header_at<packet::Ipv6Header>(bytes);
  ip.version_class_label = Be32(0x6000'0000);
  ip.payload_length = Be16(kSegmentTcpBytes);
  ip.next_header = packet::kProtoTcp;
  ip.hop_limit = kSegmentTtl;
  ip.source = source;
  ip.destination = destination;
  return packet::pseudo_header_sum(source, destination, packet::kProtoTcp, kSegmentTcpBytes);
}

}  // namespace

std::size_t segment_bytes(Family family) {
  const bool is_v4 = family == Family::kIpv4;
  return (is_v4 ? sizeof(packet::Ipv4Header) : sizeof(packet::Ipv6Header)) + kSegmentTcpBytes;
}

void write_segment(std::uint8_t* ip, const BareSegment& segment) {
  const IpTuple& t = segment.tuple;
  const std::uint64_t pseudo = t.family() == Family::kIpv4
                                   ? write_ip(ip, t.source.v4(), t.destination.v4())
                                   : write_ip(ip, t.source.v6(), t.destination.v6());
  std::uint8_t* const bytes = ip + segment_bytes(t.family()) - kSegmentTcpBytes;
  auto& tcp = header_at<packet::TcpHeader>(bytes);
  tcp = {};
  tcp.source_port = Be16(t.source_port);
  tcp.destination_port = Be16(t.destination_port);
  tcp.sequence = Be32(segment.sequence);
  tcp.acknowledgment = Be32(segment.acknowledgment);
  tcp.data_offset = (kSegmentTcpBytes / 4) << 4;
  tcp.flags = segment.flags;
  tcp.window = Be16(segment.window);
  tcp.checksum = packet::finish(packet::sum_bytes(bytes, kSegmentTcpBytes) + pseudo);
}

bool make_reset(Frame& frame, const packet::Parsed& parsed, const IpTuple& tuple,
                const flows::TcpSegment& segment) {
  BareSegment reset;
  reset.tuple = reply_tuple(tuple);
  if ((segment.flags & packet::kTcpAck) != 0) {
    reset.sequence = segment.acknowledgment;
    reset.flags = packet::kTcpRst;
  } else {
    const std::uint32_t controls = ((segment.flags & packet::kTcpSyn) != 0 ? 1 : 0) +
                                   ((segment.flags & packet::kTcpFin) != 0 ? 1 : 0);
    reset.acknowledgment = segment.sequence + segment.payload_bytes + controls;
    reset.flags = packet::kTcpRst | packet::kTcpAck;
  }
  const std::uint32_t bytes =
      parsed.l3_offset + static_cast<std::uint32_t>(segment_bytes(tuple.family()));
  if (!frame.resize(bytes)) return false;
  std::swap(frame.ethernet().source, frame.ethernet().destination);
  write_segment(frame.data + parsed.l3_offset, reset);
  return true;
}

}  // namespace gannet::dataplane
