// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/flow_card.hpp"

#include "flows/offload/probe.hpp"
#include "flows/offload/template_queue.hpp"
#include "flows/offload/watch_pattern.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <rte_errno.h>
#include <rte_ethdev.h>

namespace gannet::offload {
namespace {

constexpr std::size_t kEndedCountersPerCall = 256;
constexpr unsigned kFailuresOfCounter = 10;
// Between calls that have all been in vain.
constexpr Nanos kFirstPause = kNanosPerMilli;
constexpr Nanos kMaxPause = kNanosPerSecond;

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
                                                 const GuardConfig& guards,
                                                 std::uint32_t flow_queue_size) {
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
        const int status = rte_flow_validate(proxy, &attributes, pattern, actions, &ignored);
        return status == 0 || refusal_of(-status) == Refusal::card_full;  // Not for ever.
      },
      card->ports_.back(), card->ports_.front(), counter);
  if (counter != nullptr) rte_flow_action_handle_destroy(proxy, counter, &error);
  if (!card->can_.has(Ability::transfer)) {
    return fail("the card takes no transfer rules with a jump, so nothing can be offloaded");
  }
  card->find_queue(flow_queue_size);
  card->guards_ = std::make_unique<GuardRules>(proxy, card->ports_, guards, card->can_);
  card->watch_resets();
  const Restart restarted = card->restart(true);
  if (restarted == Restart::kDone) return card;
  return fail(std::string("the card ") +
              (restarted == Restart::kKept ? "does not let rules go" : "refuses the guard rules") +
              " (" + rte_strerror(rte_errno) + "), so nothing can be offloaded");
}

FlowCard::~FlowCard() {
  for (std::size_t i = may_end_counters() ? ended_counters_.size() : 0; i != 0; --i) {
    static_cast<void>(end_next_counter());
  }
  if (is_watching_) {
    rte_eth_dev_callback_unregister(proxy_, RTE_ETH_EVENT_INTR_RESET, &on_reset, &has_been_reset_);
  }
}

