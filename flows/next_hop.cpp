// SPDX-License-Identifier: BSD-3-Clause
#include "flows/next_hop.hpp"

#include "flows/packet/checksum.hpp"

namespace gannet::flows {
namespace {

constexpr std::uint8_t kOuterTtl = 64;  // Policy contract, "Tunnel".

}  // namespace

NextHop make_tunnel_hop(std::uint16_t port, std::uint32_t neighbor, Mac underlay_source,
                        Ip4 local_vtep, Ip4 remote_vtep, std::uint16_t udp_port, std::uint32_t vni,
                        Mac inner_destination, Mac inner_source, std::uint16_t inner_ether_type) {
  NextHop hop;
  hop.neighbor = neighbor;
  hop.port = port;
  hop.underlay_source = underlay_source;
  hop.outer_ether_type = Be16(packet::kEtherTypeIpv4);
  hop.outer_ip.version_ihl = packet::kIpv4PlainVersionIhl;
  hop.outer_ip.flags_offset = Be16(packet::kIpv4DontFragment);
  hop.outer_ip.ttl = kOuterTtl;
  hop.outer_ip.protocol = packet::kProtoUdp;
  hop.outer_ip.source = local_vtep;
  hop.outer_ip.destination = remote_vtep;
  const auto* const ip = reinterpret_cast<const std::uint8_t*>(&hop.outer_ip);
  hop.outer_ip.checksum = packet::finish(packet::sum_bytes(ip, sizeof(packet::Ipv4Header)));
  hop.outer_udp.destination_port = Be16(udp_port);
  hop.vxlan.flags = packet::kVxlanFlagVni;
  hop.vxlan.vni_reserved = Be32(vni << 8);
  hop.ethernet = {inner_destination, inner_source, Be16(inner_ether_type)};
  return hop;
}

NextHop make_local_hop(std::uint16_t port, Mac destination, Mac source, std::uint16_t ether_type) {
  NextHop hop;
  hop.port = port;
  hop.ethernet = {destination, source, Be16(ether_type)};
  return hop;
}

NextHop make_plain_hop(std::uint16_t port, std::uint32_t neighbor, Mac source,
                       std::uint16_t ether_type) {
  NextHop hop;
  hop.port = port;
  hop.neighbor = neighbor;
  hop.underlay_source = source;
  hop.outer_ether_type = Be16(ether_type);
  hop.ethernet = {Mac{}, source, Be16(ether_type)};
  return hop;
}

}  // namespace gannet::flows
