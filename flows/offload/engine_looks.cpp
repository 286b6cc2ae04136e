// SPDX-License-Identifier: BSD-3-Clause
// Whether the workers know the same of their slots as the engine (exchange.hpp has the messages): a
// rule that no connection has is removed, and a use of a slot that has no rule is ended. Nothing of
// that happens unless a message has gone astray or one side is wrong.
#include "flows/base/check.hpp"
#include "flows/offload/engine.hpp"

#include <algorithm>

namespace gannet::offload {
namespace {

constexpr unsigned kLooksPerTurn = 64;  // At each worker's slots.

}  // namespace

// All slots that have been used, once in each round, a part of them in each turn. Looks give way to
// answers that must arrive.
bool Engine::look_around(Nanos now) {
  const Nanos elapsed = looked_at_ == 0 ? 0 : now - looked_at_;
  looked_at_ = now;
  if (config_.audit.round == 0) return false;
  bool has_worked = false;
  for (std::uint16_t worker = 0; worker < rounds_.size(); ++worker) {
    Round& round = rounds_[worker];
    const Exchange& exchange = *workers_[worker];
    const std::uint32_t count = exchange.touched_count.load(std::memory_order_relaxed);
    round.due += static_cast<double>(count) * static_cast<double>(elapsed) /
                 static_cast<double>(config_.audit.round);
    round.due = std::min(round.due, static_cast<double>(count));
    if (!exchange.may_tell()) continue;
    const auto looks = std::min(static_cast<unsigned>(round.due), kLooksPerTurn);
    for (unsigned i = 0; i < looks; ++i) {
      if (round.cursor >= count) round.cursor = 0;
      const Ref ref{worker, round.cursor++};
      record(ref).is_doubted = false;
      look(ref);
      ++stats_.looks;
    }
    round.due -= looks;
    has_worked |= looks != 0;
  }
  return has_worked;
}

// Of a rule that comes or goes nothing has to be asked: it will be known in a moment.
void Engine::look(Ref ref) {
  const Record& r = record(ref);
  const bool is_in_force = r.state == State::kInstalled;
  if (!is_in_force && (r.state != State::kNone || r.is_queued)) return;
  // Nor must it crowd out what has to arrive (exchange.hpp).
  if (!workers_[ref.worker]->may_tell()) return;
  static_cast<void>(workers_[ref.worker]->answers.try_push(
      {AnswerKind::kLook, Refusal::kNone, ref.slot, r.serial, is_in_force ? 1U : 0U, 0, 0}));
}

// The worker does not know of the rule in force. The second time it is believed.
void Engine::take_disown(Ref ref, const Order& order) {
  Record& r = record(ref);
  if (r.state != State::kInstalled || r.serial != order.serial) return;
  if (!r.is_doubted) {
    r.is_doubted = true;
    return look(ref);
  }
  ++stats_.orphans;
  remove(ref, Refusal::out_of_step);
}

// The worker has a use of the slot that ended here, or never began.
void Engine::take_miss(Ref ref, const Order& order) {
  Record& r = record(ref);
  if (r.state != State::kNone || r.is_queued || r.serial != order.serial) return;
  if (!r.is_doubted) {
    r.is_doubted = true;
    return look(ref);
  }
  ++stats_.lost;
  ++stats_.refusals[static_cast<std::size_t>(Refusal::out_of_step)];
  r.serial = order.value;
  r.is_doubted = false;
  answer(ref, AnswerKind::kWithdrawn, Refusal::out_of_step, {}, 0);
}

// A new use of a slot whose old one has not ended here: nobody will ever ask for its rule again.
// The new one waits until it has gone.
bool Engine::is_occupied(Ref ref) {
  switch (record(ref).state) {
    case State::kInstalled:
      ++stats_.orphans;
      remove(ref, Refusal::out_of_step);
      return true;
    case State::kInserting:
    case State::kWaiting:
    case State::kRemoving: return true;
    case State::kNone:
    case State::kStuck: break;
  }
  return false;
}

// The slot's old rule does not go; its record stays until it does.
void Engine::turn_away(Ref ref, const Order& order) {
  ++stats_.refusals[static_cast<std::size_t>(Refusal::stale_rule)];
  const bool is_sent = workers_[ref.worker]->answers.try_push(
      {AnswerKind::kRefused, Refusal::stale_rule, ref.slot, order.serial, 0, 0, 0});
  GANNET_CHECK(is_sent);  // As in answer().
}

}  // namespace gannet::offload
