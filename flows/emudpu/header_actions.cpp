// SPDX-License-Identifier: BSD-3-Clause
// Actions that change headers.
#include "flows/emudpu/action_builder.hpp"
#include "flows/emudpu/encap.hpp"
#include "flows/emudpu/modify_field.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace gannet::emudpu {
namespace {

int enter_rank(ActionBuilder& b, const rte_flow_action& action, unsigned rank) {
  if (b.context.profile.action_order != ActionOrder::kAny && rank < b.rank) {
    return refuse(b, action, "wrong action order: decapsulation, changes, encapsulation");
  }
  b.rank = std::max(b.rank, rank);
  return 0;
}

int need_headers(const ActionBuilder& b, const rte_flow_action& action, std::uint32_t any_of) {
  if (!b.context.profile.needs_headers || (b.presence & any_of) != 0) return 0;
  return refuse(b, action, "no item in the pattern for the header to change");
}

// A change of a field of up to four bytes to a value in host order.
int add_set(ActionBuilder& b, const rte_flow_action& action, FieldId field, std::uint32_t value,
            std::uint32_t headers) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  if (const int status = need_headers(b, action, headers); status != 0) return status;
  return b.program->add(OpCode::kSet, value, 0, field) != nullptr ? 0 : too_long(b, action);
}

int add_wide_set(ActionBuilder& b, const rte_flow_action& action, FieldId field, const void* value,
                 unsigned size, std::uint32_t headers) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  if (const int status = need_headers(b, action, headers); status != 0) return status;
  Op* const op = b.program->add(OpCode::kSet, 0, sizeof(SetData), field);
  if (op == nullptr) return too_long(b, action);
  op->data<SetData>() = SetData{};
  std::memcpy(op->data<SetData>().value, value, size);
  return 0;
}

int add_vlan_set(ActionBuilder& b, const rte_flow_action& action, FieldId field,
                 std::uint32_t value) {
  if (const int status = enter_rank(b, action, kPush); status != 0) return status;
  if (const int status = need_headers(b, action, kHasVlan); status != 0) return status;
  return b.program->add(OpCode::kSet, value, 0, field) != nullptr ? 0 : too_long(b, action);
}

int add_ttl_change(ActionBuilder& b, const rte_flow_action& action) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  if (const int status = need_headers(b, action, kAnyL3); status != 0) return status;
  // A card adds 0xff: TTL 0 becomes 255. Whoever cares matches the TTL.
  const bool done = b.program->add(OpCode::kAdd, 0xff, 0, FieldId::kTtl) != nullptr;
  return done ? 0 : too_long(b, action);
}

int add_modify(ActionBuilder& b, const rte_flow_action& action) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  const char* why = nullptr;
  if (compile_modify_field(conf<rte_flow_action_modify_field>(action), *b.program, &why) != 0) {
    return refuse_conf(b, action, why, ENOTSUP);
  }
  return 0;
}

int add_head(ActionBuilder& b, const rte_flow_action& action, const std::uint8_t* bytes,
             std::size_t size) {
  if (const int status = enter_rank(b, action, kEncap); status != 0) return status;
  if (size == 0 || size > kMaxHeadBytes) return refuse_conf(b, action, "headers too long");
  Op* const op = b.program->add(OpCode::kAddHead, 0, sizeof(HeadData) + size);
  if (op == nullptr) return too_long(b, action);
  op->data<HeadData>() = describe_head(bytes, static_cast<std::uint16_t>(size));
  std::memcpy(&op->data<HeadData>() + 1, bytes, size);
  b.inner_presence = b.presence;
  b.presence = kHasEth | kAnyL3 | kAnyPorts;
  return 0;
}

int add_tunnel(ActionBuilder& b, const rte_flow_action& action) {
  std::uint8_t bytes[kMaxHeadBytes];
  const rte_flow_item* const items = conf<rte_flow_action_vxlan_encap>(action).definition;
  const int size = items == nullptr ? -EINVAL : flatten_tunnel(items, bytes);
  if (size < 0) return refuse_conf(b, action, "not a stack of ETH, IP, UDP and VXLAN with specs");
  return add_head(b, action, bytes, static_cast<std::size_t>(size));
}

