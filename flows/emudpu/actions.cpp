// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/actions.hpp"

#include "flows/emudpu/encap.hpp"
#include "flows/emudpu/modify_field.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace gannet::emudpu {
namespace {

constexpr std::uint32_t kMaxRssQueues = 128;
constexpr std::uint32_t kAnyL3 = kHasIpv4 | kHasIpv6;
constexpr std::uint32_t kAnyPorts = kHasTcp | kHasUdp;

// Places in the order that ActionOrder asks for.
enum Rank : unsigned { kFree, kDecap, kChange, kPush, kEncap };

struct Builder {
  const ActionContext& context;
  ParsedActions& out;
  rte_flow_error* error;
  bool is_sample = false;
  ProgramBuffer* program = nullptr;
  // What is known of the headers that a change would meet now.
  std::uint32_t presence = 0;
  std::uint32_t inner_presence = 0;
  unsigned rank = kFree;
  bool has_fate = false;
  ProgramBuffer fate{};
};

int parse_list(Builder& b, const rte_flow_action* actions);

int refuse(const Builder& b, const rte_flow_action& action, const char* message,
           int code = EINVAL) {
  return rte_flow_error_set(b.error, code, RTE_FLOW_ERROR_TYPE_ACTION, &action, message);
}

int refuse_conf(const Builder& b, const rte_flow_action& action, const char* message,
                int code = EINVAL) {
  return rte_flow_error_set(b.error, code, RTE_FLOW_ERROR_TYPE_ACTION_CONF, action.conf, message);
}

template <typename T>
const T& conf(const rte_flow_action& action) {
  return *static_cast<const T*>(action.conf);
}

int enter_rank(Builder& b, const rte_flow_action& action, unsigned rank) {
  if (b.context.profile.action_order != ActionOrder::kAny && rank < b.rank) {
    return refuse(b, action, "wrong action order: decapsulation, changes, encapsulation");
  }
  b.rank = std::max(b.rank, rank);
  return 0;
}

int need_headers(const Builder& b, const rte_flow_action& action, std::uint32_t any_of) {
  if (!b.context.profile.needs_headers || (b.presence & any_of) != 0) return 0;
  return refuse(b, action, "no item in the pattern for the header to change");
}

int too_long(const Builder& b, const rte_flow_action& action) {
  return refuse(b, action, "too many actions", ENOSPC);
}

// A change of a field of up to four bytes to a value in host order.
int add_set(Builder& b, const rte_flow_action& action, FieldId field, std::uint32_t value,
            std::uint32_t headers) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  if (const int status = need_headers(b, action, headers); status != 0) return status;
  return b.program->add(OpCode::kSet, value, 0, field) != nullptr ? 0 : too_long(b, action);
}

int add_wide_set(Builder& b, const rte_flow_action& action, FieldId field, const void* value,
                 unsigned size, std::uint32_t headers) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  if (const int status = need_headers(b, action, headers); status != 0) return status;
  Op* const op = b.program->add(OpCode::kSet, 0, sizeof(SetData), field);
  if (op == nullptr) return too_long(b, action);
  op->data<SetData>() = SetData{};
  std::memcpy(op->data<SetData>().value, value, size);
  return 0;
}

int add_vlan_set(Builder& b, const rte_flow_action& action, FieldId field, std::uint32_t value) {
  if (const int status = enter_rank(b, action, kPush); status != 0) return status;
  if (const int status = need_headers(b, action, kHasVlan); status != 0) return status;
  return b.program->add(OpCode::kSet, value, 0, field) != nullptr ? 0 : too_long(b, action);
}

int add_ttl_change(Builder& b, const rte_flow_action& action) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  if (const int status = need_headers(b, action, kAnyL3); status != 0) return status;
  // A card adds 0xff: TTL 0 becomes 255. Whoever cares matches the TTL.
  const bool done = b.program->add(OpCode::kAdd, 0xff, 0, FieldId::kTtl) != nullptr;
  return done ? 0 : too_long(b, action);
}

