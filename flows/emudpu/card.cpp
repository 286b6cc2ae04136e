// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/card.hpp"

#include "flows/emudpu/asic.hpp"
#include "flows/emudpu/templates.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <ethdev_driver.h>
#include <rte_errno.h>

namespace gannet::emudpu {
namespace {

// How far insertions may run ahead of the card's rate before the caller waits: shorter sleeps are
// not to be had.
constexpr Nanos kInsertionSlack = 200'000;
constexpr std::uint32_t kRuleGuess = 64;

std::uint64_t table_name(Domain domain, std::uint16_t port, std::uint32_t group) {
  return std::uint64_t{static_cast<std::uint8_t>(domain)} << 48 | std::uint64_t{port} << 32 | group;
}

int set_error(rte_flow_error* error, int code, rte_flow_error_type type, const void* cause,
              const char* message) {
  return rte_flow_error_set(error, code, type, cause, message);
}

}  // namespace

Card::Card(CardConfig config)
    : config_(std::move(config)),
      ages_(1 + config_.vfs.size()),
      templates_(std::make_unique<Templates>(*this)) {
  for (std::uint16_t index = 0; index <= config_.vfs.size(); ++index) {
    auto port = std::make_unique<Port>();
    port->card = this;
    port->index = index;
    port->wire_name = index == 0 ? config_.uplink : config_.vfs[index - 1u];
    ports_.push_back(std::move(port));
    port_tables_.push_back(
        {obtain_table(Domain::kIngress, index, 0), obtain_table(Domain::kEgress, index, 0)});
  }
  transfer_root_ = obtain_table(Domain::kTransfer, 0, 0);
  rte_eth_switch_domain_alloc(&switch_domain_);
}

Card::~Card() {
  stop_asic();
  if (switch_domain_ != RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID)
    rte_eth_switch_domain_free(switch_domain_);
  for (const auto& port : ports_) {
    while (port->rules != nullptr) forget(port->rules);
  }
}

void Card::start_asic(rte_mempool* pool) {
  asic_ = std::make_unique<Asic>(*this, pool);
  asic_->start();
}

void Card::stop_asic() {
  if (asic_ != nullptr) asic_->stop();
}

Nanos Card::now() const {
  return asic_->now();
}

int Card::find_index(std::uint32_t port_id) const {
  const auto found = std::ranges::find_if(ports_, [port_id](const auto& port) {
    return port->port_id != kNoPort && port->port_id == port_id;
  });
  return found == ports_.end() ? -1 : (*found)->index;
}

GroupTable* Card::find_table(Domain domain, std::uint16_t port, std::uint32_t group) {
  // All transfer rules share their tables, on whichever port they were created.
  const auto found =
      tables_.find(table_name(domain, domain == Domain::kTransfer ? 0 : port, group));
  return found == tables_.end() ? nullptr : found->second.get();
}

GroupTable* Card::obtain_table(Domain domain, std::uint16_t port, std::uint32_t group) {
  if (GroupTable* const table = find_table(domain, port, group)) return table;
  auto table = std::make_unique<GroupTable>(epoch_, group);
  GroupTable* const made = table.get();
  tables_.emplace(table_name(domain, domain == Domain::kTransfer ? 0 : port, group),
                  std::move(table));
  return made;
}

Meter* Card::find_meter(std::uint16_t port, std::uint32_t id) {
  const auto found = meters_.find(std::uint64_t{port} << 32 | id);
  return found == meters_.end() ? nullptr : found->second.get();
}

std::uint16_t Card::rx_queue_count(std::uint16_t port) const {
  return rte_eth_devices[ports_[port]->port_id].data->nb_rx_queues;
}

int Card::plan(Port& port, const rte_flow_attr& attr, const rte_flow_item* items,
               const rte_flow_action* actions, RulePlan& out, rte_flow_error* error) {
  if (const int status = parse_attributes(attr, profile(), out.domain, error); status != 0)
    return status;
  out.port = port.index;
  out.group = attr.group;
  out.priority = attr.priority;
  out.expected_rules = kRuleGuess;
  PatternHeaders headers;
  const PatternContext pattern{profile(), *this, port.index, out.domain, false};
  if (const int status = parse_pattern(pattern, items, nullptr, out.match, headers, error);
      status != 0) {
    return status;
  }
  const ActionContext context{profile(), *this, port.index, out.domain, attr.group, headers};
  return parse_actions(context, actions, out.actions, error);
}

int Card::check_room(const ParsedActions& actions, rte_flow_error* error) const {
  const char* what = nullptr;
  if (rules_in_use_ >= profile().slots) {
    what = "no free rule slot";
  } else if (actions.has_count && actions.count == nullptr &&
             counters_in_use_ >= profile().counters) {
    what = "no free counter";
  } else if (actions.has_age && actions.age == nullptr && ages_in_use_ >= profile().ages) {
    what = "no free ageing object";
  }
  if (what == nullptr) return 0;
  return set_error(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr, what);
}

int Card::validate(Port& port, const rte_flow_attr& attr, const rte_flow_item* items,
                   const rte_flow_action* actions, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  RulePlan checked;
  if (const int status = plan(port, attr, items, actions, checked, error); status != 0)
    return status;
  return check_room(checked.actions, error);
}

Rule* Card::create(Port& port, const rte_flow_attr& attr, const rte_flow_item* items,
                   const rte_flow_action* actions, rte_flow_error* error) {
  Rule* rule = nullptr;
  Nanos due;
  {
    const std::lock_guard guard(lock_);
    RulePlan checked;
    if (plan(port, attr, items, actions, checked, error) != 0) {
      ++rule_counters_.refused_by_check;
      return nullptr;
    }
    if (const int fault = draw_insertion_fault(); fault != 0) {
      set_error(error, fault, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                "the card failed to insert the rule");
    } else {
      rule = plan_to_rule(checked, error);
    }
    if (rule != nullptr) put_into_force(rule);
    due = schedule_insertion();
  }
  wait_for_card(due);
  return rule;
}

Nanos Card::schedule_insertion() {
  const Nanos start = now();
  Nanos due = start + profile().insert_delay + faults_.slow_ns();
  if (profile().insert_rate > 0) {
    const auto interval = static_cast<Nanos>(1e9 / profile().insert_rate);
    next_insertion_ = std::max(next_insertion_, start) + interval;
    due += next_insertion_ - start;
  }
  return due;
}

void Card::wait_for_card(Nanos due) const {
  if (config_.is_manual) return;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const Nanos at =
      static_cast<Nanos>(now.tv_sec) * kNanosPerSecond + static_cast<Nanos>(now.tv_nsec);
  const bool is_worth_it = due > at + kInsertionSlack || (faults_.slow_ns() != 0 && due > at);
  if (!is_worth_it) return;
  const timespec until{static_cast<time_t>(due / kNanosPerSecond),
                       static_cast<long>(due % kNanosPerSecond)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

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
    set_error(error, ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr, "no memory for the rule");
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
    status = set_error(error, EEXIST, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                       "the rule is there already");
  } else if (attach(*rule, plan) != 0) {
    status =
        set_error(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr, "no free ageing object");
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
  link(rule);
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

void Card::link(Rule* rule) {
  Port& port = *ports_[rule->port];
  rule->previous_of_port = nullptr;
  rule->next_of_port = port.rules;
  if (port.rules != nullptr) port.rules->previous_of_port = rule;
  port.rules = rule;
  ++port.rule_count;
}

void Card::unlink(Rule* rule) {
  Port& port = *ports_[rule->port];
  if (rule->next_of_port != nullptr) rule->next_of_port->previous_of_port = rule->previous_of_port;
  (rule->previous_of_port != nullptr ? rule->previous_of_port->next_of_port : port.rules) =
      rule->next_of_port;
  --port.rule_count;
}

void Card::put_into_force(Rule* rule) {
  // An ageing time runs from when the rule can be hit.
  if (rule->owns_age) ages_.touch(rule->age, now());
  rule->table->insert(rule->shape, rule);
  rule->status = RuleStatus::kActive;
  ++rule_counters_.inserted;
}

int Card::check_handle(const Rule* rule, rte_flow_error* error) const {
  if (rule != nullptr && (rule->status == RuleStatus::kActive || rule->status == RuleStatus::kGone))
    return 0;
  return set_error(error, EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, rule, "not a rule of this card");
}

int Card::begin_withdrawal(Rule* rule, rte_flow_error* error) {
  if (const int status = check_handle(rule, error); status != 0) return status;
  if (rule->status == RuleStatus::kActive) {
    if (const int fault = faults_.destruction(); fault != 0) {
      return set_error(error, fault, RTE_FLOW_ERROR_TYPE_HANDLE, rule,
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
  if (const int status = begin_withdrawal(rule, error); status != 0) return status;
  if (rule->status != RuleStatus::kGone) epoch_.wait_for_reader();
  forget(rule);
  return 0;
}

// Frees a rule that no packet can reach.
void Card::forget(Rule* rule) {
  if (rule->status != RuleStatus::kGone) {
    free_rule(rule);
    unlink(rule);
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
  delete rule->ranges;
  rule->ranges = nullptr;
  --rules_in_use_;
}

int Card::flush(Port& port, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  std::vector<Rule*> rules;
  for (Rule* rule = port.rules; rule != nullptr; rule = rule->next_of_port) {
    if (rule->status == RuleStatus::kActive) rules.push_back(rule);
  }
  for (Rule* const rule : rules) rule->table->remove(rule);
  epoch_.wait_for_reader();
  for (Rule* const rule : rules) forget(rule);
  rule_counters_.destroyed += rules.size();
  static_cast<void>(error);
  return 0;
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
        free_rule(rule);
        unlink(rule);
        rule->status = RuleStatus::kGone;
        ++rule_counters_.lost_by_reset;
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

int Card::isolate(Port& port, bool is_isolated) {
  asic_->while_paused([&] { port_tables_[port.index].is_isolated = is_isolated; });
  return 0;
}

int Card::aged_flows(Port& port, void** contexts, std::uint32_t room, rte_flow_error* error) {
  if (room != 0 && contexts == nullptr) {
    return set_error(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                     "Should assign at least one context");
  }
  return ages_.collect(port.index, contexts, room, now());
}

}  // namespace gannet::emudpu
