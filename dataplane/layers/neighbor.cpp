// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/neighbor.hpp"

#include "dataplane/layers/load_balancer.hpp"
#include "flows/packet/checksum.hpp"

#include <algorithm>

namespace gannet::dataplane {
namespace {

using packet::ArpHeader;
using packet::header_at;
using packet::Ipv6Header;
using packet::NeighborMessage;

constexpr std::uint8_t kNdHopLimit = 255;  // RFC 4861, 7.1: proof that no router was in between.
constexpr std::uint16_t kAdvertisementFlags = 0xe000;  // Router, solicited, override (4.4).
constexpr std::uint16_t kRouterLifetimeSeconds = 1'800;
constexpr std::uint8_t kManagedFlag = 0x80;  // Addresses come by DHCPv6 (4.2).
constexpr Ip6 kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01}};

struct LinkAddressOption {
  std::uint8_t type;
  std::uint8_t length_units;  // Of 8 bytes.
  Mac mac;
};
static_assert(sizeof(LinkAddressOption) == 8);

/// RFC 4861, 4.2, without options.
struct RouterAdvertisement {
  std::uint8_t type;
  std::uint8_t code;
  Be16 checksum;
  std::uint8_t hop_limit;
  std::uint8_t flags;
  Be16 lifetime_seconds;
  Be32 reachable_ms;
  Be32 retransmit_ms;
};
static_assert(sizeof(RouterAdvertisement) == 16);

// The MAC that a VM of `vpc` is told for an address; nothing if nobody has it.
const Mac* mac_of(const Snapshot& policy, std::uint16_t vpc, const IpAddress& ip) {
  const Endpoint* const endpoint = policy.find_endpoint(vpc, ip);
  if (endpoint != nullptr) {
    return endpoint->kind == EndpointKind::kGateway ? &kGatewayMac : &endpoint->mac;
  }
  const bool is_router = ip.is_v6() && ip.v6() == kGatewayLinkLocal;
  return is_router || LoadBalancer::is_vip(policy, vpc, ip) ? &kGatewayMac : nullptr;
}

bool is_arp_request(const ArpHeader& arp) {
  return is_ipv4_arp(arp) && arp.operation.host() == packet::kArpRequest;
}

void turn_into_reply(Frame& frame, ArpHeader& arp, const Mac& mac) {
  arp.operation = Be16(packet::kArpReply);
  arp.target_mac = arp.sender_mac;
  std::swap(arp.target_ip, arp.sender_ip);
  arp.sender_mac = mac;
  frame.ethernet().destination = frame.ethernet().source;
  frame.ethernet().source = mac;
}

// Whether the options of an ND message are well formed (RFC 4861, 4.6); `mac` gets the address of
// the option of type `wanted`, if there is one.
bool read_options(const std::uint8_t* bytes, std::size_t size, std::uint8_t wanted, Mac* mac) {
  while (size != 0) {
    if (size < sizeof(LinkAddressOption)) return false;
    const auto& option = header_at<LinkAddressOption>(bytes);
    const std::size_t length = std::size_t{option.length_units} * 8;
    if (length == 0 || length > size) return false;
    if (option.type == wanted) *mac = option.mac;
    bytes += length;
    size -= length;
  }
  return true;
}

// Lays Ethernet, IPv6 and an ICMPv6 message of `message_bytes` with one link-address option over
// the frame; the message itself has been written. Addresses: from `source` with the MAC of the
// switch.
bool finish_nd(Frame& frame, std::size_t message_bytes, const Ip6& source, const Ip6& destination,
               const Mac& mac, std::uint8_t option_type) {
  const std::size_t payload = message_bytes + sizeof(LinkAddressOption);
  constexpr std::size_t kHeaders = sizeof(packet::EthernetHeader) + sizeof(Ipv6Header);
  if (!frame.resize(static_cast<std::uint32_t>(kHeaders + payload))) return false;
  auto& ethernet = frame.ethernet();
  ethernet.destination = ethernet.source;
  ethernet.source = mac;
  auto& ip = header_at<Ipv6Header>(frame.data + sizeof(packet::EthernetHeader));
  ip.version_class_label = Be32(0x6000'0000);
  ip.payload_length = Be16(static_cast<std::uint16_t>(payload));
  ip.next_header = packet::kProtoIcmp6;
  ip.hop_limit = kNdHopLimit;
  ip.source = source;
  ip.destination = destination;
  std::uint8_t* const message = frame.data + kHeaders;
  header_at<LinkAddressOption>(message + message_bytes) = {option_type, 1, mac};
  auto& icmp = header_at<packet::IcmpHeader>(message);
  icmp.checksum = Be16(0);
  icmp.checksum = packet::finish(packet::sum_bytes(message, payload) +
                                 packet::pseudo_header_sum(source, destination, packet::kProtoIcmp6,
                                                           static_cast<std::uint32_t>(payload)));
  return true;
}

DropReason answer_neighbor(Frame& frame, const Ip6& asker, std::size_t option_bytes,
                           const Ingress& in, const Snapshot& policy) {
  constexpr std::size_t kMessage = sizeof(packet::EthernetHeader) + sizeof(Ipv6Header);
  const auto& question = header_at<NeighborMessage>(frame.data + kMessage);
  const Ip6 target = question.target;
  const Eni& eni = policy.enis[in.zone.index];
  Mac source_mac = in.source_mac;
  if (target.is_multicast() ||
      !read_options(frame.data + kMessage + sizeof(NeighborMessage), option_bytes,
                    packet::kNdSourceLinkAddress, &source_mac)) {
    return DropReason::arp_not_answered;
  }
  if (source_mac != eni.mac) return DropReason::spoofed_arp;
  const Mac* const mac = mac_of(policy, in.vpc, target);
  // From the unspecified address it is a host that checks whether its own is free (RFC 4862, 5.4).
  if (mac == nullptr || asker.is_zero() || eni.has_ip(target)) return DropReason::arp_not_answered;
  const Mac answer_mac = *mac;
  auto& answer = header_at<NeighborMessage>(frame.data + kMessage);
  const std::uint16_t flags =
      answer_mac == kGatewayMac ? kAdvertisementFlags : kAdvertisementFlags & 0x7fff;
  answer.icmp = {packet::kIcmp6NeighborAdvertisement, 0, Be16(0), Be16(flags), Be16(0)};
  answer.target = target;
  const bool fits = finish_nd(frame, sizeof(NeighborMessage), target, asker, answer_mac,
                              packet::kNdTargetLinkAddress);
  return fits ? DropReason::kNone : DropReason::no_buffer;
}

DropReason answer_router(Frame& frame, const Ip6& asker) {
  constexpr std::size_t kMessage = sizeof(packet::EthernetHeader) + sizeof(Ipv6Header);
  if (!frame.resize(std::max<std::uint32_t>(frame.size, kMessage + sizeof(RouterAdvertisement)))) {
    return DropReason::no_buffer;
  }
  header_at<RouterAdvertisement>(frame.data + kMessage) = {
      packet::kIcmp6RouterAdvertisement, 0,       Be16(0), 64, kManagedFlag,
      Be16(kRouterLifetimeSeconds),      Be32(0), Be32(0)};
  const Ip6 destination = asker.is_zero() ? kAllNodes : asker;
  const bool fits = finish_nd(frame, sizeof(RouterAdvertisement), kGatewayLinkLocal, destination,
                              kGatewayMac, packet::kNdSourceLinkAddress);
  return fits ? DropReason::kNone : DropReason::no_buffer;
}

}  // namespace

