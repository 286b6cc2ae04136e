// SPDX-License-Identifier: BSD-3-Clause
// The life of a rule: made, put into force, taken out, lost in a reset.
#include "flows/emudpu/card.hpp"
#include "flows/emudpu/templates.hpp"

#include <cerrno>
#include <cstring>

#include <ethdev_driver.h>
#include <rte_errno.h>

namespace gannet::emudpu {
namespace {

void link(Rule*& first, Rule* rule) {
  rule->previous_of_port = nullptr;
  rule->next_of_port = first;
  if (first != nullptr) first->previous_of_port = rule;
  first = rule;
}

void unlink(Rule*& first, Rule* rule) {
  if (rule->next_of_port != nullptr) rule->next_of_port->previous_of_port = rule->previous_of_port;
  (rule->previous_of_port != nullptr ? rule->previous_of_port->next_of_port : first) =
      rule->next_of_port;
}

}  // namespace

Rule* Card::plan_to_rule(RulePlan& plan, rte_flow_error* error) {
  if (const int status = check_room(plan.actions, error); status != 0) {
    ++rule_counters_.refused_full;
    rte_errno = -status;
    return nullptr;
  }
  GroupTable* const table = obtain_table(plan.domain, plan.port, plan.group);
  Shape* const shape = table->obtain_shape(plan.match, plan.priority, plan.expected_rules);
  const std::uint16_t program_bytes = plan.actions.program.size();
  const std::size_t bytes =
      sizeof(Rule) + shape->word_count * sizeof(std::uint64_t) + program_bytes;
  void* const block = bytes <= Slab::kMaxBytes ? slab_.take(bytes) : nullptr;
  if (block == nullptr) {
    rte_flow_error_set(error, ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                       "no memory for the rule");
    return nullptr;
  }
  auto* const rule = new (block) Rule();
  rule->block_bytes = static_cast<std::uint16_t>(bytes);
  rule->port = plan.port;
  rule->table = table;
  rule->shape = shape;
  set_key(*shape, plan.match.value, *rule);
  rule->program_bytes = program_bytes;
  std::memcpy(rule->program(), plan.actions.program.data(), program_bytes);
  if (!plan.match.ranges.empty()) rule->ranges = new Ranges(std::move(plan.match.ranges));
  int status = 0;
  if (!profile().has_duplicates && table->has_duplicate(shape, rule)) {
    status = rte_flow_error_set(error, EEXIST, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                                "the rule is there already");
  } else if (attach(*rule, plan) != 0) {
    status = rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                                "no free ageing object");
  }
  if (status != 0) {
    ++rule_counters_.refused_by_check;
    delete rule->ranges;
    slab_.give_back(rule, bytes);
    return nullptr;
  }
  if (faults_.is_next_rule_wrong()) spoil(*rule);
  rule->status = RuleStatus::kPending;
  ++rules_in_use_;
  link(ports_[rule->port]->rules, rule);
  ++ports_[rule->port]->rule_count;
  return rule;
}

int Card::draw_insertion_fault() {
  const int fault = faults_.insertion();
  if (fault != 0) ++rule_counters_.refused_by_fault;
  return fault;
}

// Gives a rule its counter and its ageing.
int Card::attach(Rule& rule, RulePlan& plan) {
  const ParsedActions& actions = plan.actions;
  if (actions.has_age) {
    rule.owns_age = actions.age == nullptr;
    if (rule.owns_age) {
      rule.age = ages_.take(plan.port, actions.age_timeout_s * kNanosPerSecond, now());
      if (rule.age == nullptr) return -1;
      rule.age->context = actions.age_context != nullptr ? actions.age_context : &rule;
      ++ages_in_use_;
    } else {
      rule.age = actions.age->age;
      rule.shared_age = actions.age;
      ++actions.age->rule_count;
    }
  }
  rule.meter = actions.meter;
  if (rule.meter != nullptr) ++rule.meter->rule_count;
  if (actions.has_count) {
    rule.counter = actions.count == nullptr ? &rule.own_counter : &actions.count->counter;
    rule.shared_count = actions.count;
    if (actions.count == nullptr) {
      ++counters_in_use_;
    } else {
      ++actions.count->rule_count;
    }
  }
  return 0;
}

// The fault of a card that says one thing and does another: the first change writes something else,
// or, without a change, the packet is lost.
void Card::spoil(Rule& rule) {
  for (std::uint32_t at = 0; at < rule.program_bytes;) {
    Op& op = *reinterpret_cast<Op*>(rule.program() + at);
    if (op.code == OpCode::kSet) {
      op.number ^= 1;
      if (op.bytes > sizeof(Op)) op.data<SetData>().value[5] ^= 1;
      return;
    }
    if (op.code == OpCode::kAddHead) {
      auto& head = op.data<HeadData>();
      reinterpret_cast<std::uint8_t*>(&head + 1)[head.bytes - 2] ^=
          1;  // The lowest bits of the VNI.
      return;
    }
    at += op.bytes;
    if (at >= rule.program_bytes) op.code = OpCode::kDrop;
  }
}

void Card::put_into_force(Rule* rule) {
  // An ageing time runs from when the rule can be hit.
  if (rule->owns_age) ages_.touch(rule->age, now());
  rule->table->insert(rule->shape, rule);
  rule->status = RuleStatus::kActive;
  ++rule_counters_.inserted;
}

