// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/tunnel.hpp"

#include "dataplane/rewrite.hpp"

namespace gannet::dataplane {
namespace {

using packet::header_at;

}  // namespace

bool Tunnel::is_addressed(const Frame& frame, const packet::Parsed& parsed,
                          const Underlay& underlay) noexcept {
  if (parsed.l3 != packet::L3::kIpv4 || parsed.protocol != packet::kProtoUdp) return false;
  if (header_at<packet::Ipv4Header>(frame.data + parsed.l3_offset).destination != underlay.vtep) {
    return false;
  }
  return parsed.is_later_fragment() || parsed.destination_port == underlay.vxlan_port;
}

DropReason Tunnel::open(Frame& frame, const packet::Parsed& parsed, const Snapshot& policy,
                        bool has_bad_checksum, Ingress& in) noexcept {
  if (parsed.is_fragment) return DropReason::underlay_fragment;
  const auto& ip = header_at<packet::Ipv4Header>(frame.data + parsed.l3_offset);
  const auto& udp = header_at<packet::UdpHeader>(frame.data + parsed.l4_offset);
  if (udp.length.host() != parsed.l4_bytes()) return DropReason::vxlan_bad_length;
  if (udp.checksum.raw() != 0 && has_bad_checksum) return DropReason::vxlan_bad_checksum;
  constexpr unsigned kHeaders = sizeof(packet::UdpHeader) + sizeof(packet::VxlanHeader);
  if (parsed.l4_bytes() < kHeaders) return DropReason::vxlan_bad_length;
  const auto& vxlan = header_at<packet::VxlanHeader>(frame.data + parsed.payload_offset);
  // All other bits are ignored on receipt (RFC 7348, 5; V3).
  if ((vxlan.flags & packet::kVxlanFlagVni) == 0) return DropReason::vxlan_no_vni;
  const Vni vni{vxlan.vni_reserved.host() >> 8};
  const std::uint16_t vpc = policy.find_vpc(vni);
  if (vpc == kNoIndex) return DropReason::vxlan_unknown_vni;
  if (policy.find_peer(vpc, ip.source) == nullptr) return DropReason::vxlan_unknown_peer;

  const std::uint32_t inner_offset = parsed.l4_offset + kHeaders;
  const std::uint32_t inner_bytes = parsed.end_offset - inner_offset;
  if (inner_bytes < sizeof(packet::EthernetHeader)) return DropReason::runt;
  std::uint8_t* const inner = frame.data + inner_offset;
  const auto& ethernet = header_at<packet::EthernetHeader>(inner);
  const std::uint16_t type = ethernet.ether_type.host();
  const bool is_v4 = type == packet::kEtherTypeIpv4;
  const bool has_tos = (is_v4 || type == packet::kEtherTypeIpv6) &&
                       inner_bytes >= sizeof ethernet + sizeof(packet::Ipv4Header);
  if (has_tos && !decapsulate_ecn(ip.tos, inner + sizeof ethernet, is_v4)) {
    return DropReason::vxlan_ecn;
  }
  in.zone = {flows::ZoneKind::kTunnel, vpc};
  in.vpc = vpc;
  in.tunnel_source = ip.source;
  in.source_mac = ethernet.source;
  in.destination_mac = ethernet.destination;
  frame.pull(inner_offset);
  return frame.resize(inner_bytes) ? DropReason::kNone : DropReason::runt;
}

}  // namespace gannet::dataplane