bool is_ipv4_arp(const ArpHeader& arp) {
  const std::uint16_t operation = arp.operation.host();
  return arp.hardware_type.host() == packet::kArpEthernet &&
         arp.protocol_type.host() == packet::kEtherTypeIpv4 && arp.hardware_bytes == sizeof(Mac) &&
         arp.protocol_bytes == sizeof(Ip4) &&
         (operation == packet::kArpRequest || operation == packet::kArpReply);
}

DropReason NeighborAnswers::answer_arp(Frame& frame, const packet::Parsed& parsed,
                                       const Ingress& in, const Snapshot& policy) noexcept {
  auto& arp = header_at<ArpHeader>(frame.data + parsed.l3_offset);
  const Eni& eni = policy.enis[in.zone.index];
  const bool is_probe = arp.sender_ip.is_zero();  // RFC 5227, 2.1.1.
  if (arp.sender_mac != eni.mac) return DropReason::spoofed_arp;
  if (!is_probe && !eni.has_ip(arp.sender_ip)) return DropReason::spoofed_arp;
  if (!is_arp_request(arp)) return DropReason::arp_not_answered;
  const Mac* const mac = mac_of(policy, in.vpc, arp.target_ip);
  if (mac == nullptr || eni.has_ip(arp.target_ip)) return DropReason::arp_not_answered;
  turn_into_reply(frame, arp, *mac);
  return DropReason::kNone;
}

DropReason NeighborAnswers::answer_underlay_arp(Frame& frame, const packet::Parsed& parsed,
                                                const Snapshot& policy) noexcept {
  auto& arp = header_at<ArpHeader>(frame.data + parsed.l3_offset);
  if (!is_arp_request(arp)) return DropReason::arp_not_answered;
  const auto& own = policy.underlay.addresses;
  const bool is_own = std::any_of(own.begin(), own.end(), [&](const Prefix& p) {
    return p.address == IpAddress(arp.target_ip);
  });
  if (!is_own && policy.find_public(arp.target_ip) == nullptr) return DropReason::arp_not_answered;
  turn_into_reply(frame, arp, policy.underlay.mac);
  return DropReason::kNone;
}

DropReason NeighborAnswers::answer_nd(Frame& frame, const packet::Parsed& parsed, const Ingress& in,
                                      const Snapshot& policy) noexcept {
  // Extension headers have no place in ND (RFC 6980 forbids fragments; others only hide things).
  if (parsed.ttl != kNdHopLimit || parsed.has_options || parsed.vlan_tag_count != 0) {
    return DropReason::arp_not_answered;
  }
  const Ip6 asker = header_at<Ipv6Header>(frame.data + parsed.l3_offset).source;
  const Eni& eni = policy.enis[in.zone.index];
  if (!asker.is_zero() && !asker.is_link_local() && !eni.has_ip(asker)) {
    return DropReason::spoofed_arp;
  }
  const auto& icmp = header_at<packet::IcmpHeader>(frame.data + parsed.l4_offset);
  if (icmp.code != 0) return DropReason::arp_not_answered;
  switch (icmp.type) {
    case packet::kIcmp6NeighborSolicitation: {
      if (parsed.l4_bytes() < sizeof(NeighborMessage)) return DropReason::arp_not_answered;
      const std::size_t options = parsed.l4_bytes() - sizeof(NeighborMessage);
      return answer_neighbor(frame, asker, options, in, policy);
    }
    case packet::kIcmp6RouterSolicitation: return answer_router(frame, asker);
    case packet::kIcmp6RouterAdvertisement:
    case packet::kIcmp6Redirect: return DropReason::dhcp_server;
    default: return DropReason::arp_not_answered;
  }
}

}  // namespace gannet::dataplane
