// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/item_layouts.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace gannet::emudpu {
namespace {

constexpr std::uint8_t kF = 0xff;

constexpr ItemLayout kItems[] = {
    {RTE_FLOW_ITEM_TYPE_ETH,
     kHasEth,
     offsetof(LayerKey, eth),
     14,
     sizeof(rte_flow_item_eth),
     1,
     {kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF},
     3,
     {{0, 6}, {6, 6}, {12, 2}}},
    {RTE_FLOW_ITEM_TYPE_VLAN,
     kHasVlan,
     offsetof(LayerKey, tags),
     4,
     sizeof(rte_flow_item_vlan),
     2,
     {0x0f, kF},
     2,
     {{0, 2}, {2, 2}}},
    {RTE_FLOW_ITEM_TYPE_IPV4,
     kHasIpv4,
     offsetof(LayerKey, l3),
     20,
     sizeof(rte_flow_item_ipv4),
     4,
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, kF, kF, kF, kF, kF, kF, kF, kF},
     10,
     {{0, 1}, {1, 1}, {2, 2}, {4, 2}, {6, 2}, {8, 1}, {9, 1}, {10, 2}, {12, 4}, {16, 4}}},
    {RTE_FLOW_ITEM_TYPE_IPV6,
     kHasIpv6,
     offsetof(LayerKey, l3),
     40,
     sizeof(rte_flow_item_ipv6),
     4,
     {0,  0,  0,  0,  0,  0,  0,  0,  kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF,
      kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF, kF},
     6,
     {{0, 4}, {4, 2}, {6, 1}, {7, 1}, {8, 16}, {24, 16}}},
    {RTE_FLOW_ITEM_TYPE_IPV6_FRAG_EXT,
     kHasFragment,
     offsetof(LayerKey, fragment),
     8,
     sizeof(rte_flow_item_ipv6_frag_ext),
     5,
     {},
     4,
     {{0, 1}, {1, 1}, {2, 2}, {4, 4}}},
    {RTE_FLOW_ITEM_TYPE_TCP,
     kHasTcp,
     offsetof(LayerKey, l4),
     20,
     sizeof(rte_flow_item_tcp),
     6,
     {kF, kF, kF, kF},
     9,
     {{0, 2}, {2, 2}, {4, 4}, {8, 4}, {12, 1}, {13, 1}, {14, 2}, {16, 2}, {18, 2}}},
    {RTE_FLOW_ITEM_TYPE_UDP,
     kHasUdp,
     offsetof(LayerKey, l4),
     8,
     sizeof(rte_flow_item_udp),
     6,
     {kF, kF, kF, kF},
     4,
     {{0, 2}, {2, 2}, {4, 2}, {6, 2}}},
    {RTE_FLOW_ITEM_TYPE_ICMP,
     kHasIcmp,
     offsetof(LayerKey, l4),
     8,
     sizeof(rte_flow_item_icmp),
     6,
     {kF, kF},
     5,
     {{0, 1}, {1, 1}, {2, 2}, {4, 2}, {6, 2}}},
    {RTE_FLOW_ITEM_TYPE_ICMP6,
     kHasIcmp6,
     offsetof(LayerKey, l4),
     4,
     sizeof(rte_flow_item_icmp6),
     6,
     {kF, kF},
     3,
     {{0, 1}, {1, 1}, {2, 2}}},
    {RTE_FLOW_ITEM_TYPE_VXLAN,
     kHasVxlan,
     offsetof(LayerKey, vxlan),
     8,
     sizeof(rte_flow_item_vxlan),
     7,
     {0, 0, 0, 0, kF, kF, kF},
     4,
     {{0, 1}, {1, 3}, {4, 3}, {7, 1}}},
};

}  // namespace

const ItemLayout* find_layout(int type) {
  const auto* const found = std::ranges::find(kItems, type, &ItemLayout::type);
  return found == std::end(kItems) ? nullptr : found;
}

}  // namespace gannet::emudpu
