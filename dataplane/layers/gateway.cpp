// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/gateway.hpp"

#include "dataplane/layers/load_balancer.hpp"
#include "flows/packet/checksum.hpp"

#include <algorithm>
#include <utility>

namespace gannet::dataplane {
namespace {

constexpr std::uint8_t kReplyTtl = 64;

void answer_v4(packet::Ipv4Header& ip) {
  std::swap(ip.source, ip.destination);
  ip.ttl = kReplyTtl;
  ip.checksum = Be16(0);
  ip.checksum = packet::finish(
      packet::sum_bytes(reinterpret_cast<const std::uint8_t*>(&ip), ip.header_bytes()));
}

}  // namespace

bool GatewayService::is_addressed(const IpTuple& tuple, const Ingress& in,
                                  const Snapshot& policy) noexcept {
  const IpAddress& ip = tuple.destination;
  if (in.is_uplink()) {
    const auto& own = policy.underlay.addresses;
    if (std::any_of(own.begin(), own.end(), [&](const Prefix& p) { return p.address == ip; })) {
      return true;
    }
    return tuple.is_icmp() && LoadBalancer::is_vip(policy, kNoIndex, ip);
  }
  if (ip.is_v6() && ip.v6() == kGatewayLinkLocal) return true;
  const Endpoint* const endpoint = policy.find_endpoint(in.vpc, ip);
  if (endpoint != nullptr) return endpoint->kind == EndpointKind::kGateway;
  return tuple.is_icmp() && LoadBalancer::is_vip(policy, in.vpc, ip);
}

DropReason GatewayService::answer(Frame& frame, const packet::Parsed& parsed,
                                  const IpTuple& tuple) noexcept {
  const bool is_v4 = parsed.l3 == packet::L3::kIpv4;
  const std::uint8_t request = is_v4 ? packet::kIcmpEchoRequest : packet::kIcmp6EchoRequest;
  const bool is_echo = tuple.is_icmp() && tuple.destination_port == request << 8;
  if (!is_echo || parsed.is_fragment || parsed.has_options) return DropReason::gateway_service;
  auto& icmp = packet::header_at<packet::IcmpHeader>(frame.data + parsed.l4_offset);
  const Be16 before = load<Be16>(&icmp);
  icmp.type = is_v4 ? packet::kIcmpEchoReply : packet::kIcmp6EchoReply;
  packet::ChecksumDelta delta;
  delta.replace(before, load<Be16>(&icmp));
  icmp.checksum = packet::update(icmp.checksum, delta.folded());
  if (is_v4) {
    answer_v4(packet::header_at<packet::Ipv4Header>(frame.data + parsed.l3_offset));
  } else {
    auto& ip = packet::header_at<packet::Ipv6Header>(frame.data + parsed.l3_offset);
    std::swap(ip.source, ip.destination);
    ip.hop_limit = kReplyTtl;
  }
  std::swap(frame.ethernet().source, frame.ethernet().destination);
  return DropReason::kNone;
}

}  // namespace gannet::dataplane
