// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/engine.hpp"

#include "flows/base/check.hpp"

#include <algorithm>
#include <utility>

namespace gannet::offload {
namespace {

constexpr unsigned kOrdersPerTurn = 4'096;    // Of each worker.
constexpr unsigned kInsertionsPerTurn = 256;  // Of each worker; their ends want to be taken, too.
// The steps of a turn that have a part of its budget each.
constexpr Nanos kShares = 5;
// Cancelled orders that a queue may hold beside as many others.
constexpr std::size_t kCancelledBeforeCleaning = 64;

}  // namespace

Engine::Engine(Card& card, std::vector<Exchange*> workers, const EngineConfig& config, MacOf mac_of,
               MacChanges mac_changes, std::function<Nanos()> clock)
    : card_(card),
      workers_(std::move(workers)),
      config_(config),
      mac_of_(std::move(mac_of)),
      mac_changes_(std::move(mac_changes)),
      queued_(workers_.size()),
      leaving_(workers_.size()),
      leaving_matches_(kMatchClasses),
      stuck_matches_(kMatchClasses),
      rules_of_eni_(std::size_t{1} << 16),
      wanted_generation_(workers_.size()),
      conforming_generation_(new std::atomic<std::uint32_t>[workers_.size()]()),
      budget_(std::move(clock)),
      audit_(card, config.audit),
      rounds_(workers_.size()) {
  for (Exchange* const worker : workers_) {
    records_.push_back(std::make_unique<Record[]>(worker->slot_count()));
  }
}

bool Engine::turn(Nanos now) {
  const Nanos share = config_.turn_budget / kShares;
  budget_.start(share);
  bool has_worked = look_after_card(now);
  // Each time another worker is the first to find room, and time.
  const auto worker_count = static_cast<std::uint16_t>(workers_.size());
  first_worker_ = static_cast<std::uint16_t>((first_worker_ + 1) % worker_count);
  const auto worker_of_turn = [&](unsigned i) {
    return static_cast<std::uint16_t>((first_worker_ + i) % worker_count);
  };
  budget_.start(share);
  for (unsigned i = 0; i < worker_count; ++i) has_worked |= take_orders(worker_of_turn(i), now);
  if (const std::uint32_t changes = mac_changes_(); changes != seen_mac_changes_) {
    seen_mac_changes_ = changes;
    follow_neighbors();
    has_worked = true;
  }
  // What was still on its way to the card when it was switched off.
  if (!is_enabled_ && !installed_.empty()) set_enabled(false);
  budget_.start(share);
  has_worked |= begin_removals();
  has_worked |= insert_heirs(now);
  for (unsigned i = 0; i < worker_count; ++i) has_worked |= insert_queued(worker_of_turn(i), now);
  budget_.start(share);
  has_worked |= card_.tidy(budget_, now);
  has_worked |= audit(now);
  has_worked |= look_around(now);
  budget_.start(share);
  return read_counters(now) || has_worked;
}

// In their order; insertions only as far as the queue.
bool Engine::take_orders(std::uint16_t worker, Nanos now) {
  auto& orders = workers_[worker]->orders;
  bool has_worked = false;
  for (unsigned i = 0; i < kOrdersPerTurn && orders.size() != 0 && budget_.allows(); ++i) {
    Order order;
    if (!orders.try_pop(order)) break;
    take({worker, order.slot}, order, now);
    has_worked = true;
  }
  return has_worked;
}

// In their order too, as long as the card has room for operations.
bool Engine::insert_queued(std::uint16_t worker, Nanos now) {
  Queue& queue = queued_[worker];
  unsigned count = 0;
  while (!queue.orders.empty() && count < kInsertionsPerTurn) {
    const Order order = queue.orders.front();
    const Ref ref{worker, order.slot};
    if (is_cancelled(ref, order)) {
      queue.orders.pop_front();
      --queue.cancelled_count;
      continue;
    }
    if (card_.room() <= to_remove_.size() || is_occupied(ref)) break;
    if (leaving_matches_[match_class_of(rule(ref))] != 0 || !budget_.allows()) break;
    queue.orders.pop_front();
    record(ref).is_queued = false;
    install(ref, order, now);
    ++count;
  }
  return count != 0;
}

void Engine::enqueue(Ref ref, const Order& order) {
  Record& r = record(ref);
  Queue& queue = queued_[ref.worker];
  queue.cancelled_count += r.is_queued ? 1 : 0;
  r.is_queued = true;
  r.queued_serial = order.serial;
  queue.orders.push_back(order);
}

void Engine::take(Ref ref, const Order& order, Nanos now) {
  switch (order.kind) {
    case OrderKind::kBarrier: return set_barrier(ref.worker, order.value);
    case OrderKind::kInstall: return enqueue(ref, order);
    case OrderKind::kDisown: return take_disown(ref, order);
    case OrderKind::kMiss: return take_miss(ref, order);
    case OrderKind::kLost: ++stats_.lost; return;
    case OrderKind::kRemove:
    case OrderKind::kCheck:
    case OrderKind::kSuspect:
      if (!is_cancelled(ref, order)) return take_of_queued(ref, order);
      return take_of_rule(ref, order, now);
  }
}

// The card has not been told of it, so no packet has taken it.
void Engine::take_of_queued(Ref ref, const Order& order) {
  Record& r = record(ref);
  const auto say = [&](AnswerKind kind) {
    const bool is_sent = workers_[ref.worker]->answers.try_push(
        {kind, Refusal::kNone, ref.slot, order.serial, 0, 0, 0});
    GANNET_CHECK(is_sent);  // As in answer().
  };
  if (order.kind == OrderKind::kCheck) return say(AnswerKind::kChecked);
  if (order.kind != OrderKind::kRemove) return;
  say(AnswerKind::kRemoved);
  r.is_queued = false;
  if (r.state == State::kNone) r.serial = order.serial;  // The last use of the slot.
  Queue& queue = queued_[ref.worker];
  const std::size_t others = queue.orders.size() - ++queue.cancelled_count;
  if (queue.cancelled_count < others + kCancelledBeforeCleaning) return;
  std::erase_if(queue.orders, [&](const Order& one) {
    return is_cancelled({ref.worker, one.slot}, one);
  });
  queue.cancelled_count = 0;
}

// Whoever wants it no more, or asks, waits for the end of its insertion; nobody else does.
void Engine::take_of_coming(Ref ref, const Order& order) {
  Record& r = record(ref);
  if (order.kind == OrderKind::kCheck) r.is_asked = true;
  if (order.kind != OrderKind::kRemove || r.is_leaving) return;
  starts_leaving(ref);
  ++leaving_matches_[r.match_class];
}

void Engine::take_of_rule(Ref ref, const Order& order, Nanos now) {
  // Whatever has been taken out already has been answered already, but for questions.
  Record& r = record(ref);
  if (r.serial != order.serial) return;
  if (r.state == State::kInserting || r.state == State::kWaiting) return take_of_coming(ref, order);
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

void Engine::starts_leaving(Ref ref) {
  Record& r = record(ref);
  Leaving& leaving = leaving_[ref.worker];
  ++leaving.since;
  r.barriers = leaving.barriers;
  r.is_leaving = true;
}

void Engine::has_left(Ref ref) {
  Record& r = record(ref);
  if (!std::exchange(r.is_leaving, false)) return;
  Leaving& leaving = leaving_[ref.worker];
  --(r.barriers == leaving.barriers ? leaving.since : leaving.before_barrier);
}

// Nothing that a worker had withdrawn before the barrier takes a packet any more.
void Engine::conform(std::uint16_t worker) {
  if (leaving_[worker].before_barrier != 0 || card_.has_leftovers() || !is_card_known_) return;
  conforming_generation_[worker].store(wanted_generation_[worker], std::memory_order_release);
}

std::uint32_t Engine::conforming_generation() const {
  std::uint32_t lowest = ~std::uint32_t{0};
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    lowest = std::min(lowest, conforming_generation_[i].load(std::memory_order_acquire));
  }
  return lowest;
}

std::vector<Rule> Engine::stuck_rules(std::size_t first, std::size_t count) const {
  std::vector<Rule> rules;
  for (std::size_t i = first; i < stuck_.size() && rules.size() < count; ++i) {
    rules.push_back(workers_[stuck_[i].worker]->rule(stuck_[i].slot));
  }
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
