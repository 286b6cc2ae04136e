// SPDX-License-Identifier: BSD-3-Clause
// The queues of the template API.
#include "flows/emudpu/card.hpp"
#include "flows/emudpu/templates.hpp"

#include <algorithm>
#include <cerrno>

#include <rte_errno.h>

namespace gannet::emudpu {
namespace {

constexpr unsigned kMaxTemplateActions = 32;

}  // namespace

Templates::Queue* Templates::find_queue(const Port& port, std::uint32_t queue) {
  if (port.index >= queues_.size() || queue >= queues_[port.index].size()) return nullptr;
  return &queues_[port.index][queue];
}

int Templates::check_room(Port& port, std::uint32_t queue, rte_flow_error* error) {
  const Queue* const found = find_queue(port, queue);
  if (found == nullptr) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "no such flow queue");
  }
  if (found->outstanding < found->size) return 0;
  // As mlx5 answers when it is out of jobs.
  return rte_flow_error_set(error, ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                            "the flow queue is full");
}

int Templates::plan(TemplateTable& table, const rte_flow_item* pattern, unsigned pattern_index,
                    const rte_flow_action* actions, unsigned actions_index, RulePlan& out,
                    rte_flow_error* error) {
  if (pattern_index >= table.patterns.size() || actions_index >= table.actions.size()) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "no such template in the table");
  }
  const rte_flow_item* const masks = table.patterns[pattern_index]->items();
  for (unsigned i = 0;
       pattern[i].type != RTE_FLOW_ITEM_TYPE_END || masks[i].type != RTE_FLOW_ITEM_TYPE_END; ++i) {
    if (pattern[i].type == masks[i].type) continue;
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, &pattern[i],
                              "not the template's item");
  }
  const ActionsTemplate& fixed = *table.actions[actions_index];
  rte_flow_action merged[kMaxTemplateActions + 1] = {};
  const std::size_t count = std::min<std::size_t>(fixed.is_fixed.size(), kMaxTemplateActions);
  for (std::size_t i = 0; i < count; ++i) {
    if (actions[i].type != fixed.actions()[i].type) {
      return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, &actions[i],
                                "not the template's action");
    }
    merged[i] = fixed.is_fixed[i] ? fixed.actions()[i] : actions[i];
  }
  if (const int status = parse_attributes(table.attr, card_.profile(), out.domain, error);
      status != 0) {
    return status;
  }
  out.port = table.port->index;
  out.group = table.attr.group;
  out.priority = table.attr.priority;
  out.expected_rules = table.capacity;
  PatternHeaders headers;
  const PatternContext context{card_.profile(), card_, out.port, out.domain, true};
  if (const int status = parse_pattern(context, pattern, masks, out.match, headers, error);
      status != 0) {
    return status;
  }
  const ActionContext action_context{card_.profile(), card_,     out.port,
                                     out.domain,      out.group, headers};
  return parse_actions(action_context, merged, out.actions, error);
}

// The table's memory stays reserved while it is empty.
void Templates::pin_shape(TemplateTable& table, unsigned pattern_index, Rule& rule) {
  if (table.shapes[pattern_index] != nullptr) return;
  table.shapes[pattern_index] = rule.shape;
  ++rule.shape->pins;
}

Rule* Templates::create_rule(Port& port, std::uint32_t queue, bool postpone, TemplateTable* table,
                             const rte_flow_item* pattern, unsigned pattern_index,
                             const rte_flow_action* actions, unsigned actions_index,
                             void* user_data, rte_flow_error* error) {
  if (check_room(port, queue, error) != 0) return nullptr;
  if (table->used >= table->capacity) {
    rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                       "the template table is full");
    return nullptr;
  }
  RulePlan checked;
  if (plan(*table, pattern, pattern_index, actions, actions_index, checked, error) != 0)
    return nullptr;
  Rule* const rule = card_.plan_to_rule(checked, error);
  if (rule == nullptr) return nullptr;
  rule->template_table = table;
  rule->queue = static_cast<std::uint16_t>(queue);
  rule->awaits_result = true;
  ++table->used;
  pin_shape(*table, pattern_index, *rule);
  Queue& to = *find_queue(port, queue);
  ++to.outstanding;
  to.postponed.push_back({rule, table, user_data, 0, card_.draw_insertion_fault() != 0});
  if (!postpone) submit(to);
  return rule;
}

// As the header and the programmer's guide say: by the queue of the creation, and not before its
// result has been pulled, whatever that is.
int Templates::check_destruction(const Port& port, std::uint32_t queue, const Rule* rule,
                                 rte_flow_error* error) {
  if (rule == nullptr || rule->status == RuleStatus::kFree || rule->handle != HandleStatus::kHeld) {
    return card_.refuse_handle(EINVAL, rule, "not a rule of this card", error);
  }
  if (rule->template_table == nullptr || rule->port != port.index || rule->queue != queue) {
    return card_.refuse_handle(EINVAL, rule, "not a rule of this flow queue", error);
  }
  if (rule->awaits_result) {
    return card_.refuse_handle(EBUSY, rule, "the result of its creation has not been pulled",
                               error);
  }
  return 0;
}

