// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/compile.hpp"

#include "flows/base/check.hpp"
#include "flows/offload/match_words.hpp"
#include "flows/packet/headers.hpp"

#include <cstring>

namespace gannet::offload {
namespace {

using flows::kDecapsulate;
using flows::kDecrementTtl;
using flows::kEncapsulate;
using flows::kRewriteMacs;

// ACK set; SYN, FIN and RST clear: the segments that the fast path takes.
constexpr std::uint8_t kTcpFlagMask =
    packet::kTcpSyn | packet::kTcpFin | packet::kTcpRst | packet::kTcpAck;

void match_port(Pattern& pattern, std::uint16_t ethdev) {
  const auto item = pattern.add(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);
  item.spec.port.port_id = ethdev;
  item.mask.port.port_id = kAll16;
}

void match_tunnel(const Rule& rule, Pattern& pattern) {
  const TunnelMatch& tunnel = rule.tunnel;
  match_ethernet(pattern, tunnel.destination_mac, Mac{});
  const auto ip = pattern.add(RTE_FLOW_ITEM_TYPE_IPV4);
  match_plain_ipv4(ip);
  ip.spec.ipv4.hdr.type_of_service = rule.ecn();
  ip.mask.ipv4.hdr.type_of_service = 3;
  ip.spec.ipv4.hdr.next_proto_id = packet::kProtoUdp;
  ip.mask.ipv4.hdr.next_proto_id = 0xff;
  ip.spec.ipv4.hdr.src_addr = tunnel.source.raw();
  ip.mask.ipv4.hdr.src_addr = kAll32;
  ip.spec.ipv4.hdr.dst_addr = tunnel.destination.raw();
  ip.mask.ipv4.hdr.dst_addr = kAll32;
  const auto udp = pattern.add(RTE_FLOW_ITEM_TYPE_UDP);
  udp.spec.udp.hdr.dst_port = wire16(tunnel.udp_port);
  udp.mask.udp.hdr.dst_port = kAll16;
  const auto vxlan = pattern.add(RTE_FLOW_ITEM_TYPE_VXLAN);
  vxlan.spec.vxlan.flags = packet::kVxlanFlagVni;
  vxlan.mask.vxlan.flags = packet::kVxlanFlagVni;  // All other bits are ignored (RFC 7348, 5).
  const Be32 vni(tunnel.vni << 8);
  std::memcpy(vxlan.spec.vxlan.vni, &vni, 3);
  std::memset(vxlan.mask.vxlan.vni, 0xff, 3);
}

// Which bits of the (inner) TOS decide whether a packet may take the rule.
std::uint8_t tos_mask(const Rule& rule) {
  if (rule.matches_tos()) return 0xff;
  return rule.matches_ecn() && rule.ecn() != 0 ? 3 : 0;
}

void match_ipv4(const Rule& rule, Pattern& pattern) {
  const auto ip = pattern.add(RTE_FLOW_ITEM_TYPE_IPV4);
  match_plain_ipv4(ip);
  ip.mask.ipv4.hdr.type_of_service = tos_mask(rule);
  ip.spec.ipv4.hdr.type_of_service = rule.tos & tos_mask(rule);
  ip.spec.ipv4.hdr.next_proto_id = rule.protocol;
  ip.mask.ipv4.hdr.next_proto_id = 0xff;
  ip.spec.ipv4.hdr.src_addr = rule.before.source.v4().raw();
  ip.mask.ipv4.hdr.src_addr = kAll32;
  ip.spec.ipv4.hdr.dst_addr = rule.before.destination.v4().raw();
  ip.mask.ipv4.hdr.dst_addr = kAll32;
}

void match_ipv6(const Rule& rule, Pattern& pattern) {
  const auto ip = pattern.add(RTE_FLOW_ITEM_TYPE_IPV6);
  const std::uint32_t mask = tos_mask(rule);
  ip.mask.ipv6.hdr.vtc_flow = Be32(mask << 20).raw();
  ip.spec.ipv6.hdr.vtc_flow = Be32((rule.tos & mask) << 20).raw();
  ip.spec.ipv6.hdr.proto = rule.protocol;
  ip.mask.ipv6.hdr.proto = 0xff;
  std::memcpy(ip.spec.ipv6.hdr.src_addr, rule.before.source.data(), 16);
  std::memset(ip.mask.ipv6.hdr.src_addr, 0xff, 16);
  std::memcpy(ip.spec.ipv6.hdr.dst_addr, rule.before.destination.data(), 16);
  std::memset(ip.mask.ipv6.hdr.dst_addr, 0xff, 16);
}

Refusal match_l4(const Rule& rule, const Capabilities& can, Pattern& pattern) {
  switch (rule.protocol) {
    case packet::kProtoTcp: {
      if (!can.has(Ability::match_tcp_flags)) return Refusal::match;
      const auto tcp = pattern.add(RTE_FLOW_ITEM_TYPE_TCP);
      tcp.spec.tcp.hdr.src_port = wire16(rule.before.source_port);
      tcp.spec.tcp.hdr.dst_port = wire16(rule.before.destination_port);
      tcp.mask.tcp.hdr.src_port = tcp.mask.tcp.hdr.dst_port = kAll16;
      tcp.spec.tcp.hdr.tcp_flags = packet::kTcpAck;
      tcp.mask.tcp.hdr.tcp_flags = kTcpFlagMask;
      return Refusal::kNone;
    }
    case packet::kProtoUdp: {
      const auto udp = pattern.add(RTE_FLOW_ITEM_TYPE_UDP);
      udp.spec.udp.hdr.src_port = wire16(rule.before.source_port);
      udp.spec.udp.hdr.dst_port = wire16(rule.before.destination_port);
      udp.mask.udp.hdr.src_port = udp.mask.udp.hdr.dst_port = kAll16;
      return Refusal::kNone;
    }
    case packet::kProtoIcmp: {
      if (!can.has(Ability::match_icmp_id)) return Refusal::match;
      const auto icmp = pattern.add(RTE_FLOW_ITEM_TYPE_ICMP);
      icmp.spec.icmp.hdr.icmp_type = static_cast<std::uint8_t>(rule.before.destination_port >> 8);
      icmp.spec.icmp.hdr.icmp_code = static_cast<std::uint8_t>(rule.before.destination_port);
      icmp.spec.icmp.hdr.icmp_ident = wire16(rule.before.source_port);
      icmp.mask.icmp.hdr.icmp_type = icmp.mask.icmp.hdr.icmp_code = 0xff;
      icmp.mask.icmp.hdr.icmp_ident = kAll16;
      return Refusal::kNone;
    }
    // No item of this release matches the identifier of an ICMPv6 echo.
    case packet::kProtoIcmp6: return Refusal::match;
    default: return Refusal::protocol;
  }
}

// Checksums and lengths: of the outermost layer, and of the inner one. One item of each, and L4
// only where its item follows, as mlx5's guide wants it.
void match_integrity(const Rule& rule, const Capabilities& can, Pattern& pattern) {
  const bool has_l4_item = rule.protocol == packet::kProtoTcp || rule.protocol == packet::kProtoUdp;
  const auto add = [&pattern](std::uint32_t level, bool with_l4) {
    const auto item = pattern.add(RTE_FLOW_ITEM_TYPE_INTEGRITY);
    item.spec.integrity.level = item.mask.integrity.level = level;
    item.spec.integrity.l3_ok = item.mask.integrity.l3_ok = 1;
    item.spec.integrity.l4_ok = item.mask.integrity.l4_ok = with_l4 ? 1 : 0;
  };
  const bool is_tunneled = rule.has(kDecapsulate);
  if (can.has(Ability::match_integrity)) add(0, is_tunneled || has_l4_item);
  if (is_tunneled && can.has(Ability::match_inner_integrity)) add(2, has_l4_item);
}

// What the card must be able to match for such a rule to be safe.
bool can_match(const Rule& rule, const Capabilities& can) {
  if (!can.has(Ability::transfer) || !can.has(Ability::jump) || !can.has(Ability::count))
    return false;
  const bool has_ipv4 = rule.is_v4() || rule.has(kDecapsulate);
  if (has_ipv4 && !(can.has(Ability::match_ihl) && can.has(Ability::match_fragment))) return false;
  if (!rule.is_v4() && !can.has(Ability::ipv6)) return false;
  if (tos_mask(rule) != 0 && !can.has(Ability::match_tos)) return false;
  if (rule.has(kDecrementTtl) && !can.has(Ability::match_ttl)) return false;
  if (!rule.has(kDecapsulate)) return true;
  return can.has(Ability::match_tunnel) && can.has(Ability::match_tunnel_ecn);
}

void add_translation(const Rule& rule, Actions& actions) {
  const Ends& before = rule.before;
  const Ends& after = rule.after;
  if (after.source != before.source) {
    if (rule.is_v4()) {
      actions.source4.ipv4_addr = after.source.v4().raw();
      actions.add(RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC, &actions.source4);
    } else {
      std::memcpy(actions.source6.ipv6_addr, after.source.data(), 16);
      actions.add(RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC, &actions.source6);
    }
  }
  if (after.destination != before.destination) {
    if (rule.is_v4()) {
      actions.destination4.ipv4_addr = after.destination.v4().raw();
      actions.add(RTE_FLOW_ACTION_TYPE_SET_IPV4_DST, &actions.destination4);
    } else {
      std::memcpy(actions.destination6.ipv6_addr, after.destination.data(), 16);
      actions.add(RTE_FLOW_ACTION_TYPE_SET_IPV6_DST, &actions.destination6);
    }
  }
  if (after.source_port != before.source_port) {
    actions.source_port.port = wire16(after.source_port);
    actions.add(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, &actions.source_port);
  }
  if (after.destination_port != before.destination_port) {
    actions.destination_port.port = wire16(after.destination_port);
    actions.add(RTE_FLOW_ACTION_TYPE_SET_TP_DST, &actions.destination_port);
  }
}

bool can_translate(const Rule& rule, const Capabilities& can) {
  const Ends& before = rule.before;
  const Ends& after = rule.after;
  const bool moves_ip = after.source != before.source || after.destination != before.destination;
  const bool moves_port =
      after.source_port != before.source_port || after.destination_port != before.destination_port;
  if (moves_ip && !can.has(rule.is_v4() ? Ability::set_ipv4 : Ability::set_ipv6)) return false;
  if (!moves_port) return true;
  const bool has_ports = rule.protocol == packet::kProtoTcp || rule.protocol == packet::kProtoUdp;
  return has_ports && can.has(Ability::set_ports);
}

// The new Ethernet header of a packet that leaves without a tunnel, or the inner one of one that
// leaves with it.
void add_macs(const Rule& rule, Actions& actions) {
  const packet::EthernetHeader& ethernet = rule.hop.ethernet;
  const bool is_plain_underlay = !rule.has(kEncapsulate) && !rule.neighbor_mac.is_zero();
  const Mac& destination = is_plain_underlay ? rule.neighbor_mac : ethernet.destination;
  std::memcpy(actions.source_mac.mac_addr, ethernet.source.bytes.data(), 6);
  std::memcpy(actions.destination_mac.mac_addr, destination.bytes.data(), 6);
  actions.add(RTE_FLOW_ACTION_TYPE_SET_MAC_SRC, &actions.source_mac);
  actions.add(RTE_FLOW_ACTION_TYPE_SET_MAC_DST, &actions.destination_mac);
}

void add_vxlan_encap(const Rule& rule, Actions& actions) {
  Pattern& items = actions.tunnel;
  items.clear();
  const auto eth = items.add(RTE_FLOW_ITEM_TYPE_ETH);
  put(eth.spec.eth.dst, rule.neighbor_mac);
  put(eth.spec.eth.src, rule.hop.underlay_source);
  eth.spec.eth.type = wire16(packet::kEtherTypeIpv4);
  const auto ip = items.add(RTE_FLOW_ITEM_TYPE_IPV4);
  ip.spec.ipv4.hdr.version_ihl = packet::kIpv4PlainVersionIhl;
  ip.spec.ipv4.hdr.type_of_service = rule.tos;
  ip.spec.ipv4.hdr.fragment_offset = rule.hop.outer_ip.flags_offset.raw();
  ip.spec.ipv4.hdr.time_to_live = rule.hop.outer_ip.ttl;
  ip.spec.ipv4.hdr.next_proto_id = packet::kProtoUdp;
  ip.spec.ipv4.hdr.src_addr = rule.hop.outer_ip.source.raw();
  ip.spec.ipv4.hdr.dst_addr = rule.hop.outer_ip.destination.raw();
  const auto udp = items.add(RTE_FLOW_ITEM_TYPE_UDP);
  udp.spec.udp.hdr.src_port = wire16(rule.outer_source_port);
  udp.spec.udp.hdr.dst_port = rule.hop.outer_udp.destination_port.raw();
  const auto vxlan = items.add(RTE_FLOW_ITEM_TYPE_VXLAN);
  std::memcpy(&vxlan.spec.vxlan, &rule.hop.vxlan, sizeof rule.hop.vxlan);
  actions.vxlan_encap.definition = const_cast<rte_flow_item*>(items.items());
  actions.add(RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP, &actions.vxlan_encap);
}

void add_raw_encap(const Rule& rule, Actions& actions) {
  write_tunnel_header(rule, actions.header.data());
  actions.raw_encap = {actions.header.data(), nullptr, packet::kVxlanOverIpv4Bytes};
  actions.add(RTE_FLOW_ACTION_TYPE_RAW_ENCAP, &actions.raw_encap);
}

// The data names the headers that are taken off; of their fields only the types count.
void add_raw_decap(const Rule& rule, Actions& actions) {
  std::uint8_t* const data = actions.removed.data();
  auto& ip = packet::header_at<packet::Ipv4Header>(data + sizeof(packet::EthernetHeader));
  auto& udp = packet::header_at<packet::UdpHeader>(data + sizeof(packet::EthernetHeader) +
                                                   sizeof(packet::Ipv4Header));
  auto& vxlan = packet::header_at<packet::VxlanHeader>(data + packet::kVxlanOverIpv4Bytes -
                                                       sizeof(packet::VxlanHeader));
  std::memset(data, 0, packet::kVxlanOverIpv4Bytes);
  packet::header_at<packet::EthernetHeader>(data).ether_type = Be16(packet::kEtherTypeIpv4);
  ip.version_ihl = packet::kIpv4PlainVersionIhl;
  ip.protocol = packet::kProtoUdp;
  udp.destination_port = Be16(rule.tunnel.udp_port);
  vxlan.flags = packet::kVxlanFlagVni;
  actions.raw_decap = {data, packet::kVxlanOverIpv4Bytes};
  actions.add(RTE_FLOW_ACTION_TYPE_RAW_DECAP, &actions.raw_decap);
}

}  // namespace

Pattern::Item Pattern::add(rte_flow_item_type type) {
  GANNET_CHECK(count_ + 1 < kMaxItems);
  ItemSpace& spec = specs_[count_];
  ItemSpace& mask = masks_[count_];
  std::memset(static_cast<void*>(&spec), 0, sizeof spec);
  std::memset(static_cast<void*>(&mask), 0, sizeof mask);
  items_[count_] = {type, &spec, nullptr, &mask};
  items_[++count_].type = RTE_FLOW_ITEM_TYPE_END;
  return {spec, mask};
}

void Pattern::add_bare(rte_flow_item_type type) {
  GANNET_CHECK(count_ + 1 < kMaxItems);
  items_[count_] = {type, nullptr, nullptr, nullptr};
  items_[++count_].type = RTE_FLOW_ITEM_TYPE_END;
}

ItemSpace& Pattern::last() {
  ItemSpace& space = lasts_[count_ - 1];
  std::memcpy(static_cast<void*>(&space), items_[count_ - 1].spec, sizeof space);
  items_[count_ - 1].last = &space;
  return space;
}

void Actions::add(rte_flow_action_type type, const void* conf) {
  GANNET_CHECK(count_ + 1 < kMaxActions);
  actions_[count_] = {type, conf};
  actions_[++count_] = {RTE_FLOW_ACTION_TYPE_END, nullptr};
}

void write_tunnel_header(const Rule& rule, std::uint8_t* header) {
  std::memcpy(header, rule.hop.bytes(), packet::kVxlanOverIpv4Bytes);
  std::memcpy(header, rule.neighbor_mac.bytes.data(), 6);
  auto& ip = packet::header_at<packet::Ipv4Header>(header + sizeof(packet::EthernetHeader));
  auto& udp = packet::header_at<packet::UdpHeader>(header + sizeof(packet::EthernetHeader) +
                                                   sizeof(packet::Ipv4Header));
  ip.tos = rule.tos;
  ip.checksum = Be16(0);  // With the lengths, the card's business.
  udp.source_port = Be16(rule.outer_source_port);
}

rte_flow_attr flow_attributes() {
  rte_flow_attr attributes{};
  attributes.group = kFlowGroup;
  attributes.transfer = 1;
  return attributes;
}

Refusal compile_pattern(const Rule& rule, const Capabilities& can, Pattern& pattern) {
  pattern.clear();
  if (!can_match(rule, can)) return Refusal::match;
  match_port(pattern, rule.in_port);
  match_integrity(rule, can, pattern);
  if (rule.has(kDecapsulate)) match_tunnel(rule, pattern);
  match_ethernet(pattern, rule.destination_mac, rule.source_mac);
  if (rule.is_v4()) {
    match_ipv4(rule, pattern);
  } else {
    match_ipv6(rule, pattern);
  }
  return match_l4(rule, can, pattern);
}

Refusal compile_actions(const Rule& rule, const Capabilities& can,
                        const rte_flow_action_handle* count_handle, Actions& actions) {
  actions.clear();
  if (!can_translate(rule, can)) return Refusal::action;
  if (rule.has(kRewriteMacs) && !can.has(Ability::set_mac)) return Refusal::action;
  if (rule.has(kDecrementTtl) && !can.has(Ability::dec_ttl)) return Refusal::action;
  if (count_handle != nullptr) {
    actions.add(RTE_FLOW_ACTION_TYPE_INDIRECT, count_handle);
  } else {
    actions.add(RTE_FLOW_ACTION_TYPE_COUNT, &actions.counter);
  }
  if (rule.has(kDecapsulate)) {
    if (can.has(Ability::decap_vxlan)) {
      actions.add(RTE_FLOW_ACTION_TYPE_VXLAN_DECAP);
    } else if (can.has(Ability::decap_raw)) {
      add_raw_decap(rule, actions);
    } else {
      return Refusal::action;
    }
  }
  if (rule.has(kRewriteMacs)) add_macs(rule, actions);
  add_translation(rule, actions);
  if (rule.has(kDecrementTtl)) actions.add(RTE_FLOW_ACTION_TYPE_DEC_TTL);
  if (rule.has(kEncapsulate)) {
    if (can.has(Ability::encap_vxlan)) {
      add_vxlan_encap(rule, actions);
    } else if (can.has(Ability::encap_raw)) {
      add_raw_encap(rule, actions);
    } else {
      return Refusal::action;
    }
  }
  if (can.has(Ability::watch)) {
    actions.jump.group = kExitGroup + rule.out_port;
    actions.add(RTE_FLOW_ACTION_TYPE_JUMP, &actions.jump);
  } else {
    actions.output.port_id = rule.out_port;
    actions.add(RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &actions.output);
  }
  return Refusal::kNone;
}

rte_flow_attr exit_attributes(std::uint16_t ethdev, std::uint32_t priority) {
  rte_flow_attr attributes{};
  attributes.group = kExitGroup + ethdev;
  attributes.priority = priority;
  attributes.transfer = 1;
  return attributes;
}

void compile_exit(std::uint16_t ethdev, Pattern& pattern, Actions& actions) {
  pattern.clear();
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);  // Wherever they came in.
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_ETH);
  actions.clear();
  actions.output.port_id = ethdev;
  actions.add(RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &actions.output);
}

}  // namespace gannet::offload
