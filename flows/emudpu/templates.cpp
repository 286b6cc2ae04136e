// SPDX-License-Identifier: BSD-3-Clause
// Templates and tables of them.
#include "flows/emudpu/templates.hpp"

#include "flows/emudpu/card.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <rte_errno.h>

namespace gannet::emudpu {
namespace {

constexpr std::uint32_t kMaxQueueSize = 1 << 20;

// A deep copy of a pattern or a list of actions.
bool copy_list(rte_flow_conv_op kind, const void* list, std::vector<std::uint8_t>& out) {
  const int bytes = rte_flow_conv(kind, nullptr, 0, list, nullptr);
  if (bytes <= 0) return false;
  out.resize(static_cast<std::size_t>(bytes));
  return rte_flow_conv(kind, out.data(), out.size(), list, nullptr) >= 0;
}

// Bytes of an action's configuration that tell whether a mask is set.
std::size_t conf_bytes(int type) {
  switch (type) {
    case RTE_FLOW_ACTION_TYPE_SET_MAC_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST: return 6;
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DST:
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD: return 16;
    case RTE_FLOW_ACTION_TYPE_SET_TP_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_TP_DST:
    case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN:
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID:
    case RTE_FLOW_ACTION_TYPE_QUEUE:
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
    case RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR: return 2;
    case RTE_FLOW_ACTION_TYPE_SET_TTL:
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DSCP:
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP: return 1;
    case RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP:
    case RTE_FLOW_ACTION_TYPE_RAW_ENCAP:
    case RTE_FLOW_ACTION_TYPE_RAW_DECAP:
    case RTE_FLOW_ACTION_TYPE_PORT_ID: return 8;
    default: return 4;
  }
}

// Whether a template's mask for an action says that the template's configuration holds: any bit of
// it is set. A mask may hold pointers that lead nowhere; they are looked at, never followed.
bool is_fixed(const rte_flow_action& action, const rte_flow_action& mask) {
  if (action.conf == nullptr || mask.conf == nullptr) return false;
  if (action.type == RTE_FLOW_ACTION_TYPE_INDIRECT) return true;
  const auto* const begin = static_cast<const std::uint8_t*>(mask.conf);
  return std::any_of(begin, begin + conf_bytes(action.type), [](std::uint8_t b) { return b != 0; });
}

}  // namespace

Templates::~Templates() = default;

int Templates::info(rte_flow_port_info& port_info, rte_flow_queue_info* queue_info,
                    rte_flow_error* error) const {
  const Profile& profile = card_.profile();
  if (profile.queues == 0) {
    return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "the card has no flow queues");
  }
  port_info = {};
  port_info.max_nb_queues = profile.queues;
  port_info.max_nb_counters = profile.counters;
  port_info.max_nb_aging_objects = profile.ages;
  port_info.max_nb_meters = profile.meters;
  if (queue_info != nullptr) queue_info->max_size = kMaxQueueSize;
  return 0;
}

int Templates::configure(Port& port, const rte_flow_port_attr& attr, std::uint16_t queues,
                         const rte_flow_queue_attr* const queue_attrs[], rte_flow_error* error) {
  const Profile& profile = card_.profile();
  if (profile.queues == 0) {
    return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "the card has no flow queues");
  }
  if (queues == 0 || queues > profile.queues) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "invalid number of queues");
  }
  if (attr.nb_counters > profile.counters || attr.nb_aging_objects > profile.ages ||
      attr.nb_meters > profile.meters) {
    return rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "more objects than the card has");
  }
  if (std::ranges::any_of(tables_, [&port](const TemplateTable& t) { return t.port == &port; })) {
    return rte_flow_error_set(error, EBUSY, RTE_FLOW_ERROR_TYPE_STATE, nullptr,
                              "the port has template tables");
  }
  queues_.resize(card_.ports().size());
  std::vector<Queue> made(queues);
  for (std::uint16_t i = 0; i < queues; ++i) {
    if (queue_attrs[i] == nullptr || queue_attrs[i]->size == 0 ||
        queue_attrs[i]->size > kMaxQueueSize) {
      return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                                "invalid queue size");
    }
    made[i].size = queue_attrs[i]->size;
  }
  queues_[port.index] = std::move(made);
  return 0;
}

PatternTemplate* Templates::create_pattern(Port& port, const rte_flow_pattern_template_attr& attr,
                                           const rte_flow_item* items, rte_flow_error* error) {
  // The masks stand in for the values that the rules will bring.
  std::vector<rte_flow_item> probe;
  for (const rte_flow_item* item = items; item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
    const bool is_port = item->type == RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT ||
                         item->type == RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR ||
                         item->type == RTE_FLOW_ITEM_TYPE_PORT_ID;
    rte_flow_item copy = *item;
    copy.last = nullptr;
    copy.spec = is_port ? nullptr : item->mask;
    copy.mask = is_port ? nullptr : item->mask;
    probe.push_back(copy);
  }
  probe.push_back({});
  const Domain domain = attr.transfer != 0  ? Domain::kTransfer
                        : attr.ingress != 0 ? Domain::kIngress
                                            : Domain::kEgress;
  Match match;
  PatternHeaders headers;
  const PatternContext context{card_.profile(), card_, port.index, domain, true};
  if (parse_pattern(context, probe.data(), nullptr, match, headers, error) != 0) return nullptr;
  PatternTemplate made;
  if (!copy_list(RTE_FLOW_CONV_OP_PATTERN, items, made.storage)) {
    rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, items,
                       "the pattern cannot be copied");
    return nullptr;
  }
  patterns_.push_back(std::move(made));
  return &patterns_.back();
}

