// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/actions.hpp"

#include "flows/emudpu/action_builder.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace gannet::emudpu {
namespace {

constexpr std::uint32_t kMaxRssQueues = 128;

int parse_list(ActionBuilder& b, const rte_flow_action* actions);

int add_count(ActionBuilder& b, const rte_flow_action& action, IndirectAction* shared) {
  if (b.is_sample) return refuse(b, action, "no COUNT among the actions of a sample", ENOTSUP);
  if (b.out.has_count) return refuse(b, action, "duplicate count actions set");
  if (b.context.profile.action_order == ActionOrder::kStrict && b.rank != kFree) {
    return refuse(b, action, "wrong action order: COUNT comes first");
  }
  b.out.has_count = true;
  b.out.count = shared;
  return 0;
}

int add_age(ActionBuilder& b, const rte_flow_action& action, IndirectAction* shared) {
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

int add_indirect(ActionBuilder& b, const rte_flow_action& action) {
  auto* const shared = static_cast<IndirectAction*>(const_cast<void*>(action.conf));
  if (shared == nullptr || !b.context.targets.is_alive(shared)) {
    return refuse_conf(b, action, "not an indirect action of this card");
  }
  return shared->type == RTE_FLOW_ACTION_TYPE_COUNT ? add_count(b, action, shared)
                                                    : add_age(b, action, shared);
}

int add_sample(ActionBuilder& b, const rte_flow_action& action) {
  if (b.is_sample) return refuse(b, action, "a sample within a sample");
  const auto& sample = conf<rte_flow_action_sample>(action);
  if (sample.ratio == 0 || sample.actions == nullptr)
    return refuse_conf(b, action, "ratio or actions missing");
  ProgramBuffer program;
  ActionBuilder inner{b.context, b.out, b.error, true, &program};
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

int add_meter(ActionBuilder& b, const rte_flow_action& action) {
  Meter* const meter =
      b.context.targets.find_meter(b.context.port, conf<rte_flow_action_meter>(action).mtr_id);
  if (meter == nullptr) return refuse_conf(b, action, "no such meter", ENOENT);
  if (b.out.meter != nullptr) return refuse(b, action, "one meter only", ENOTSUP);
  b.out.meter = meter;
  Op* const op = b.program->add(OpCode::kMeter, 0, sizeof(PointerData));
  if (op == nullptr) return too_long(b, action);
  op->data<PointerData>() = {meter};
  return 0;
}

// Fates.

int set_fate(ActionBuilder& b, const rte_flow_action& action, OpCode code,
             std::uint32_t number = 0) {
  if (b.has_fate) return refuse(b, action, "can have only one fate actions in a flow");
  b.has_fate = true;
  return b.fate.add(code, number) != nullptr ? 0 : too_long(b, action);
}

int add_port(ActionBuilder& b, const rte_flow_action& action) {
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

int add_jump(ActionBuilder& b, const rte_flow_action& action) {
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

int add_queue(ActionBuilder& b, const rte_flow_action& action) {
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

int add_mark(ActionBuilder& b, const rte_flow_action& action) {
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
    case RTE_FLOW_ACTION_TYPE_COUNT: return false;
    default: return true;
  }
}

int parse_action(ActionBuilder& b, const rte_flow_action& a) {
  switch (a.type) {
    case RTE_FLOW_ACTION_TYPE_COUNT: return add_count(b, a, nullptr);
    case RTE_FLOW_ACTION_TYPE_AGE: return add_age(b, a, nullptr);
    case RTE_FLOW_ACTION_TYPE_MARK:
    case RTE_FLOW_ACTION_TYPE_FLAG: return add_mark(b, a);
    case RTE_FLOW_ACTION_TYPE_METER: return add_meter(b, a);
    case RTE_FLOW_ACTION_TYPE_SAMPLE: return add_sample(b, a);
    case RTE_FLOW_ACTION_TYPE_DROP: return set_fate(b, a, OpCode::kDrop);
    case RTE_FLOW_ACTION_TYPE_PASSTHRU: return set_fate(b, a, OpCode::kDefault);
    case RTE_FLOW_ACTION_TYPE_JUMP: return add_jump(b, a);
    case RTE_FLOW_ACTION_TYPE_QUEUE:
    case RTE_FLOW_ACTION_TYPE_RSS: return add_queue(b, a);
    case RTE_FLOW_ACTION_TYPE_PORT_ID:
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
    case RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR: return add_port(b, a);
    default: return add_header_action(b, a);
  }
}

int parse_list(ActionBuilder& b, const rte_flow_action* actions) {
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
  ActionBuilder b{context, out, error, false, &out.program};
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
