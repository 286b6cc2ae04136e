// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/dhcp.hpp"

#include "flows/packet/checksum.hpp"

#include <algorithm>
#include <cstring>

namespace gannet::dataplane {
namespace {

using packet::DhcpHeader;
using packet::header_at;

constexpr std::uint32_t kMagic = 0x6382'5363;  // RFC 2131, 3.
constexpr std::uint8_t kBootRequest = 1;
constexpr std::uint8_t kBootReply = 2;
constexpr std::uint32_t kLeaseSeconds = 86'400;
constexpr std::uint16_t kMaxMtu = 1'500;
constexpr std::size_t kMinBootpBytes = 300;  // RFC 951, 3; some clients insist.

// Options (RFC 2132).
enum Option : std::uint8_t {
  kPad = 0,
  kSubnetMask = 1,
  kRouter = 3,
  kInterfaceMtu = 26,
  kRequestedIp = 50,
  kLeaseTime = 51,
  kMessageType = 53,
  kServerId = 54,
  kEnd = 255,
};
enum Message : std::uint8_t {
  kDiscover = 1,
  kOffer = 2,
  kRequest = 3,
  kAck = 5,
  kNak = 6,
  kInform = 8,
};

struct Request {
  std::uint8_t type = 0;
  Ip4 requested{};  // Zero if not given.
  Ip4 server{};
};

// Reads the options that matter; false if they are malformed (E8).
bool read_options(const std::uint8_t* bytes, std::size_t size, Request& out) {
  while (size != 0) {
    const std::uint8_t code = bytes[0];
    if (code == kEnd) return true;
    if (code == kPad) {
      ++bytes;
      --size;
      continue;
    }
    if (size < 2 || std::size_t{bytes[1]} + 2 > size) return false;
    const std::uint8_t length = bytes[1];
    const std::uint8_t* const value = bytes + 2;
    if (code == kMessageType) {
      if (length != 1) return false;
      out.type = value[0];
    } else if (code == kRequestedIp || code == kServerId) {
      if (length != 4) return false;
      (code == kRequestedIp ? out.requested : out.server) = load<Ip4>(value);
    } else if (length == 0) {
      return false;
    }
    bytes += 2 + length;
    size -= std::size_t{2} + length;
  }
  return true;
}

class OptionWriter {
 public:
  explicit OptionWriter(std::uint8_t* at) : at_(at) {}

  template <typename T>
  void add(Option code, const T& value) {
    *at_++ = code;
    *at_++ = sizeof value;
    store(at_, value);
    at_ += sizeof value;
  }
  std::uint8_t* finish() {
    *at_++ = kEnd;
    return at_;
  }

