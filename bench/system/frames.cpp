// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/frames.hpp"

#include "flows/packet/checksum.hpp"
#include "flows/packet/headers.hpp"

#include <cstdio>
#include <cstring>
#include <utility>

namespace gannet::bench {
namespace {

constexpr unsigned kEthernet = sizeof(packet::EthernetHeader);
constexpr unsigned kIp = sizeof(packet::Ipv4Header);
constexpr unsigned kUdp = sizeof(packet::UdpHeader);
constexpr unsigned kFcs = 4;
constexpr unsigned kSmallestFrame = 64;

// Swaps the ends of an Ethernet, IPv4 and UDP stack; sums do not change.
void turn_round(std::uint8_t* frame) {
  auto& ethernet = packet::header_at<packet::EthernetHeader>(frame);
  auto& ip = packet::header_at<packet::Ipv4Header>(frame + kEthernet);
  auto& udp = packet::header_at<packet::UdpHeader>(frame + kEthernet + kIp);
  std::swap(ethernet.source, ethernet.destination);
  std::swap(ip.source, ip.destination);
  std::swap(udp.source_port, udp.destination_port);
}

bool is_tunnel(const Frame& frame) {
  const auto& udp = packet::header_at<packet::UdpHeader>(frame.data() + kEthernet + kIp);
  const auto& ip = packet::header_at<packet::Ipv4Header>(frame.data() + kEthernet);
  return frame.size() > packet::kVxlanOverIpv4Bytes + kEthernet + kIp + kUdp &&
         ip.protocol == packet::kProtoUdp && udp.destination_port.host() == packet::kVxlanPort;
}

void write_headers(Frame& frame, const UdpFlow& flow, std::uint8_t protocol,
                   std::uint16_t ip_bytes) {
  auto& ethernet = packet::header_at<packet::EthernetHeader>(frame.data());
  auto& ip = packet::header_at<packet::Ipv4Header>(frame.data() + kEthernet);
  ethernet = {flow.destination_mac, flow.source_mac, Be16(packet::kEtherTypeIpv4)};
  ip.version_ihl = 0x45;
  ip.total_length = Be16(ip_bytes);
  ip.ttl = 64;
  ip.protocol = protocol;
  ip.source = flow.source;
  ip.destination = flow.destination;
  ip.checksum = packet::finish(packet::sum_bytes(frame.data() + kEthernet, kIp));
}

// Of UDP or TCP whose checksum field is zero.
Be16 l4_checksum(const std::uint8_t* frame) {
  const auto& ip = packet::header_at<packet::Ipv4Header>(frame + kEthernet);
  const auto l4_bytes = static_cast<std::uint16_t>(ip.total_length.host() - kIp);
  // Pseudo header: addresses, protocol, length.
  constexpr unsigned kAddresses = kEthernet + offsetof(packet::Ipv4Header, source);
  const std::uint64_t pseudo =
      packet::sum_bytes(frame + kAddresses, 8) + Be16(ip.protocol).raw() + Be16(l4_bytes).raw();
  return packet::finish(pseudo + packet::sum_bytes(frame + kEthernet + kIp, l4_bytes));
}

struct PcapFileHeader {
  std::uint32_t magic = 0xa1b2c3d4;
  std::uint16_t major = 2, minor = 4;
  std::uint32_t zone = 0, accuracy = 0, snapshot_bytes = 65'535, link_type = 1;
};

struct PcapPacketHeader {
  std::uint32_t seconds = 0, microseconds = 0, captured_bytes = 0, frame_bytes = 0;
};

}  // namespace

Frame make_udp(const UdpFlow& flow, unsigned frame_bytes) {
  Frame frame(frame_bytes - kFcs);
  const auto ip_bytes = static_cast<std::uint16_t>(frame.size() - kEthernet);
  write_headers(frame, flow, packet::kProtoUdp, ip_bytes);
  auto& udp = packet::header_at<packet::UdpHeader>(frame.data() + kEthernet + kIp);
  udp.source_port = Be16(flow.source_port);
  udp.destination_port = Be16(flow.destination_port);
  udp.length = Be16(static_cast<std::uint16_t>(ip_bytes - kIp));
  udp.checksum = l4_checksum(frame.data());
  return frame;
}

unsigned imix_bytes(std::uint32_t flow) {
  const std::uint32_t place = flow % 12;
  if (place < 7) return 64;
  return place < 11 ? 594 : 1'518;
}

Frame make_tcp(const UdpFlow& flow) {
  Frame frame(kSmallestFrame - kFcs);
  write_headers(frame, flow, packet::kProtoTcp, kIp + sizeof(packet::TcpHeader));
  auto& tcp = packet::header_at<packet::TcpHeader>(frame.data() + kEthernet + kIp);
  tcp.source_port = Be16(flow.source_port);
  tcp.destination_port = Be16(flow.destination_port);
  tcp.data_offset = sizeof tcp / 4 << 4;
  tcp.window = Be16(65'535);
  return frame;
}

void set_segment(Frame& frame, std::uint8_t flags, std::uint32_t sequence,
                 std::uint32_t acknowledgment) {
  std::uint8_t* const inner = frame.data() + (is_tunnel(frame) ? packet::kVxlanOverIpv4Bytes : 0);
  auto& tcp = packet::header_at<packet::TcpHeader>(inner + kEthernet + kIp);
  tcp.flags = flags;
  tcp.sequence = Be32(sequence);
  tcp.acknowledgment = Be32(acknowledgment);
  tcp.checksum = Be16(0);
  tcp.checksum = l4_checksum(inner);
}

Frame reply_to(const Frame& frame, const Mac& receiver) {
  Frame reply = frame;
  turn_round(reply.data());
  if (!is_tunnel(frame)) return reply;
  auto& udp = packet::header_at<packet::UdpHeader>(reply.data() + kEthernet + kIp);
  std::swap(udp.source_port, udp.destination_port);  // The port of VXLAN is always the receiver's.
  std::uint8_t* const inner = reply.data() + packet::kVxlanOverIpv4Bytes;
  turn_round(inner);
  packet::header_at<packet::EthernetHeader>(inner).destination = receiver;
  return reply;
}

Result<void> write_pcap(const std::string& path, const std::vector<Frame>& frames) {
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return fail("cannot write " + path);
  const PcapFileHeader header;
  bool is_written = std::fwrite(&header, sizeof header, 1, file) == 1;
  for (const Frame& frame : frames) {
    PcapPacketHeader packet;
    packet.captured_bytes = packet.frame_bytes = static_cast<std::uint32_t>(frame.size());
    is_written = is_written && std::fwrite(&packet, sizeof packet, 1, file) == 1 &&
                 std::fwrite(frame.data(), frame.size(), 1, file) == 1;
  }
  is_written = std::fclose(file) == 0 && is_written;
  return is_written ? Result<void>{} : fail("cannot write " + path + ": is the disk full?");
}

Result<std::vector<Frame>> read_pcap(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return fail("cannot read " + path);
  std::vector<Frame> frames;
  PcapFileHeader header;
  PcapPacketHeader packet;
  bool is_read = std::fread(&header, sizeof header, 1, file) == 1;
  while (is_read && std::fread(&packet, sizeof packet, 1, file) == 1) {
    Frame& frame = frames.emplace_back(packet.captured_bytes);
    is_read = std::fread(frame.data(), frame.size(), 1, file) == 1;
  }
  std::fclose(file);
  if (!is_read || frames.empty()) return fail(path + " is no capture file with packets");
  return frames;
}

}  // namespace gannet::bench
