// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/profile.hpp"

#include <algorithm>
#include <array>

namespace gannet::emudpu {
namespace {

constexpr TypeSet kPortItems{RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT,
                             RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR, RTE_FLOW_ITEM_TYPE_PORT_ID};
constexpr TypeSet kAllItems =
    kPortItems | TypeSet{RTE_FLOW_ITEM_TYPE_ETH,           RTE_FLOW_ITEM_TYPE_VLAN,
                         RTE_FLOW_ITEM_TYPE_IPV4,          RTE_FLOW_ITEM_TYPE_IPV6,
                         RTE_FLOW_ITEM_TYPE_IPV6_FRAG_EXT, RTE_FLOW_ITEM_TYPE_TCP,
                         RTE_FLOW_ITEM_TYPE_UDP,           RTE_FLOW_ITEM_TYPE_ICMP,
                         RTE_FLOW_ITEM_TYPE_ICMP6,         RTE_FLOW_ITEM_TYPE_VXLAN};
// Guide of mlx5: "Integrity offload is enabled for ConnectX-6 family"; one item of each level.
constexpr TypeSet kConnectxItems = kAllItems | TypeSet{RTE_FLOW_ITEM_TYPE_INTEGRITY};
constexpr TypeSet kBasicFates{RTE_FLOW_ACTION_TYPE_DROP,
                              RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT,
                              RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR,
                              RTE_FLOW_ACTION_TYPE_PORT_ID,
                              RTE_FLOW_ACTION_TYPE_QUEUE,
                              RTE_FLOW_ACTION_TYPE_RSS};
constexpr TypeSet kHeaderChanges{
    RTE_FLOW_ACTION_TYPE_SET_MAC_SRC,  RTE_FLOW_ACTION_TYPE_SET_MAC_DST,
    RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC, RTE_FLOW_ACTION_TYPE_SET_IPV4_DST,
    RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC, RTE_FLOW_ACTION_TYPE_SET_IPV6_DST,
    RTE_FLOW_ACTION_TYPE_SET_TP_SRC,   RTE_FLOW_ACTION_TYPE_SET_TP_DST,
    RTE_FLOW_ACTION_TYPE_DEC_TTL,      RTE_FLOW_ACTION_TYPE_SET_TTL};
// What mlx5 calls "Y" or "I" in doc/guides/nics/features/mlx5.ini, as far as it is modelled here.
constexpr TypeSet kConnectxActions = kBasicFates | kHeaderChanges |
                                     TypeSet{RTE_FLOW_ACTION_TYPE_JUMP,
                                             RTE_FLOW_ACTION_TYPE_COUNT,
                                             RTE_FLOW_ACTION_TYPE_AGE,
                                             RTE_FLOW_ACTION_TYPE_MARK,
                                             RTE_FLOW_ACTION_TYPE_FLAG,
                                             RTE_FLOW_ACTION_TYPE_METER,
                                             RTE_FLOW_ACTION_TYPE_SAMPLE,
                                             RTE_FLOW_ACTION_TYPE_MODIFY_FIELD,
                                             RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP,
                                             RTE_FLOW_ACTION_TYPE_VXLAN_DECAP,
                                             RTE_FLOW_ACTION_TYPE_RAW_ENCAP,
                                             RTE_FLOW_ACTION_TYPE_RAW_DECAP,
                                             RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN,
                                             RTE_FLOW_ACTION_TYPE_OF_POP_VLAN,
                                             RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID,
                                             RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP,
                                             RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP,
                                             RTE_FLOW_ACTION_TYPE_SET_IPV6_DSCP};

constexpr Profile kUnlimited{
    .name = "unlimited",
    .items = kConnectxItems,
    .actions = kConnectxActions |
               TypeSet{RTE_FLOW_ACTION_TYPE_PASSTHRU, RTE_FLOW_ACTION_TYPE_OF_DEC_NW_TTL},
    .slots = 16'000'000,
    .counters = 16'000'000,
    .ages = 16'000'000,
    .meters = 65'536,
    .max_group = 0xffff'ffff,
    .max_priority = 0xffff'ffff,
    .max_root_priority = 0xffff'ffff,
    .queues = 64,
    .has_ranges = true,
};

// NVIDIA ConnectX-6 Dx and BlueField-2, driver mlx5. "Guide" is doc/guides/nics/mlx5.rst of
// DPDK 22.11, "driver" its drivers/net/mlx5.
constexpr Profile kConnectx6Dx{
    .name = "connectx6dx",
    .items = kConnectxItems,
    .actions = kConnectxActions,
    // Driver, flow_dv_validate_action_decap ("can't have decap action after modify action", "decap
    // after encap is not supported") and _modify_hdr ("can't have encap action before modify
    // action").
    .action_order = ActionOrder::kDecapSetEncap,
    // Neither guide nor data sheet gives a number: steering entries lie in host memory. A guess of
    // what such cards are run with.
    .slots = 4'000'000,
    .counters = 4'000'000,
    .ages = 4'000'000,
    .meters = 4'096,
    // Driver, MLX5_MAX_TABLES_EXTERNAL = UINT16_MAX - 4.
    .max_group = 65'535 - 4,
    // Guide: "21844 flow priorities for ingress or egress flow groups greater than 0 and for any
    // transfer flow group".
    .max_priority = 21'843,
    // Driver, mlx5_flow_get_max_flow_priority over Verbs' 16 priorities, three for each of ours.
    .max_root_priority = 4,
    // Guide, dv_flow_en: 2 "enables the WQE based hardware steering. In this mode, only queue-based
    // flow management is supported"; driver, mlx5_flow_info_get: with any other value "info get
    // with incorrect steering mode". The card of this profile has both ways at once; flow_queues=0
    // takes the queues away.
    .queues = 64,
    // Driver, mlx5_flow_item_acceptable: "range not supported" but for fragment offsets.
    .has_ranges = false,
    // Driver, flow_dv_validate: "no fate action is found".
    .needs_fate = true,
    // Driver: "VXLAN item should be present for VXLAN decap"; "no ipv4 item in pattern" and the
    // like.
    .needs_headers = true,
    // Driver, flow_dv_translate: without a port item the source vport is matched.
    .has_implicit_source = true,
    // Guide, allow_duplicate_pattern: accepted by default, the first rule takes effect.
    .has_duplicates = true,
    // Guide: "Flow insertion rate of more then million flows per second, when using Direct Rules".
    .insert_rate = 1'000'000,
    .insert_delay = 0,
};

// Intel E810 in switchdev, driver ice. "Guide" is doc/guides/nics/ice.rst of DPDK 22.11, "driver"
// its drivers/net/ice.
constexpr Profile kE810{
    .name = "e810",
    // doc/guides/nics/features/ice.ini, as far as it is modelled here.
    .items = kAllItems,
    // The same: no change of any header, no tunnel action, no jump, no ageing.
    .actions = kBasicFates | TypeSet{RTE_FLOW_ACTION_TYPE_COUNT, RTE_FLOW_ACTION_TYPE_MARK,
                                     RTE_FLOW_ACTION_TYPE_PASSTHRU},
    .action_order = ActionOrder::kAny,
    // E810 data sheet: 16 K flow director filters; the switch shares its entries among functions.
    .slots = 16'384,
    // Driver, ice_fdir_counter: ICE_FDIR_COUNTERS_PER_BLOCK 256 counters in one block.
    .counters = 256,
    .ages = 0,
    // Driver, ice_flow_valid_attr: "Not support group."
    .max_group = 0,
    // Driver, ice_flow_valid_attr: "Only support priority 0 and 1."
    .max_priority = 1,
    .max_root_priority = 1,
    .queues = 0,
    // Driver, ice_switch_parse_pattern: "Not support range".
    .has_ranges = false,
    .needs_fate = true,
    .needs_headers = true,
    .has_implicit_source = true,
    // Driver, ice_flow_create: the base code answers ICE_ERR_ALREADY_EXISTS.
    .has_duplicates = false,
    // Each rule is an admin queue command that firmware answers: some thousands a second. A guess.
    .insert_rate = 10'000,
    .insert_delay = 50'000,
};

// No real card: as small and strict as a program may have to bear with.
constexpr Profile kTiny{
    .name = "tiny",
    .items = TypeSet{RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT, RTE_FLOW_ITEM_TYPE_ETH,
                     RTE_FLOW_ITEM_TYPE_IPV4, RTE_FLOW_ITEM_TYPE_TCP, RTE_FLOW_ITEM_TYPE_UDP,
                     RTE_FLOW_ITEM_TYPE_VXLAN},
    .actions = kHeaderChanges |
               TypeSet{RTE_FLOW_ACTION_TYPE_DROP, RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT,
                       RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR, RTE_FLOW_ACTION_TYPE_COUNT,
                       RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP, RTE_FLOW_ACTION_TYPE_VXLAN_DECAP},
    .action_order = ActionOrder::kStrict,
    .slots = 40,
    .counters = 40,
    .ages = 0,
    .max_group = 0,
    .max_priority = 3,
    .max_root_priority = 3,
    .queues = 0,
    .has_ranges = false,
    .needs_fate = true,
    .needs_headers = true,
    .has_implicit_source = false,
    .has_duplicates = false,
    .insert_rate = 10'000,
    .insert_delay = 0,
};

constexpr std::array kProfiles{&kUnlimited, &kConnectx6Dx, &kE810, &kTiny};

}  // namespace

const Profile* find_profile(std::string_view name) {
  const auto found = std::ranges::find(kProfiles, name, [](const Profile* p) { return p->name; });
  return found == kProfiles.end() ? nullptr : *found;
}

}  // namespace gannet::emudpu
