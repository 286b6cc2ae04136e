// SPDX-License-Identifier: BSD-3-Clause
// Queries and indirect actions.
#include "flows/emudpu/card.hpp"

#include <algorithm>
#include <cerrno>

#include <rte_errno.h>

namespace gannet::emudpu {
namespace {

void read_counter(Counter& counter, rte_flow_query_count& out) {
  const std::uint64_t packets = counter.packets.load(std::memory_order_relaxed);
  const std::uint64_t bytes = counter.bytes.load(std::memory_order_relaxed);
  out.hits_set = 1;
  out.bytes_set = 1;
  out.hits = packets - counter.packets_base;
  out.bytes = bytes - counter.bytes_base;
  if (out.reset != 0) {
    counter.packets_base = packets;
    counter.bytes_base = bytes;
  }
}

void read_age(const Age& age, Nanos now, rte_flow_query_age& out) {
  const Nanos last = age.last_hit.load(std::memory_order_relaxed);
  const Nanos timeout = age.timeout.load(std::memory_order_relaxed);
  const Nanos idle = now > last ? now - last : 0;
  out.aged = timeout != 0 && idle >= timeout;
  out.sec_since_last_hit_valid = 1;
  out.sec_since_last_hit = static_cast<std::uint32_t>(idle / kNanosPerSecond) & 0xff'ffff;
}

}  // namespace

int Card::query(Rule* rule, const rte_flow_action* action, void* data, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  const bool is_known = rule != nullptr && rule->handle == HandleStatus::kHeld &&
                        (rule->status == RuleStatus::kActive || rule->status == RuleStatus::kGone);
  if (!is_known) return refuse_handle(EINVAL, rule, "not a rule of this card", error);
  if (rule->status == RuleStatus::kGone) {
    return rte_flow_error_set(error, ENOENT, RTE_FLOW_ERROR_TYPE_HANDLE, rule,
                              "the rule was lost in a reset");
  }
  if (action == nullptr || data == nullptr) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, action,
                              "nothing to query");
  }
  if (action->type == RTE_FLOW_ACTION_TYPE_COUNT && rule->counter != nullptr) {
    read_counter(*rule->counter, *static_cast<rte_flow_query_count*>(data));
    return 0;
  }
  if (action->type == RTE_FLOW_ACTION_TYPE_AGE && rule->age != nullptr) {
    read_age(*rule->age, now(), *static_cast<rte_flow_query_age*>(data));
    return 0;
  }
  if (action->type != RTE_FLOW_ACTION_TYPE_COUNT && action->type != RTE_FLOW_ACTION_TYPE_AGE) {
    return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, action,
                              "action not supported");
  }
  return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, action,
                            "the rule has no such action");
}

bool Card::is_alive(const IndirectAction* action) const {
  return std::ranges::any_of(indirect_blocks_,
                             [action](const auto& block) {
                               return action >= block.get() &&
                                      action < block.get() + kIndirectBlock;
                             }) &&
         action->status == RuleStatus::kActive;
}

IndirectAction* Card::create_indirect(Port& port, const rte_flow_action& action,
                                      rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  const bool is_count = action.type == RTE_FLOW_ACTION_TYPE_COUNT;
  if ((!is_count && action.type != RTE_FLOW_ACTION_TYPE_AGE) ||
      !profile().actions.has(action.type)) {
    rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, &action,
                       "action type not supported");
    return nullptr;
  }
  const auto* const conf = static_cast<const rte_flow_action_age*>(action.conf);
  if (!is_count && (conf == nullptr || conf->timeout == 0)) {
    rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION_CONF, conf,
                       "invalid timeout value 0");
    return nullptr;
  }
  if (is_count ? counters_in_use_ >= profile().counters : ages_in_use_ >= profile().ages) {
    rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                       "no free counter or ageing object");
    return nullptr;
  }
  Age* age = nullptr;
  if (!is_count &&
      (age = ages_.take(port.index, conf->timeout * kNanosPerSecond, now())) == nullptr) {
    rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, nullptr,
                       "no free ageing object");
    return nullptr;
  }
  if (free_indirect_.empty()) {
    indirect_blocks_.push_back(std::make_unique<IndirectAction[]>(kIndirectBlock));
    for (std::size_t i = kIndirectBlock; i-- > 0;)
      free_indirect_.push_back(&indirect_blocks_.back()[i]);
  }
  IndirectAction* const made = free_indirect_.back();
  free_indirect_.pop_back();
  made->type = action.type;
  made->port = port.index;
  made->status = RuleStatus::kActive;
  made->age = age;
  made->counter.packets_base = made->counter.packets.load(std::memory_order_relaxed);
  made->counter.bytes_base = made->counter.bytes.load(std::memory_order_relaxed);
  if (age != nullptr) age->context = conf->context != nullptr ? conf->context : made;
  ++(is_count ? counters_in_use_ : ages_in_use_);
  return made;
}

void Card::release_indirect(IndirectAction& action) {
  if (action.age != nullptr) ages_.release(action.age);
  action.age = nullptr;
  --(action.type == RTE_FLOW_ACTION_TYPE_COUNT ? counters_in_use_ : ages_in_use_);
}

int Card::destroy_indirect(IndirectAction* action, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  if (action == nullptr ||
      (action->status != RuleStatus::kActive && action->status != RuleStatus::kGone)) {
    return refuse_handle(EINVAL, action, "not an indirect action", error);
  }
  if (action->rule_count != 0) {
    return rte_flow_error_set(error, EBUSY, RTE_FLOW_ERROR_TYPE_HANDLE, action,
                              "rules use the indirect action");
  }
  if (action->status == RuleStatus::kActive) release_indirect(*action);
  action->status = RuleStatus::kFree;
  free_indirect_.push_back(action);
  return 0;
}

int Card::update_indirect(IndirectAction* action, const void* update, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  if (action == nullptr || !is_alive(action)) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, action,
                              "not an indirect action");
  }
  if (action->type != RTE_FLOW_ACTION_TYPE_AGE || update == nullptr) {
    return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, action,
                              "action update not supported");
  }
  const auto& change = *static_cast<const rte_flow_update_age*>(update);
  if (change.timeout_valid != 0) {
    action->age->timeout.store(change.timeout * kNanosPerSecond, std::memory_order_relaxed);
  }
  if (change.touch != 0 || change.timeout_valid != 0) ages_.touch(action->age, now());
  return 0;
}

int Card::query_indirect(const IndirectAction* action, void* data, rte_flow_error* error) {
  const std::lock_guard guard(lock_);
  if (action == nullptr || data == nullptr || !is_alive(action)) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, action,
                              "not an indirect action");
  }
  if (action->type == RTE_FLOW_ACTION_TYPE_COUNT) {
    read_counter(const_cast<IndirectAction*>(action)->counter,
                 *static_cast<rte_flow_query_count*>(data));
  } else {
    read_age(*action->age, now(), *static_cast<rte_flow_query_age*>(data));
  }
  return 0;
}

}  // namespace gannet::emudpu
