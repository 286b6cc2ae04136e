// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/engine.hpp"

#include "flows/base/check.hpp"

#include <algorithm>
#include <utility>

namespace gannet::offload {
namespace {

constexpr unsigned kOrdersPerTurn = 256;  // Of each worker.

}  // namespace

Engine::Engine(Card& card, std::vector<Exchange*> workers, const EngineConfig& config, MacOf mac_of,
               MacChanges mac_changes)
    : card_(card),
      workers_(std::move(workers)),
      config_(config),
      mac_of_(std::move(mac_of)),
      mac_changes_(std::move(mac_changes)),
      held_(workers_.size()),
      leaving_(workers_.size()),
      leaving_matches_(kMatchClasses),
      rules_of_eni_(std::size_t{1} << 16),
      wanted_generation_(workers_.size()),
      conforming_generation_(new std::atomic<std::uint32_t>[workers_.size()]()),
      audit_(card, config.audit),
      rounds_(workers_.size()) {
  for (Exchange* const worker : workers_) {
    records_.push_back(std::make_unique<Record[]>(worker->slot_count()));
  }
}

bool Engine::turn(Nanos now) {
  bool has_worked = false;
  if (card_.take_reset()) {
    recover(now);
    has_worked = true;
  }
  if (must_start_over_ && is_card_usable_ && now >= next_start_over_) start_over(now);
  if (!is_card_usable_ && now >= next_restart_) restart(now);
  // Before new orders, which may leave no room.
  if (!stuck_.empty() && now >= next_retry_) retry_stuck(now);
  // Each time another worker is the first to find room.
  const auto worker_count = static_cast<std::uint16_t>(workers_.size());
  first_worker_ = static_cast<std::uint16_t>((first_worker_ + 1) % worker_count);
  for (std::uint16_t i = 0; i < worker_count; ++i) {
    const auto worker = static_cast<std::uint16_t>((first_worker_ + i) % worker_count);
    has_worked = take_orders(worker, now) || has_worked;
  }
  if (const std::uint32_t changes = mac_changes_(); changes != seen_mac_changes_) {
    seen_mac_changes_ = changes;
    follow_neighbors();
    has_worked = true;
  }
  // What was still on its way to the card when it was switched off.
  if (!is_enabled_ && !installed_.empty()) set_enabled(false);
  has_worked = card_.tidy() || has_worked;
  has_worked = audit(now) || has_worked;
  has_worked = look_around(now) || has_worked;
  return read_counters(now) || has_worked;
}

// In their order, as long as the card has room for operations.
bool Engine::take_orders(std::uint16_t worker, Nanos now) {
  std::optional<Order>& held = held_[worker];
  bool has_worked = false;
  for (unsigned i = 0; i < kOrdersPerTurn && card_.room() > to_remove_.size(); ++i) {
    Order order;
    if (held) {
      order = *held;
    } else if (!workers_[worker]->orders.try_pop(order)) {
      break;
    }
    const Ref ref{worker, order.slot};
    if (must_wait(ref, order)) {
      held = order;
      break;
    }
    held.reset();
    take(ref, order, now);
    has_worked = true;
  }
  return has_worked;
}

bool Engine::must_wait(Ref ref, const Order& order) {
  switch (order.kind) {
    case OrderKind::kInstall:
      return is_occupied(ref) || leaving_matches_[match_class_of(rule(ref))] != 0;
    case OrderKind::kBarrier:
    case OrderKind::kDisown:
    case OrderKind::kMiss:
    case OrderKind::kLost: return false;
    case OrderKind::kRemove:
    case OrderKind::kCheck:
    case OrderKind::kSuspect: break;
  }
  const Record& r = record(ref);
  return r.serial == order.serial && (r.state == State::kInserting || r.state == State::kWaiting);
}

void Engine::take(Ref ref, const Order& order, Nanos now) {
  switch (order.kind) {
    case OrderKind::kBarrier: return set_barrier(ref.worker, order.value);
    case OrderKind::kInstall: return install(ref, order, now);
    case OrderKind::kDisown: return take_disown(ref, order);
    case OrderKind::kMiss: return take_miss(ref, order);
    case OrderKind::kLost: ++stats_.lost; return;
    case OrderKind::kRemove:
    case OrderKind::kCheck:
    case OrderKind::kSuspect: return take_of_rule(ref, order, now);
  }
}

void Engine::take_of_rule(Ref ref, const Order& order, Nanos now) {
  // Whatever has been taken out already has been answered already, but for questions.
  Record& r = record(ref);
  if (r.serial != order.serial) return;
  if (r.state == State::kStuck && order.kind == OrderKind::kCheck) return check(ref, now);
  if (r.state != State::kInstalled) return;
  switch (order.kind) {
    case OrderKind::kRemove: return remove(ref, Refusal::kNone);
    case OrderKind::kCheck: return check(ref, now);
    case OrderKind::kSuspect: ++stats_.repaired; return remove(ref, Refusal::repaired);
    case OrderKind::kInstall:
    case OrderKind::kBarrier:
    case OrderKind::kDisown:
    case OrderKind::kMiss:
    case OrderKind::kLost: break;
  }
}

void Engine::answer(Ref ref, AnswerKind kind, Refusal reason, const CardCounters& more,
                    Nanos last_hit) {
  auto& answers = workers_[ref.worker]->answers;
  const bool is_sent = answers.try_push(
      {kind, reason, ref.slot, record(ref).serial, more.packets, more.bytes, last_hit});
  GANNET_CHECK(is_sent);  // The exchange's arithmetic is wrong otherwise.
}

void Engine::set_enabled(bool is_enabled) {
  is_enabled_ = is_enabled;
  if (is_enabled) return;
  audit_.end_all();
  while (!installed_.empty()) remove(installed_.back(), Refusal::off);
}

void Engine::set_barrier(std::uint16_t worker, std::uint32_t generation) {
  wanted_generation_[worker] = generation;
  Leaving& leaving = leaving_[worker];
  leaving.before_barrier += std::exchange(leaving.since, 0);
  ++leaving.barriers;
  conform(worker);
}

void Engine::has_left(Ref ref) {
  Leaving& leaving = leaving_[ref.worker];
  --(record(ref).barriers == leaving.barriers ? leaving.since : leaving.before_barrier);
}

// Nothing that a worker had withdrawn before the barrier takes a packet any more.
void Engine::conform(std::uint16_t worker) {
  const Leaving& leaving = leaving_[worker];
  const bool is_held = leaving.before_barrier != 0 || card_.has_leftovers() || !is_card_known_ ||
                       std::any_of(stuck_.begin(), stuck_.end(), [&](Ref ref) {
                         return ref.worker == worker && record(ref).barriers != leaving.barriers;
                       });
  if (is_held) return;
  conforming_generation_[worker].store(wanted_generation_[worker], std::memory_order_release);
}

std::uint32_t Engine::conforming_generation() const {
  std::uint32_t lowest = ~std::uint32_t{0};
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    lowest = std::min(lowest, conforming_generation_[i].load(std::memory_order_acquire));
  }
  return lowest;
}

std::vector<Rule> Engine::stuck_rules() const {
  std::vector<Rule> rules;
  for (const Ref ref : stuck_) rules.push_back(workers_[ref.worker]->rule(ref.slot));
  return rules;
}

void Engine::list(std::vector<Ref>& refs, Ref ref) {
  record(ref).place = static_cast<std::uint32_t>(refs.size());
  refs.push_back(ref);
}

void Engine::unlist(std::vector<Ref>& refs, Ref ref) {
  const std::uint32_t place = record(ref).place;
  refs[place] = refs.back();
  record(refs[place]).place = place;
  refs.pop_back();
}

void Engine::count_eni(std::uint16_t eni, int change) {
  rules_of_eni_[eni] = static_cast<std::uint32_t>(static_cast<int>(rules_of_eni_[eni]) + change);
}

}  // namespace gannet::offload