int add_modify(Builder& b, const rte_flow_action& action) {
  if (const int status = enter_rank(b, action, kChange); status != 0) return status;
  const char* why = nullptr;
  if (compile_modify_field(conf<rte_flow_action_modify_field>(action), *b.program, &why) != 0) {
    return refuse_conf(b, action, why, ENOTSUP);
  }
  return 0;
}

int add_head(Builder& b, const rte_flow_action& action, const std::uint8_t* bytes,
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

int add_tunnel(Builder& b, const rte_flow_action& action) {
  std::uint8_t bytes[kMaxHeadBytes];
  const rte_flow_item* const items = conf<rte_flow_action_vxlan_encap>(action).definition;
  const int size = items == nullptr ? -EINVAL : flatten_tunnel(items, bytes);
  if (size < 0) return refuse_conf(b, action, "not a stack of ETH, IP, UDP and VXLAN with specs");
  return add_head(b, action, bytes, static_cast<std::size_t>(size));
}

int add_decap(Builder& b, const rte_flow_action& action) {
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

int add_vlan(Builder& b, const rte_flow_action& action) {
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

int add_count(Builder& b, const rte_flow_action& action, IndirectAction* shared) {
  if (b.is_sample) return refuse(b, action, "no COUNT among the actions of a sample", ENOTSUP);
  if (b.out.has_count) return refuse(b, action, "duplicate count actions set");
  if (b.context.profile.action_order == ActionOrder::kStrict && b.rank != kFree) {
    return refuse(b, action, "wrong action order: COUNT comes first");
  }
  b.out.has_count = true;
  b.out.count = shared;
  return 0;
}

int add_age(Builder& b, const rte_flow_action& action, IndirectAction* shared) {
  if (b.is_sample) return refuse(b, action, "no AGE among the actions of a sample", ENOTSUP);
  if (b.out.has_age) return refuse(b, action, "duplicate age actions set");
  b.out.has_age = true;
  b.out.age = shared;
  if (shared != nullptr) return 0;
  const auto& age = conf<rte_flow_action_age>(action);
  if (age.timeout == 0) return refuse_conf(b, action, "invalid timeout value 0");
  b.out.age_timeout_s = age.timeout;
  b.out.age_context = age.context;
  return 0;
}

int add_indirect(Builder& b, const rte_flow_action& action) {
  auto* const shared = static_cast<IndirectAction*>(const_cast<void*>(action.conf));
  if (shared == nullptr || !b.context.targets.is_alive(shared)) {
    return refuse_conf(b, action, "not an indirect action of this card");
  }
  return shared->type == RTE_FLOW_ACTION_TYPE_COUNT ? add_count(b, action, shared)
                                                    : add_age(b, action, shared);
}

int add_sample(Builder& b, const rte_flow_action& action) {
  if (b.is_sample) return refuse(b, action, "a sample within a sample");
  const auto& sample = conf<rte_flow_action_sample>(action);
  if (sample.ratio == 0 || sample.actions == nullptr)
    return refuse_conf(b, action, "ratio or actions missing");
  ProgramBuffer program;
  Builder inner{b.context, b.out, b.error, true, &program};
  inner.presence = b.presence;
  inner.inner_presence = b.inner_presence;
  if (const int status = parse_list(inner, sample.actions); status != 0) return status;
  if (!inner.has_fate) return refuse_conf(b, action, "a sample must go somewhere");
  const std::uint32_t size = program.size() + inner.fate.size();
  Op* const op = b.program->add(OpCode::kSample, 0, sizeof(SampleData) + size);
  if (op == nullptr) return too_long(b, action);
  op->data<SampleData>() = {sample.ratio, 0, size, 0};
  auto* const bytes = reinterpret_cast<std::uint8_t*>(&op->data<SampleData>() + 1);
  std::memcpy(bytes, program.data(), program.size());
  std::memcpy(bytes + program.size(), inner.fate.data(), inner.fate.size());
  return 0;
}

int add_meter(Builder& b, const rte_flow_action& action) {
  Meter* const meter =
      b.context.targets.find_meter(b.context.port, conf<rte_flow_action_meter>(action).mtr_id);
  if (meter == nullptr) return refuse_conf(b, action, "no such meter", ENOENT);
  Op* const op = b.program->add(OpCode::kMeter, 0, sizeof(PointerData));
  if (op == nullptr) return too_long(b, action);
  op->data<PointerData>() = {meter};
  return 0;
}

// Fates.

int set_fate(Builder& b, const rte_flow_action& action, OpCode code, std::uint32_t number = 0) {
  if (b.has_fate) return refuse(b, action, "can have only one fate actions in a flow");
  b.has_fate = true;
  return b.fate.add(code, number) != nullptr ? 0 : too_long(b, action);
}

int add_port(Builder& b, const rte_flow_action& action) {
  if (b.context.domain != Domain::kTransfer) {
    return refuse(b, action, "port actions are for transfer rules", ENOTSUP);
  }
  int index = b.context.port;
  if (action.type == RTE_FLOW_ACTION_TYPE_PORT_ID) {
    const auto& port = conf<rte_flow_action_port_id>(action);
    if (port.original == 0) index = b.context.targets.find_index(port.id);
  } else {
    index = b.context.targets.find_index(conf<rte_flow_action_ethdev>(action).port_id);
  }
  if (index < 0) return refuse_conf(b, action, "not a port of this card", ENODEV);
  const bool is_up = action.type == RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR;
  return set_fate(b, action, is_up ? OpCode::kToProgram : OpCode::kToWire,
                  static_cast<std::uint32_t>(index));
}

int add_jump(Builder& b, const rte_flow_action& action) {
  const std::uint32_t group = conf<rte_flow_action_jump>(action).group;
  if (b.is_sample) return refuse(b, action, "no JUMP among the actions of a sample", ENOTSUP);
  if (group > b.context.profile.max_group)
    return refuse_conf(b, action, "the card has no such group");
  if (group == b.context.group) {
    return refuse_conf(b, action, "target group must be other than the current flow group");
  }
  if (b.has_fate) return refuse(b, action, "can have only one fate actions in a flow");
  GroupTable* const table = b.context.targets.obtain_table(b.context.domain, b.context.port, group);
  Op* const op = b.fate.add(OpCode::kJump, 0, sizeof(PointerData));
  op->data<PointerData>() = {table};
  b.has_fate = true;
  return 0;
}

int add_queue(Builder& b, const rte_flow_action& action) {
  if (b.context.domain != Domain::kIngress) {
    return refuse(b, action, "queues are for ingress rules", ENOTSUP);
  }
  const std::uint16_t count = b.context.targets.rx_queue_count(b.context.port);
  if (action.type == RTE_FLOW_ACTION_TYPE_QUEUE) {
    const std::uint16_t queue = conf<rte_flow_action_queue>(action).index;
    if (queue >= count) return refuse_conf(b, action, "queue index out of range");
    return set_fate(b, action, OpCode::kQueue, queue);
  }
  const auto& rss = conf<rte_flow_action_rss>(action);
  if (rss.queue_num == 0 || rss.queue == nullptr || rss.queue_num > kMaxRssQueues) {
    return refuse_conf(b, action, "No queues configured");
  }
  if (std::any_of(rss.queue, rss.queue + rss.queue_num, [count](auto q) { return q >= count; })) {
    return refuse_conf(b, action, "queue index out of range");
  }
  if (b.has_fate) return refuse(b, action, "can have only one fate actions in a flow");
  b.has_fate = true;
  Op* const op = b.fate.add(OpCode::kRss, rss.queue_num, rss.queue_num * sizeof(std::uint16_t));
  if (op == nullptr) return too_long(b, action);
  std::memcpy(op + 1, rss.queue, rss.queue_num * sizeof(std::uint16_t));
  return 0;
}

int add_mark(Builder& b, const rte_flow_action& action) {
  if (b.context.domain == Domain::kEgress) return refuse(b, action, "no mark at egress");
  Op* op;
  if (action.type == RTE_FLOW_ACTION_TYPE_FLAG) {
    op = b.program->add(OpCode::kFlag);
  } else {
    op = b.program->add(OpCode::kMark, conf<rte_flow_action_mark>(action).id);
  }
  return op != nullptr ? 0 : too_long(b, action);
}

bool needs_conf(int type) {
  switch (type) {
    case RTE_FLOW_ACTION_TYPE_VXLAN_DECAP:
    case RTE_FLOW_ACTION_TYPE_DEC_TTL:
    case RTE_FLOW_ACTION_TYPE_OF_DEC_NW_TTL:
    case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN:
    case RTE_FLOW_ACTION_TYPE_DROP:
    case RTE_FLOW_ACTION_TYPE_PASSTHRU:
    case RTE_FLOW_ACTION_TYPE_FLAG:
    case RTE_FLOW_ACTION_TYPE_COUNT:
      return false;
    default:
      return true;
  }
}

int add_header_change(Builder& b, const rte_flow_action& a) {
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
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
      return add_modify(b, a);
    default:
      return add_ttl_change(b, a);
  }
}

int parse_action(Builder& b, const rte_flow_action& a) {
  switch (a.type) {
    case RTE_FLOW_ACTION_TYPE_COUNT:
      return add_count(b, a, nullptr);
    case RTE_FLOW_ACTION_TYPE_AGE:
      return add_age(b, a, nullptr);
    case RTE_FLOW_ACTION_TYPE_MARK:
    case RTE_FLOW_ACTION_TYPE_FLAG:
      return add_mark(b, a);
    case RTE_FLOW_ACTION_TYPE_METER:
      return add_meter(b, a);
    case RTE_FLOW_ACTION_TYPE_SAMPLE:
      return add_sample(b, a);
    case RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP:
      return add_tunnel(b, a);
    case RTE_FLOW_ACTION_TYPE_RAW_ENCAP: {
      const auto& head = conf<rte_flow_action_raw_encap>(a);
      return head.data == nullptr ? refuse_conf(b, a, "no data")
                                  : add_head(b, a, head.data, head.size);
    }
    case RTE_FLOW_ACTION_TYPE_VXLAN_DECAP:
    case RTE_FLOW_ACTION_TYPE_RAW_DECAP:
      return add_decap(b, a);
    case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN:
    case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN:
      return add_vlan(b, a);
    case RTE_FLOW_ACTION_TYPE_DROP:
      return set_fate(b, a, OpCode::kDrop);
    case RTE_FLOW_ACTION_TYPE_PASSTHRU:
      return set_fate(b, a, OpCode::kDefault);
    case RTE_FLOW_ACTION_TYPE_JUMP:
      return add_jump(b, a);
    case RTE_FLOW_ACTION_TYPE_QUEUE:
    case RTE_FLOW_ACTION_TYPE_RSS:
      return add_queue(b, a);
    case RTE_FLOW_ACTION_TYPE_PORT_ID:
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
    case RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR:
      return add_port(b, a);
    default:
      return add_header_change(b, a);
  }
}

int parse_list(Builder& b, const rte_flow_action* actions) {
  for (; actions->type != RTE_FLOW_ACTION_TYPE_END; ++actions) {
    if (actions->type == RTE_FLOW_ACTION_TYPE_VOID) continue;
    int status;
    if (actions->type == RTE_FLOW_ACTION_TYPE_INDIRECT) {
      status = add_indirect(b, *actions);
    } else if (!b.context.profile.actions.has(actions->type)) {
      status = refuse(b, *actions, "action not supported", ENOTSUP);
    } else if (actions->conf == nullptr && needs_conf(actions->type)) {
      status = refuse_conf(b, *actions, "configuration cannot be null");
    } else {
      status = parse_action(b, *actions);
    }
    if (status != 0) return status;
  }
  return 0;
}

}  // namespace

int parse_actions(const ActionContext& context, const rte_flow_action* actions, ParsedActions& out,
                  rte_flow_error* error) {
  Builder b{context, out, error, false, &out.program};
  b.presence = context.headers.presence[0];
  b.inner_presence = context.headers.presence[1];
  if (const int status = parse_list(b, actions); status != 0) return status;
  if (!b.has_fate) {
    if (context.profile.needs_fate) {
      return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, actions,
                                "no fate action is found");
    }
    if (b.fate.add(OpCode::kDefault) == nullptr) return -EINVAL;
  }
  ProgramBuffer& program = out.program;
  if (!program.append(b.fate)) {
    return rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_ACTION_NUM, actions,
                              "too many actions");
  }
  return 0;
}

}  // namespace gannet::emudpu
