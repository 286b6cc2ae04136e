// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/watch_pattern.hpp"

#include "flows/offload/match_words.hpp"

namespace gannet::offload {
namespace {

// Both addresses as they have been written.
void match_macs(Pattern& pattern, const Mac& destination, const Mac& source) {
  const auto item = pattern.add(RTE_FLOW_ITEM_TYPE_ETH);
  put(item.spec.eth.dst, destination);
  put(item.spec.eth.src, source);
  put(item.mask.eth.dst, kBroadcastMac);
  put(item.mask.eth.src, kBroadcastMac);
}

void match_new_tunnel(const Rule& rule, Pattern& pattern) {
  const flows::NextHop& hop = rule.hop;
  match_macs(pattern, rule.neighbor_mac, hop.underlay_source);
  const auto ip = pattern.add(RTE_FLOW_ITEM_TYPE_IPV4);
  match_plain_ipv4(ip);
  ip.spec.ipv4.hdr.type_of_service = rule.tos;
  ip.mask.ipv4.hdr.type_of_service = 0xff;
  ip.spec.ipv4.hdr.next_proto_id = packet::kProtoUdp;
  ip.mask.ipv4.hdr.next_proto_id = 0xff;
  ip.spec.ipv4.hdr.src_addr = hop.outer_ip.source.raw();
  ip.spec.ipv4.hdr.dst_addr = hop.outer_ip.destination.raw();
  ip.mask.ipv4.hdr.src_addr = ip.mask.ipv4.hdr.dst_addr = kAll32;
  const auto udp = pattern.add(RTE_FLOW_ITEM_TYPE_UDP);
  udp.spec.udp.hdr.src_port = wire16(rule.outer_source_port);
  udp.spec.udp.hdr.dst_port = hop.outer_udp.destination_port.raw();
  udp.mask.udp.hdr.src_port = udp.mask.udp.hdr.dst_port = kAll16;
  const auto vxlan = pattern.add(RTE_FLOW_ITEM_TYPE_VXLAN);
  std::memcpy(&vxlan.spec.vxlan, &hop.vxlan, sizeof hop.vxlan);
  vxlan.mask.vxlan.flags = 0xff;
  std::memset(vxlan.mask.vxlan.vni, 0xff, 3);
}

// The Ethernet header of the frame, or of the one inside the tunnel.
void match_new_ethernet(const Rule& rule, Pattern& pattern) {
  if (!rule.has(flows::kRewriteMacs)) {
    return match_ethernet(pattern, rule.destination_mac, rule.source_mac);
  }
  const bool is_plain_underlay = !rule.has(flows::kEncapsulate) && !rule.neighbor_mac.is_zero();
  match_macs(pattern, is_plain_underlay ? rule.neighbor_mac : rule.hop.ethernet.destination,
             rule.hop.ethernet.source);
}

void match_new_ip(const Rule& rule, Pattern& pattern) {
  if (rule.is_v4()) {
    const auto ip = pattern.add(RTE_FLOW_ITEM_TYPE_IPV4);
    ip.spec.ipv4.hdr.next_proto_id = rule.protocol;
    ip.mask.ipv4.hdr.next_proto_id = 0xff;
    ip.spec.ipv4.hdr.src_addr = rule.after.source.v4().raw();
    ip.spec.ipv4.hdr.dst_addr = rule.after.destination.v4().raw();
    ip.mask.ipv4.hdr.src_addr = ip.mask.ipv4.hdr.dst_addr = kAll32;
    return;
  }
  const auto ip = pattern.add(RTE_FLOW_ITEM_TYPE_IPV6);
  ip.spec.ipv6.hdr.proto = rule.protocol;
  ip.mask.ipv6.hdr.proto = 0xff;
  std::memcpy(ip.spec.ipv6.hdr.src_addr, rule.after.source.data(), 16);
  std::memcpy(ip.spec.ipv6.hdr.dst_addr, rule.after.destination.data(), 16);
  std::memset(ip.mask.ipv6.hdr.src_addr, 0xff, 16);
  std::memset(ip.mask.ipv6.hdr.dst_addr, 0xff, 16);
}

void match_new_l4(const Rule& rule, Pattern& pattern) {
  if (rule.protocol == packet::kProtoTcp) {
    const auto tcp = pattern.add(RTE_FLOW_ITEM_TYPE_TCP);
    tcp.spec.tcp.hdr.src_port = wire16(rule.after.source_port);
    tcp.spec.tcp.hdr.dst_port = wire16(rule.after.destination_port);
    tcp.mask.tcp.hdr.src_port = tcp.mask.tcp.hdr.dst_port = kAll16;
  } else if (rule.protocol == packet::kProtoUdp) {
    const auto udp = pattern.add(RTE_FLOW_ITEM_TYPE_UDP);
    udp.spec.udp.hdr.src_port = wire16(rule.after.source_port);
    udp.spec.udp.hdr.dst_port = wire16(rule.after.destination_port);
    udp.mask.udp.hdr.src_port = udp.mask.udp.hdr.dst_port = kAll16;
  } else {
    const auto icmp = pattern.add(RTE_FLOW_ITEM_TYPE_ICMP);
    // Request or reply: one who asks his own public address sends both with the same addresses.
    icmp.spec.icmp.hdr.icmp_type = static_cast<std::uint8_t>(rule.after.destination_port >> 8);
    icmp.mask.icmp.hdr.icmp_type = 0xff;
    icmp.spec.icmp.hdr.icmp_ident = wire16(rule.after.source_port);
    icmp.mask.icmp.hdr.icmp_ident = kAll16;
  }
}

}  // namespace

void compile_watch(const Rule& rule, Pattern& pattern, Actions& actions) {
  pattern.clear();
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);
  if (rule.has(flows::kEncapsulate)) match_new_tunnel(rule, pattern);
  match_new_ethernet(rule, pattern);
  match_new_ip(rule, pattern);
  match_new_l4(rule, pattern);
  actions.clear();
  actions.add(RTE_FLOW_ACTION_TYPE_COUNT, &actions.counter);
  actions.output.port_id = rule.out_port;
  actions.add(RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &actions.output);
}

}  // namespace gannet::offload