// A queue is of use only with tables: the card is asked for a small one.
void FlowCard::find_queue(std::uint32_t flow_queue_size) {
  compile_exit(ports_.front(), pattern_, actions_);
  can_.set(Ability::templates,
           flow_queue_size != 0 && TemplateQueue::is_served_by(proxy_, pattern_, actions_));
  if (has_templates()) {
    queue_ = std::make_unique<TemplateQueue>(proxy_, flow_queue_size);
  } else {
    queue_ = std::make_unique<PlainQueue>(proxy_);
  }
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

Refusal FlowCard::compile(const Rule& rule, const rte_flow_action_handle* counter) {
  const Refusal pattern = compile_pattern(rule, can_, pattern_);
  return pattern != Refusal::kNone ? pattern : compile_actions(rule, can_, counter, actions_);
}

Refusal FlowCard::begin_insert(const Rule& rule, CardRule& out, Tag tag) {
  out = {};
  if (!is_small_enough(rule)) return Refusal::mtu;
  rte_flow_action_handle* counter = nullptr;
  if (can_.has(Ability::count_handle)) {
    counter = make_counter();
    if (counter == nullptr) return Refusal::card_full;
  }
  out.counter = counter;
  Refusal refused = compile(rule, counter);
  if (refused == Refusal::kNone) refused = queue_->begin_create(pattern_, actions_, out, tag);
  if (refused != Refusal::kNone) end_counter(out);
  return refused;
}

// A flow queue tells that a rule has been refused, but not why. Whether there is room the card says
// when it is asked for its opinion of the same rule. What is left of the rule is the queue's.
Refusal FlowCard::finish_refused(const Rule& rule, CardRule& on_card, Refusal refused) {
  queue_->discard(std::exchange(on_card, {}));
  if (compile(rule, nullptr) != Refusal::kNone) return refused;
  const rte_flow_attr attributes = flow_attributes();
  rte_flow_error error{};
  const int status =
      rte_flow_validate(proxy_, &attributes, pattern_.items(), actions_.list(), &error);
  return status != 0 && refusal_of(-status) == Refusal::card_full ? Refusal::card_full : refused;
}

// A counter of the rule's own ends with it: this is the last chance, though packets may come before
// the end.
void FlowCard::begin_remove(CardRule& rule, CardCounters& counters, Tag tag) {
  if (rule.counter == nullptr) static_cast<void>(read(rule, counters));
  queue_->begin_destroy(rule, tag);
}

void FlowCard::finish_removed(CardRule& rule, CardCounters& counters) {
  TemplateQueue::give_back(rule);
  if (rule.counter != nullptr) static_cast<void>(read(rule, counters));
  end_counter(rule);
  rule = {};
}

// The next of the ended counters. What the card does not take back now comes last: something may
// still use it. Any other error may pass too, but a card that stays at it has lost the counter.
// \return whether there is one less.
bool FlowCard::end_next_counter() {
  EndedCounter counter = ended_counters_.front();
  ended_counters_.pop_front();
  rte_flow_error error{};
  if (rte_flow_action_handle_destroy(proxy_, counter.handle, &error) == 0) return true;
  if (rte_errno != EBUSY && ++counter.failures == kFailuresOfCounter) {
    ++abandoned_counters_;
    return true;
  }
  ended_counters_.push_back(counter);
  return false;
}

void FlowCard::end_counter(CardRule& rule) {
  auto* const counter = static_cast<rte_flow_action_handle*>(std::exchange(rule.counter, nullptr));
  if (counter == nullptr) return;
  ended_counters_.push_front({counter, 0});
  static_cast<void>(end_next_counter());
}

// A reset may take a million rules: their counters have time.
void FlowCard::forget(CardRule& rule) {
  if (rule.counter != nullptr) {
    ended_counters_.push_back({static_cast<rte_flow_action_handle*>(rule.counter), 0});
  }
  rule = {};
}

bool FlowCard::tidy(Budget& budget, Nanos now) {
  bool has_worked = false;
  for (CardRule rule; queue_->take_discarded(rule);) {
    TemplateQueue::give_back(rule);
    end_counter(rule);
    has_worked = true;
  }
  has_worked |= queue_->begin_discards(now);
  // Rules that may still come, or have been kept, use theirs.
  if (!may_end_counters() || now < next_ending_) return has_worked;
  bool has_ended = false;
  const std::size_t count = std::min(ended_counters_.size(), kEndedCountersPerCall);
  for (std::size_t i = 0; i < count && budget.allows(); ++i) has_ended |= end_next_counter();
  if (count == 0) return has_worked;
  ending_pause_ = has_ended ? 0 : std::clamp(2 * ending_pause_, kFirstPause, kMaxPause);
  next_ending_ = now + ending_pause_;
  return has_worked || has_ended;
}

Refusal FlowCard::watch(const Rule& rule, CardRule& out) {
  if (!can_.has(Ability::watch)) return Refusal::match;
  compile_watch(rule, pattern_, actions_);
  const rte_flow_attr attributes = exit_attributes(rule.out_port, kWatchPriority);
  rte_flow_error error{};
  out.flow = rte_flow_create(proxy_, &attributes, pattern_.items(), actions_.list(), &error);
  return out.flow == nullptr ? refusal_of(rte_errno) : Refusal::kNone;
}

bool FlowCard::end_watch(CardRule& watch) {
  rte_flow_error error{};
  if (rte_flow_destroy(proxy_, static_cast<rte_flow*>(watch.flow), &error) != 0) return false;
  watch.flow = nullptr;
  return true;
}

bool FlowCard::read(const CardRule& rule, CardCounters& counters) {
  rte_flow_query_count count{};
  rte_flow_error error{};
  int failed = 0;
  if (!rule.is_there()) return false;
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

// A rule that was on its way may come after a flush, and would be nobody's. A flush that fails has
// taken all handles, but not all rules ("the port must be assumed to be in an inconsistent state",
// rte_flow.h): nothing is built on that.
Restart FlowCard::restart(bool with_guards) {
  queue_->forget();
  if (queue_->has_leftovers()) return Restart::kWaits;
  rte_flow_error error{};
  must_flush_ = rte_flow_flush(proxy_, &error) != 0;
  if (must_flush_) {
    ++flush_failures_;
    guards_->lose();
    return Restart::kKept;
  }
  guards_->forget();
  return !with_guards || guards_->put() ? Restart::kDone : Restart::kRefused;
}

}  // namespace gannet::offload