int Templates::destroy_pattern(PatternTemplate* pattern, rte_flow_error* error) {
  const auto found = std::ranges::find_if(patterns_, [pattern](auto& p) { return &p == pattern; });
  if (found == patterns_.end() || found->tables != 0) {
    return rte_flow_error_set(error, found == patterns_.end() ? EINVAL : EBUSY,
                              RTE_FLOW_ERROR_TYPE_HANDLE, pattern,
                              "no pattern template, or one in use");
  }
  patterns_.erase(found);
  return 0;
}

ActionsTemplate* Templates::create_actions(Port& port, const rte_flow_actions_template_attr& attr,
                                           const rte_flow_action* actions,
                                           const rte_flow_action* masks, rte_flow_error* error) {
  static_cast<void>(port);
  static_cast<void>(attr);
  ActionsTemplate made;
  for (unsigned i = 0; actions[i].type != RTE_FLOW_ACTION_TYPE_END; ++i) {
    const rte_flow_action& action = actions[i];
    // Of an indirect action the mask's type may say what it is, as mlx5 wants it.
    if (masks != nullptr && masks[i].type != action.type &&
        action.type != RTE_FLOW_ACTION_TYPE_INDIRECT) {
      rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, &masks[i],
                         "mask of another action");
      return nullptr;
    }
    const bool is_meta =
        action.type == RTE_FLOW_ACTION_TYPE_VOID || action.type == RTE_FLOW_ACTION_TYPE_INDIRECT;
    if (!is_meta && !card_.profile().actions.has(action.type)) {
      rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, &action,
                         "action not supported");
      return nullptr;
    }
    made.is_fixed.push_back(masks != nullptr && is_fixed(action, masks[i]));
  }
  if (!copy_list(RTE_FLOW_CONV_OP_ACTIONS, actions, made.storage)) {
    rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, actions,
                       "the actions cannot be copied");
    return nullptr;
  }
  actions_.push_back(std::move(made));
  return &actions_.back();
}

int Templates::destroy_actions(ActionsTemplate* actions, rte_flow_error* error) {
  const auto found = std::ranges::find_if(actions_, [actions](auto& a) { return &a == actions; });
  if (found == actions_.end() || found->tables != 0) {
    return rte_flow_error_set(error, found == actions_.end() ? EINVAL : EBUSY,
                              RTE_FLOW_ERROR_TYPE_HANDLE, actions,
                              "no actions template, or one in use");
  }
  actions_.erase(found);
  return 0;
}

TemplateTable* Templates::create_table(Port& port, const rte_flow_template_table_attr& attr,
                                       PatternTemplate* const patterns[], unsigned pattern_count,
                                       ActionsTemplate* const actions[], unsigned actions_count,
                                       rte_flow_error* error) {
  Domain domain;
  if (parse_attributes(attr.flow_attr, card_.profile(), domain, error) != 0) return nullptr;
  if (attr.nb_flows == 0 || attr.nb_flows > card_.profile().slots) {
    rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                       "invalid number of flows");
    return nullptr;
  }
  TemplateTable made;
  made.port = &port;
  made.attr = attr.flow_attr;
  made.capacity = attr.nb_flows;
  made.patterns.assign(patterns, patterns + pattern_count);
  made.actions.assign(actions, actions + actions_count);
  made.shapes.resize(pattern_count);
  for (PatternTemplate* const pattern : made.patterns) ++pattern->tables;
  for (ActionsTemplate* const list : made.actions) ++list->tables;
  tables_.push_back(std::move(made));
  return &tables_.back();
}

int Templates::destroy_table(TemplateTable* table, rte_flow_error* error) {
  const auto found = std::ranges::find_if(tables_, [table](auto& t) { return &t == table; });
  if (found == tables_.end()) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, table,
                              "no such template table");
  }
  if (table->used != 0) {
    return rte_flow_error_set(error, EBUSY, RTE_FLOW_ERROR_TYPE_HANDLE, table, "table in use");
  }
  Domain domain;
  rte_flow_error ignored;
  if (parse_attributes(table->attr, card_.profile(), domain, &ignored) == 0) {
    GroupTable* const group = card_.find_table(domain, table->port->index, table->attr.group);
    for (Shape* const shape : table->shapes) {
      if (shape != nullptr && group != nullptr) group->unpin(shape);
    }
  }
  for (PatternTemplate* const pattern : table->patterns) --pattern->tables;
  for (ActionsTemplate* const list : table->actions) --list->tables;
  tables_.erase(found);
  return 0;
}

}  // namespace gannet::emudpu