int Card::refuse_handle(int code, const void* handle, const char* message, rte_flow_error* error) {
  ++rule_counters_.refused_handles;
  return rte_flow_error_set(error, code, RTE_FLOW_ERROR_TYPE_HANDLE, handle, message);
}

void Card::lose_handle(Rule* rule) {
  rule->handle = HandleStatus::kLost;
  ++rules_without_handle_;
}

int Card::begin_withdrawal(Rule* rule, rte_flow_error* error) {
  if (rule->status == RuleStatus::kActive) {
    if (const int fault = faults_.destruction(); fault != 0) {
      return rte_flow_error_set(error, fault, RTE_FLOW_ERROR_TYPE_HANDLE, rule,
                                "the card failed to destroy the rule");
    }
    rule->table->remove(rule);
    rule->status = RuleStatus::kPending;
    ++rule_counters_.destroyed;
  }
  return 0;
}

int Card::destroy(Rule* rule, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  if (rule == nullptr || rule->status == RuleStatus::kFree) {
    return refuse_handle(EINVAL, rule, "not a rule of this card", error);
  }
  if (rule->template_table != nullptr) {
    return refuse_handle(EINVAL, rule, "the rule is of a flow queue", error);
  }
  if (const int status = begin_withdrawal(rule, error); status != 0) return status;
  if (rule->status != RuleStatus::kGone) epoch_.wait_for_reader();
  forget(rule);
  return 0;
}

// Frees a rule that no packet can reach.
void Card::forget(Rule* rule) {
  Port& port = *ports_[rule->port];
  if (rule->status == RuleStatus::kGone) {
    unlink(port.gone_rules, rule);
  } else {
    free_rule(rule);
    unlink(port.rules, rule);
    --port.rule_count;
  }
  rule->status = RuleStatus::kFree;
  slab_.give_back(rule, rule->block_bytes);
}

// Gives back all that a rule holds but its own memory.
void Card::free_rule(Rule* rule) {
  if (rule->template_table != nullptr) --rule->template_table->used;
  if (rule->age != nullptr) {
    if (rule->owns_age) {
      ages_.release(rule->age);
      --ages_in_use_;
    } else {
      --rule->shared_age->rule_count;
    }
  }
  if (rule->shared_count != nullptr) {
    --rule->shared_count->rule_count;
  } else if (rule->counter != nullptr) {
    --counters_in_use_;
  }
  if (rule->meter != nullptr) --rule->meter->rule_count;
  delete rule->ranges;
  rule->ranges = nullptr;
  if (rule->handle == HandleStatus::kLost) --rules_without_handle_;
  --rules_in_use_;
}

// \return the errno of the last rule that the card has kept, or 0.
int Card::clear(Port& port, bool may_fail) {
  std::vector<Rule*> rules;
  int failed = 0;
  const auto is_flushed = [](const Rule* rule) {
    return rule->status != RuleStatus::kPending && rule->handle != HandleStatus::kGiven;
  };
  for (Rule* rule = port.rules; rule != nullptr; rule = rule->next_of_port) {
    if (!is_flushed(rule)) continue;
    const int fault = may_fail ? faults_.destruction() : 0;
    if (fault == 0) {
      rules.push_back(rule);
      continue;
    }
    failed = fault;
    if (rule->handle != HandleStatus::kLost) lose_handle(rule);
  }
  for (Rule* rule = port.gone_rules; rule != nullptr; rule = rule->next_of_port) {
    if (is_flushed(rule)) rules.push_back(rule);
  }
  for (Rule* const rule : rules) {
    if (rule->status != RuleStatus::kActive) continue;
    rule->table->remove(rule);
    ++rule_counters_.destroyed;
  }
  templates_->forget_results(port);
  epoch_.wait_for_reader();
  for (Rule* const rule : rules) forget(rule);
  return failed;
}

int Card::flush(Port& port, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  const int failed = clear(port, true);
  if (failed == 0) return 0;
  return rte_flow_error_set(error, failed, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                            "the card has kept rules");
}

void Card::close(Port& port) {
  const std::lock_guard guard(lock_);
  static_cast<void>(clear(port, false));
}

void Card::reset() {
  {
    const std::lock_guard guard(lock_);
    templates_->fail_all();
    for (const auto& port : ports_) {
      for (Rule* rule = port->rules; rule != nullptr; rule = rule->next_of_port) {
        if (rule->status == RuleStatus::kActive) rule->table->remove(rule);
      }
    }
    epoch_.wait_for_reader();
    for (const auto& port : ports_) {
      while (Rule* const rule = port->rules) {
        ++rule_counters_.lost_by_reset;
        if (rule->handle != HandleStatus::kHeld) {
          forget(rule);
          continue;
        }
        free_rule(rule);
        unlink(port->rules, rule);
        --port->rule_count;
        rule->status = RuleStatus::kGone;
        link(port->gone_rules, rule);
      }
    }
    for (const auto& block : indirect_blocks_) {
      for (std::size_t i = 0; i < kIndirectBlock; ++i) {
        if (block[i].status != RuleStatus::kActive) continue;
        block[i].status = RuleStatus::kGone;
        release_indirect(block[i]);
      }
    }
  }
  for (const auto& port : ports_) {
    if (port->port_id == kNoPort) continue;
    rte_eth_dev_callback_process(&rte_eth_devices[port->port_id], RTE_ETH_EVENT_INTR_RESET,
                                 nullptr);
  }
}

}  // namespace gannet::emudpu
