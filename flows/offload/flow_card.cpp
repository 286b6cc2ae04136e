// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/flow_card.hpp"

#include "flows/offload/probe.hpp"
#include "flows/offload/watch_pattern.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

#include <rte_errno.h>
#include <rte_ethdev.h>

namespace gannet::offload {
namespace {

// What a refusal by the card is called. ENOSPC and EAGAIN-like answers pass; the others may be
// lasting, but the probe has said that rules of this shape are taken, so they too are worth another
// try.
Refusal refusal_of(int error) {
  switch (error) {
    case ENOSPC:
    case ENOMEM: return Refusal::card_full;
    case ENOTSUP: return Refusal::match;
    default: return Refusal::insert_failed;
  }
}

int on_reset(std::uint16_t, rte_eth_event_type, void* flag, void*) {
  static_cast<std::atomic<bool>*>(flag)->store(true, std::memory_order_release);
  return 0;
}

rte_flow_indir_action_conf transfer_conf() {
  rte_flow_indir_action_conf conf{};
  conf.transfer = 1;
  return conf;
}

}  // namespace

Result<std::unique_ptr<FlowCard>> FlowCard::open(std::vector<std::uint16_t> ports,
                                                 const GuardConfig& guards) {
  std::unique_ptr<FlowCard> card(new FlowCard(std::move(ports), guards));
  rte_flow_error error{};
  if (rte_flow_pick_transfer_proxy(card->ports_.front(), &card->proxy_, &error) != 0) {
    card->proxy_ = card->ports_.front();
  }
  const auto highest = *std::max_element(card->ports_.begin(), card->ports_.end());
  card->mtus_.resize(std::size_t{highest} + 1);
  for (const std::uint16_t port : card->ports_) {
    rte_eth_dev_get_mtu(port, &card->mtus_[port]);
  }
  rte_flow_action_handle* const counter = card->make_counter();
  const std::uint16_t proxy = card->proxy_;
  card->can_ = probe(
      [proxy](const rte_flow_attr& attributes, const rte_flow_item* pattern,
              const rte_flow_action* actions) {
        rte_flow_error ignored{};
        return rte_flow_validate(proxy, &attributes, pattern, actions, &ignored) == 0;
      },
      card->ports_.back(), card->ports_.front(), counter);
  if (counter != nullptr) rte_flow_action_handle_destroy(proxy, counter, &error);
  if (!card->can_.has(Ability::transfer)) {
    return fail("the card takes no transfer rules with a jump, so nothing can be offloaded");
  }
  card->watch_resets();
  if (!card->restart()) {
    return fail("the card refuses the guard rules (" + std::string(rte_strerror(rte_errno)) +
                "), so nothing can be offloaded");
  }
  return card;
}

FlowCard::~FlowCard() {
  if (is_watching_) {
    rte_eth_dev_callback_unregister(proxy_, RTE_ETH_EVENT_INTR_RESET, &on_reset, &has_been_reset_);
  }
  rte_flow_error error{};
  for (rte_flow* const guard : guards_) rte_flow_destroy(proxy_, guard, &error);
}

void FlowCard::watch_resets() {
  is_watching_ = rte_eth_dev_callback_register(proxy_, RTE_ETH_EVENT_INTR_RESET, &on_reset,
                                               &has_been_reset_) == 0;
}

rte_flow_action_handle* FlowCard::make_counter() {
  const rte_flow_indir_action_conf conf = transfer_conf();
  const rte_flow_action_count count{};
  const rte_flow_action action{RTE_FLOW_ACTION_TYPE_COUNT, &count};
  rte_flow_error error{};
  return rte_flow_action_handle_create(proxy_, &conf, &action, &error);
}

// Where no guard keeps long packets back, a path must carry whatever its port lets in. The guards
// know one length for all; a path that has turned out to be narrower is for software.
bool FlowCard::is_small_enough(const Rule& rule) const {
  if (rule.max_ip_bytes == 0xffff) return true;
  if (can_.has(Ability::match_length) && rule.max_ip_bytes >= guard_config_.max_ip_bytes)
    return true;
  return rule.in_port < mtus_.size() && mtus_[rule.in_port] != 0 &&
         mtus_[rule.in_port] <= rule.max_ip_bytes;
}

Refusal FlowCard::insert(const Rule& rule, CardRule& out) {
  if (!is_small_enough(rule)) return Refusal::mtu;
  const Refusal pattern = compile_pattern(rule, can_, pattern_);
  if (pattern != Refusal::kNone) return pattern;
  rte_flow_action_handle* counter = nullptr;
  if (can_.has(Ability::count_handle)) {
    counter = make_counter();
    if (counter == nullptr) return Refusal::card_full;
  }
  const auto give_up = [&](Refusal reason) {
    rte_flow_error error{};
    if (counter != nullptr) rte_flow_action_handle_destroy(proxy_, counter, &error);
    return reason;
  };
  const Refusal action = compile_actions(rule, can_, counter, actions_);
  if (action != Refusal::kNone) return give_up(action);
  const rte_flow_attr attributes = flow_attributes();
  rte_flow_error error{};
  rte_flow* const flow =
      rte_flow_create(proxy_, &attributes, pattern_.items(), actions_.list(), &error);
  if (flow == nullptr) return give_up(refusal_of(rte_errno));
  out = {flow, counter};
  return Refusal::kNone;
}

Refusal FlowCard::watch(const Rule& rule, CardRule& out) {
  if (!can_.has(Ability::watch)) return Refusal::match;
  compile_watch(rule, pattern_, actions_);
  const rte_flow_attr attributes = exit_attributes(rule.out_port, kWatchPriority);
  rte_flow_error error{};
  out.flow = rte_flow_create(proxy_, &attributes, pattern_.items(), actions_.list(), &error);
  return out.flow == nullptr ? refusal_of(rte_errno) : Refusal::kNone;
}

bool FlowCard::remove(CardRule& rule, CardCounters& counters) {
  rte_flow_error error{};
  if (rule.flow != nullptr) {
    // A counter of the rule's own ends with it: this is the last chance, though packets may come
    // between the two calls.
    if (rule.counter == nullptr) static_cast<void>(read(rule, counters));
    if (rte_flow_destroy(proxy_, static_cast<rte_flow*>(rule.flow), &error) != 0) return false;
    rule.flow = nullptr;
  }
  if (rule.counter != nullptr) {
    static_cast<void>(read(rule, counters));
    rte_flow_action_handle_destroy(proxy_, static_cast<rte_flow_action_handle*>(rule.counter),
                                   &error);
    rule.counter = nullptr;
  }
  return true;
}

bool FlowCard::read(const CardRule& rule, CardCounters& counters) {
  rte_flow_query_count count{};
  rte_flow_error error{};
  int failed = 0;
  if (rule.counter != nullptr) {
    failed = rte_flow_action_handle_query(
        proxy_, static_cast<const rte_flow_action_handle*>(rule.counter), &count, &error);
  } else {
    const rte_flow_action query[] = {{RTE_FLOW_ACTION_TYPE_COUNT, nullptr},
                                     {RTE_FLOW_ACTION_TYPE_END, nullptr}};
    failed = rte_flow_query(proxy_, static_cast<rte_flow*>(rule.flow), query, &count, &error);
  }
  if (failed != 0 || count.hits_set == 0) return false;
  counters.packets = count.hits;
  counters.bytes = count.bytes_set != 0 ? count.bytes : 0;
  return true;
}

bool FlowCard::take_reset() { return has_been_reset_.exchange(false, std::memory_order_acquire); }

bool FlowCard::restart() {
  rte_flow_error error{};
  rte_flow_flush(proxy_, &error);
  guards_.clear();
  for (const std::uint16_t port : ports_) {
    if (!can_.has(Ability::watch)) break;
    compile_exit(port, pattern_, actions_);
    if (!add_guard(exit_attributes(port, kExitPriority), pattern_, actions_)) return false;
  }
  return for_each_guard(
      guard_config_, can_,
      [this](const rte_flow_attr& attributes, const Pattern& pattern, const Actions& actions) {
        return add_guard(attributes, pattern, actions);
      });
}

bool FlowCard::add_guard(const rte_flow_attr& attributes, const Pattern& pattern,
                         const Actions& actions) {
  rte_flow_error refused{};
  rte_flow* const guard =
      rte_flow_create(proxy_, &attributes, pattern.items(), actions.list(), &refused);
  if (guard != nullptr) guards_.push_back(guard);
  return guard != nullptr;
}

}  // namespace gannet::offload