 private:
  std::uint8_t* at_;
};

struct Lease {
  Ip4 ip;
  Ip4 gateway;
  Ip4 mask;
};

// What the policy gives the ENI; false if it has no IPv4 address in its subnet.
bool find_lease(const Eni& eni, const Snapshot& policy, Lease& out) {
  const Subnet& subnet = policy.subnets[eni.subnet];
  for (std::size_t i = 0; i < subnet.cidrs.size(); ++i) {
    const Prefix& cidr = subnet.cidrs[i];
    if (cidr.family() != Family::kIpv4) continue;
    for (const IpAddress& ip : eni.ips) {
      if (!cidr.contains(ip)) continue;
      const std::uint32_t mask = cidr.length == 0 ? 0 : ~std::uint32_t{0} << (32 - cidr.length);
      out = {ip.v4(), subnet.gateways[i].v4(), Ip4::from_host(mask)};
      return true;
    }
  }
  return false;
}

// The type of the answer to a request, or 0 if none is due (RFC 2131, 4.3).
std::uint8_t answer_type(const Request& request, const DhcpHeader& dhcp, const Lease& lease) {
  switch (request.type) {
    case kDiscover: return kOffer;
    case kInform: return kAck;
    case kRequest: {
      if (!request.server.is_zero() && request.server != lease.gateway) return 0;
      const Ip4 wanted = request.requested.is_zero() ? dhcp.client_ip : request.requested;
      return wanted == lease.ip ? kAck : kNak;
    }
    default: return 0;
  }
}

std::size_t write_dhcp(DhcpHeader& dhcp, std::uint8_t type, const Request& request,
                       const Lease& lease, std::uint16_t mtu) {
  dhcp.operation = kBootReply;
  dhcp.hops = 0;
  dhcp.seconds = Be16(0);
  dhcp.your_ip = type == kNak || request.type == kInform ? Ip4(0, 0, 0, 0) : lease.ip;
  dhcp.server_ip = lease.gateway;
  if (type == kNak) dhcp.client_ip = Ip4(0, 0, 0, 0);
  std::memset(dhcp.server_name, 0, sizeof dhcp.server_name);
  std::memset(dhcp.boot_file, 0, sizeof dhcp.boot_file);
  auto* const start = reinterpret_cast<std::uint8_t*>(&dhcp);
  OptionWriter options(start + sizeof(DhcpHeader));
  options.add(kMessageType, type);
  options.add(kServerId, lease.gateway);
  if (type != kNak) {
    if (request.type != kInform) options.add(kLeaseTime, Be32(kLeaseSeconds));
    options.add(kSubnetMask, lease.mask);
    options.add(kRouter, lease.gateway);
    options.add(kInterfaceMtu, Be16(mtu));
  }
  const auto bytes = static_cast<std::size_t>(options.finish() - start);
  if (bytes >= kMinBootpBytes) return bytes;
  std::memset(start + bytes, 0, kMinBootpBytes - bytes);
  return kMinBootpBytes;
}

// Ethernet, IPv4 and UDP around a DHCP answer of `dhcp_bytes` that lies in its place. To the
// client's address if it has one already, else by broadcast if it asked so (RFC 2131, 4.1).
void wrap(Frame& frame, std::size_t dhcp_bytes, const DhcpHeader& dhcp, const Lease& lease) {
  auto& ethernet = frame.ethernet();
  const bool wants_broadcast = (dhcp.flags.host() & 0x8000) != 0 || dhcp.your_ip.is_zero();
  Ip4 destination = wants_broadcast ? Ip4(255, 255, 255, 255) : dhcp.your_ip;
  if (!dhcp.client_ip.is_zero()) destination = dhcp.client_ip;
  ethernet.destination = destination.is_broadcast() ? kBroadcastMac : dhcp.client_mac;
  ethernet.source = kGatewayMac;

  auto& ip = header_at<packet::Ipv4Header>(frame.data + sizeof(packet::EthernetHeader));
  auto& udp = header_at<packet::UdpHeader>(reinterpret_cast<std::uint8_t*>(&ip + 1));
  const auto udp_bytes = static_cast<std::uint16_t>(sizeof(packet::UdpHeader) + dhcp_bytes);
  ip = {};
  ip.version_ihl = packet::kIpv4PlainVersionIhl;
  ip.total_length = Be16(static_cast<std::uint16_t>(sizeof ip + udp_bytes));
  ip.ttl = 64;
  ip.protocol = packet::kProtoUdp;
  ip.source = lease.gateway;
  ip.destination = destination;
  ip.checksum = packet::finish(packet::sum_bytes(reinterpret_cast<std::uint8_t*>(&ip), sizeof ip));
  udp = {Be16(packet::kDhcpServerPort), Be16(packet::kDhcpClientPort), Be16(udp_bytes), Be16(0)};
  const std::uint64_t sum =
      packet::sum_bytes(reinterpret_cast<std::uint8_t*>(&udp), udp_bytes) +
      packet::pseudo_header_sum(ip.source, ip.destination, packet::kProtoUdp, udp_bytes);
  udp.checksum = packet::finish(sum);
  if (udp.checksum.raw() == 0) udp.checksum = Be16::from_raw(0xffff);
}

}  // namespace

DropReason Dhcp::answer(Frame& frame, const packet::Parsed& parsed, const Ingress& in,
                        const Snapshot& policy) noexcept {
  constexpr std::size_t kDhcpOffset =
      sizeof(packet::EthernetHeader) + sizeof(packet::Ipv4Header) + sizeof(packet::UdpHeader);
  constexpr std::size_t kMaxOptionBytes = 64;
  const Eni& eni = policy.enis[in.zone.index];
  // With IP options or tags the answer would not lie where the question did; nobody sends such.
  if (parsed.payload_offset != kDhcpOffset) return DropReason::bad_dhcp;
  const std::size_t size = std::size_t{parsed.end_offset} - parsed.payload_offset;
  if (size < sizeof(DhcpHeader)) return DropReason::bad_dhcp;
  auto& dhcp = header_at<DhcpHeader>(frame.data + kDhcpOffset);
  if (dhcp.operation != kBootRequest || dhcp.magic.host() != kMagic || dhcp.hardware_type != 1 ||
      dhcp.hardware_bytes != 6) {
    return DropReason::bad_dhcp;
  }
  if (dhcp.client_mac != eni.mac) return DropReason::spoofed_mac;
  Request request;
  if (!read_options(frame.data + kDhcpOffset + sizeof(DhcpHeader), size - sizeof(DhcpHeader),
                    request)) {
    return DropReason::bad_dhcp;
  }
  Lease lease{};
  if (!find_lease(eni, policy, lease)) return DropReason::bad_dhcp;
  const std::uint8_t type = answer_type(request, dhcp, lease);
  if (type == 0) return DropReason::bad_dhcp;

  const auto room = static_cast<std::uint32_t>(kDhcpOffset + sizeof(DhcpHeader) + kMaxOptionBytes);
  if (frame.size < room && !frame.resize(room)) return DropReason::no_buffer;
  const auto mtu = static_cast<std::uint16_t>(
      std::min<int>(policy.underlay.mtu - int{packet::kVxlanOverIpv4Bytes}, kMaxMtu));
  const std::size_t bytes = write_dhcp(dhcp, type, request, lease, mtu);
  if (!frame.resize(static_cast<std::uint32_t>(kDhcpOffset + bytes))) return DropReason::no_buffer;
  wrap(frame, bytes, dhcp, lease);
  return DropReason::kNone;
}

}  // namespace gannet::dataplane