int add_decap(ActionBuilder& b, const rte_flow_action& action) {
  if (b.context.domain == Domain::kEgress) return refuse(b, action, "no decapsulation at egress");
  if (const int status = enter_rank(b, action, kDecap); status != 0) return status;
  if (action.type == RTE_FLOW_ACTION_TYPE_RAW_DECAP) {
    const std::size_t size = conf<rte_flow_action_raw_decap>(action).size;
    if (size == 0 || size > kMaxHeadBytes) return refuse_conf(b, action, "headers too long");
    if (b.program->add(OpCode::kRemoveHead, static_cast<std::uint32_t>(size)) == nullptr) {
      return too_long(b, action);
    }
    // A stack without a tunnel is taken off before another one is put on.
    if (size > sizeof(packet::EthernetHeader) + 2 * sizeof(packet::VlanTag))
      b.presence = b.inner_presence;
    return 0;
  }
  if (b.context.profile.needs_headers && (b.context.headers.presence[0] & kHasVxlan) == 0) {
    return refuse(b, action, "VXLAN item should be present for VXLAN decap");
  }
  if (b.program->add(OpCode::kVxlanDecap) == nullptr) return too_long(b, action);
  b.presence = b.context.headers.presence[1];
  return 0;
}

int add_vlan(ActionBuilder& b, const rte_flow_action& action) {
  if (action.type == RTE_FLOW_ACTION_TYPE_OF_POP_VLAN) {
    if (const int status = enter_rank(b, action, kDecap); status != 0) return status;
    if (const int status = need_headers(b, action, kHasVlan); status != 0) return status;
    return b.program->add(OpCode::kPopVlan) != nullptr ? 0 : too_long(b, action);
  }
  if (const int status = enter_rank(b, action, kPush); status != 0) return status;
  const std::uint16_t type =
      Be16::from_raw(conf<rte_flow_action_of_push_vlan>(action).ethertype).host();
  if (type != packet::kEtherTypeVlan && type != packet::kEtherTypeQinq) {
    return refuse_conf(b, action, "EtherType is not that of a tag");
  }
  if (b.program->add(OpCode::kPushVlan, type) == nullptr) return too_long(b, action);
  b.presence |= kHasVlan;
  return 0;
}

}  // namespace

int add_header_action(ActionBuilder& b, const rte_flow_action& a) {
  switch (a.type) {
    case RTE_FLOW_ACTION_TYPE_SET_MAC_SRC:
      return add_wide_set(b, a, FieldId::kMacSource, a.conf, 6, kHasEth);
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST:
      return add_wide_set(b, a, FieldId::kMacDestination, a.conf, 6, kHasEth);
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC:
      return add_set(b, a, FieldId::kIpv4Source, load<Be32>(a.conf).host(), kHasIpv4);
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DST:
      return add_set(b, a, FieldId::kIpv4Destination, load<Be32>(a.conf).host(), kHasIpv4);
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC:
      return add_wide_set(b, a, FieldId::kIpv6Source, a.conf, 16, kHasIpv6);
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DST:
      return add_wide_set(b, a, FieldId::kIpv6Destination, a.conf, 16, kHasIpv6);
    case RTE_FLOW_ACTION_TYPE_SET_TP_SRC:
      return add_set(b, a, FieldId::kSourcePort, load<Be16>(a.conf).host(), kAnyPorts);
    case RTE_FLOW_ACTION_TYPE_SET_TP_DST:
      return add_set(b, a, FieldId::kDestinationPort, load<Be16>(a.conf).host(), kAnyPorts);
    case RTE_FLOW_ACTION_TYPE_SET_TTL:
      return add_set(b, a, FieldId::kTtl, conf<rte_flow_action_set_ttl>(a).ttl_value, kAnyL3);
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DSCP:
      return add_set(b, a, FieldId::kDscp, conf<rte_flow_action_set_dscp>(a).dscp & 0x3fu,
                     a.type == RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP ? kHasIpv4 : kHasIpv6);
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID:
      return add_vlan_set(b, a, FieldId::kVlanId, load<Be16>(a.conf).host() & 0x0fffu);
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP:
      return add_vlan_set(b, a, FieldId::kVlanPriority,
                          conf<rte_flow_action_of_set_vlan_pcp>(a).vlan_pcp & 7u);
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD: return add_modify(b, a);
    case RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP: return add_tunnel(b, a);
    case RTE_FLOW_ACTION_TYPE_RAW_ENCAP: {
      const auto& head = conf<rte_flow_action_raw_encap>(a);
      return head.data == nullptr ? refuse_conf(b, a, "no data")
                                  : add_head(b, a, head.data, head.size);
    }
    case RTE_FLOW_ACTION_TYPE_VXLAN_DECAP:
    case RTE_FLOW_ACTION_TYPE_RAW_DECAP: return add_decap(b, a);
    case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN:
    case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN: return add_vlan(b, a);
    default: return add_ttl_change(b, a);
  }
}

}  // namespace gannet::emudpu
