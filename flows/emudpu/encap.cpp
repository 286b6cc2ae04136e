// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/encap.hpp"

#include "flows/emudpu/actions.hpp"
#include "flows/packet/headers.hpp"

#include <cerrno>
#include <cstring>

namespace gannet::emudpu {
namespace {

using packet::header_at;

// Bytes of header that an item of a tunnel definition stands for; 0 if it has no place there.
unsigned header_bytes(int type) {
  switch (type) {
    case RTE_FLOW_ITEM_TYPE_ETH: return sizeof(packet::EthernetHeader);
    case RTE_FLOW_ITEM_TYPE_VLAN: return sizeof(packet::VlanTag);
    case RTE_FLOW_ITEM_TYPE_IPV4: return sizeof(packet::Ipv4Header);
    case RTE_FLOW_ITEM_TYPE_IPV6: return sizeof(packet::Ipv6Header);
    case RTE_FLOW_ITEM_TYPE_UDP: return sizeof(packet::UdpHeader);
    case RTE_FLOW_ITEM_TYPE_VXLAN: return sizeof(packet::VxlanHeader);
    default: return 0;
  }
}

// Fields that a program may leave zero because the header that follows says them.
void complete_type(std::uint8_t* bytes, int type, int next_type) {
  const std::uint16_t ether_type = next_type == RTE_FLOW_ITEM_TYPE_IPV4   ? packet::kEtherTypeIpv4
                                   : next_type == RTE_FLOW_ITEM_TYPE_IPV6 ? packet::kEtherTypeIpv6
                                                                          : packet::kEtherTypeVlan;
  switch (type) {
    case RTE_FLOW_ITEM_TYPE_ETH: {
      auto& eth = header_at<packet::EthernetHeader>(bytes);
      if (eth.ether_type.raw() == 0) eth.ether_type = Be16(ether_type);
      break;
    }
    case RTE_FLOW_ITEM_TYPE_VLAN: {
      auto& tag = header_at<packet::VlanTag>(bytes);
      if (tag.ether_type.raw() == 0) tag.ether_type = Be16(ether_type);
      break;
    }
    case RTE_FLOW_ITEM_TYPE_IPV4: {
      auto& ip = header_at<packet::Ipv4Header>(bytes);
      if (ip.version_ihl == 0) ip.version_ihl = packet::kIpv4PlainVersionIhl;
      if (ip.ttl == 0) ip.ttl = 64;
      if (ip.protocol == 0) ip.protocol = packet::kProtoUdp;
      break;
    }
    case RTE_FLOW_ITEM_TYPE_IPV6: {
      auto& ip = header_at<packet::Ipv6Header>(bytes);
      if (ip.version() == 0) bytes[0] = static_cast<std::uint8_t>(bytes[0] | 0x60);
      if (ip.hop_limit == 0) ip.hop_limit = 64;
      if (ip.next_header == 0) ip.next_header = packet::kProtoUdp;
      break;
    }
    case RTE_FLOW_ITEM_TYPE_UDP: {
      auto& udp = header_at<packet::UdpHeader>(bytes);
      if (udp.destination_port.raw() == 0) udp.destination_port = Be16(packet::kVxlanPort);
      break;
    }
    default: {
      auto& vxlan = header_at<packet::VxlanHeader>(bytes);
      if (vxlan.flags == 0) vxlan.flags = packet::kVxlanFlagVni;
      break;
    }
  }
}

}  // namespace

int flatten_tunnel(const rte_flow_item* items, std::uint8_t* out) {
  unsigned at = 0;
  int last = RTE_FLOW_ITEM_TYPE_END;
  for (; items->type != RTE_FLOW_ITEM_TYPE_END; ++items) {
    if (items->type == RTE_FLOW_ITEM_TYPE_VOID) continue;
    const unsigned bytes = header_bytes(items->type);
    if (bytes == 0 || items->spec == nullptr || at + bytes > kMaxHeadBytes) return -EINVAL;
    if ((last == RTE_FLOW_ITEM_TYPE_END) != (items->type == RTE_FLOW_ITEM_TYPE_ETH)) return -EINVAL;
    if (last != RTE_FLOW_ITEM_TYPE_END) {
      complete_type(out + at - header_bytes(last), last, items->type);
    }
    std::memcpy(out + at, items->spec, bytes);
    at += bytes;
    last = items->type;
  }
  if (last != RTE_FLOW_ITEM_TYPE_VXLAN) return -EINVAL;
  complete_type(out + at - header_bytes(last), last, RTE_FLOW_ITEM_TYPE_END);
  const HeadData head = describe_head(out, static_cast<std::uint16_t>(at));
  if (head.udp == HeadData::kNone) return -EINVAL;
  return static_cast<int>(at);
}

HeadData describe_head(const std::uint8_t* bytes, std::uint16_t size) {
  HeadData head{.bytes = size, .ipv4_sum = 0};
  unsigned at = sizeof(packet::EthernetHeader);
  if (size < at) return head;
  std::uint16_t type = header_at<packet::EthernetHeader>(bytes).ether_type.host();
  while ((type == packet::kEtherTypeVlan || type == packet::kEtherTypeQinq) && size >= at + 4) {
    type = header_at<packet::VlanTag>(bytes + at).ether_type.host();
    at += sizeof(packet::VlanTag);
  }
  std::uint8_t protocol = 0;
  if (type == packet::kEtherTypeIpv4 && size >= at + sizeof(packet::Ipv4Header)) {
    const auto& ip = header_at<packet::Ipv4Header>(bytes + at);
    if (ip.header_bytes() < 20 || size < at + ip.header_bytes()) return head;
    head.ipv4 = static_cast<std::uint16_t>(at);
    for (unsigned i = 0; i < ip.header_bytes(); i += 2) {
      const bool is_filled_in = i == 2 || i == 10;  // Total length, checksum.
      if (!is_filled_in) head.ipv4_sum += load<Be16>(bytes + at + i).host();
    }
    protocol = ip.protocol;
    at += ip.header_bytes();
  } else if (type == packet::kEtherTypeIpv6 && size >= at + sizeof(packet::Ipv6Header)) {
    head.ipv6 = static_cast<std::uint16_t>(at);
    protocol = header_at<packet::Ipv6Header>(bytes + at).next_header;
    at += sizeof(packet::Ipv6Header);
  }
  if (protocol == packet::kProtoUdp && size >= at + sizeof(packet::UdpHeader)) {
    head.udp = static_cast<std::uint16_t>(at);
  }
  return head;
}

}  // namespace gannet::emudpu