int Templates::destroy_rule(Port& port, std::uint32_t queue, bool postpone, Rule* rule,
                            void* user_data, rte_flow_error* error) {
  if (const int status = check_room(port, queue, error); status != 0) return status;
  if (const int status = check_destruction(port, queue, rule, error); status != 0) return status;
  Queue& to = *find_queue(port, queue);
  ++to.outstanding;
  rule->handle = HandleStatus::kGiven;
  to.postponed.push_back({rule, nullptr, user_data, 0, false});
  if (!postpone) submit(to);
  return 0;
}

void Templates::submit(Queue& queue) {
  for (Operation& operation : queue.postponed) {
    operation.due = card_.schedule_insertion();
    queue.in_flight.push_back(operation);
  }
  queue.postponed.clear();
  run(queue, card_.now());
}

bool Templates::insert(const Operation& operation) {
  if (operation.fails) {
    operation.rule->status = RuleStatus::kRefused;
    return false;
  }
  card_.put_into_force(operation.rule);
  return true;
}

// Carries out what is due. All rules that go share one wait for the ASIC thread.
void Templates::run(Queue& queue, Nanos now) {
  withdrawn_.clear();
  while (!queue.in_flight.empty() && queue.in_flight.front().due <= now) {
    const Operation operation = queue.in_flight.front();
    queue.in_flight.pop_front();
    bool succeeded;
    if (operation.table != nullptr) {
      succeeded = insert(operation);
    } else {
      rte_flow_error ignored;
      succeeded = card_.begin_withdrawal(operation.rule, &ignored) == 0;
      if (succeeded) {
        withdrawn_.push_back(operation.rule);
      } else {
        card_.lose_handle(operation.rule);
      }
    }
    queue.done.push_back(
        {{succeeded ? RTE_FLOW_OP_SUCCESS : RTE_FLOW_OP_ERROR, operation.user_data},
         operation.table != nullptr ? operation.rule : nullptr});
  }
  if (withdrawn_.empty()) return;
  card_.epoch().wait_for_reader();
  for (Rule* const rule : withdrawn_) card_.finish_withdrawal(rule);
}

void Templates::run_due(Nanos now) {
  for (auto& port : queues_) {
    for (Queue& queue : port) {
      if (!queue.in_flight.empty()) run(queue, now);
    }
  }
}

int Templates::push(Port& port, std::uint32_t queue, rte_flow_error* error) {
  Queue* const found = find_queue(port, queue);
  if (found == nullptr) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "no such flow queue");
  }
  submit(*found);
  return 0;
}

int Templates::pull(Port& port, std::uint32_t queue, rte_flow_op_result* results,
                    std::uint16_t room, rte_flow_error* error) {
  Queue* const found = find_queue(port, queue);
  if (found == nullptr) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "no such flow queue");
  }
  run(*found, card_.now());
  const auto count = static_cast<std::uint16_t>(std::min<std::size_t>(room, found->done.size()));
  for (std::uint16_t i = 0; i < count; ++i) {
    const Result& front = found->done.front();
    results[i] = front.result;
    if (front.rule != nullptr) front.rule->awaits_result = false;
    found->done.pop_front();
  }
  found->outstanding -= count;
  return count;
}

int Templates::complete(Port& port, std::uint32_t queue, bool succeeded, void* user_data,
                        rte_flow_error* error) {
  if (const int status = check_room(port, queue, error); status != 0) return status;
  Queue& to = *find_queue(port, queue);
  ++to.outstanding;
  to.done.push_back({{succeeded ? RTE_FLOW_OP_SUCCESS : RTE_FLOW_OP_ERROR, user_data}, nullptr});
  return 0;
}

void Templates::fail_all() {
  for (auto& port : queues_) {
    for (Queue& queue : port) {
      for (auto* const list : {&queue.in_flight, &queue.postponed}) {
        for (const Operation& operation : *list) {
          queue.done.push_back({{RTE_FLOW_OP_ERROR, operation.user_data},
                                operation.table != nullptr ? operation.rule : nullptr});
        }
        list->clear();
      }
      forget_results(queue);
    }
  }
}

void Templates::forget_results(const Port& port) {
  if (port.index >= queues_.size()) return;
  for (Queue& queue : queues_[port.index]) forget_results(queue);
}

void Templates::forget_results(Queue& queue) {
  for (Result& done : queue.done) {
    if (done.rule != nullptr) done.rule->awaits_result = false;
    done.rule = nullptr;
  }
}

}  // namespace gannet::emudpu
