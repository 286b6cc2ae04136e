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

}  // namespace

Card::Card(CardConfig config)
    : config_(std::move(config)),
      ages_(1 + config_.vfs.size()),
      templates_(std::make_unique<Templates>(*this)) {
  const auto port_count = static_cast<std::uint16_t>(1 + config_.vfs.size());
  for (std::uint16_t index = 0; index < port_count; ++index) {
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

Nanos Card::now() const { return asic_->now(); }

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
  const auto found = meters_.meters.find(std::uint64_t{port} << 32 | id);
  return found == meters_.meters.end() ? nullptr : found->second.get();
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
  return rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr, what);
}

int Card::validate(Port& port, const rte_flow_attr& attr, const rte_flow_item* items,
                   const rte_flow_action* actions, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  RulePlan checked;
  if (const int status = plan(port, attr, items, actions, checked, error); status != 0)
    return status;
  if (faults_.is_full()) {
    return rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "no free rule slot");
  }
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
      rte_flow_error_set(error, fault, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
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
  // A test that stops the clock would wait for ever.
  if (profile().insert_rate > 0 && !config_.is_manual) {
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

int Card::isolate(Port& port, bool is_isolated) {
  asic_->while_paused([&] { port_tables_[port.index].is_isolated = is_isolated; });
  return 0;
}

int Card::aged_flows(Port& port, void** contexts, std::uint32_t room, rte_flow_error* error) {
  if (room != 0 && contexts == nullptr) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                              "Should assign at least one context");
  }
  return ages_.collect(port.index, contexts, room, now());
}

}  // namespace gannet::emudpu
