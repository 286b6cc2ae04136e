// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/engine.hpp"

#include <algorithm>
#include <utility>

namespace gannet::offload {
namespace {

// A card that does not come back is asked no more often: a flush may take it long.
constexpr Nanos kMaxRestartPause = 100 * kNanosPerMilli;
// Nor is one that keeps all its rules: thousands of them may be asked for each time.
constexpr Nanos kMaxRetryPause = kNanosPerSecond;

}  // namespace

// A part of them each time, if they are many.
void Engine::retry_stuck(Nanos now) {
  const std::size_t room = card_.room() - std::min(card_.room(), to_remove_.size());
  const std::size_t count = std::min(room, stuck_.size());
  if (count == 0) return;  // With the next turn.
  const bool has_let_go = stuck_.size() < stuck_at_retry_;
  retry_pause_ = has_let_go ? config_.retry_every : std::min(2 * retry_pause_, kMaxRetryPause);
  next_retry_ = now + retry_pause_;
  stuck_at_retry_ = stuck_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (retry_cursor_ >= stuck_.size()) retry_cursor_ = 0;
    const Ref ref = stuck_[retry_cursor_++];
    if (record(ref).state != State::kStuck || !record(ref).rule.has_handle()) continue;
    record(ref).state = State::kRemoving;
    to_remove_.push_back(ref);
  }
}

// The card has lost everything. What it counted since the last readings is lost with it: the
// counters are gone as the rules are, and nobody can ask them any more.
void Engine::recover(Nanos now) {
  ++stats_.resets;
  give_up_all();
  stats_.counts_lost += stuck_.size();
  for (const Ref ref : std::exchange(stuck_, {})) {
    card_.forget(record(ref).rule);
    end(ref, record(ref).last, now);
  }
  is_card_usable_ = false;
  restart_pause_ = config_.retry_every;
  restart(now);
}

// A rule is there that nobody can name any more: the removal of its handle has failed. A flush
// takes it, and with it all others: they come back with their flows' next packets.
void Engine::start_over(Nanos now) {
  ++stats_.start_overs;
  for (const auto* refs : {&installed_, &under_way_, &stuck_}) {
    for (const Ref ref : *refs) {
      Record& r = record(ref);
      // The last chance to read a counter that goes with its rule.
      if (r.rule.counter != nullptr || !r.rule.has_handle() || r.state == State::kInserting)
        continue;
      r.last = r.seen;
      static_cast<void>(card_.read(r.rule, r.last));
    }
  }
  give_up_all();
  for (const Ref ref : stuck_) record(ref).rule.flow = record(ref).rule.table = nullptr;
  is_card_usable_ = false;
  restart_pause_ = config_.retry_every;
  restart(now);
}

// All rules that are on the card, or may be, are stuck from now on; what was on its way there is
// refused.
void Engine::give_up_all() {
  must_start_over_ = false;
  to_remove_.clear();
  audit_.forget();
  for (const Ref ref : std::exchange(under_way_, {})) {
    Record& r = record(ref);
    r.heir.reset();
    if (r.state == State::kRemoving) {
      has_left(ref);
      --leaving_matches_[r.match_class];
      r.is_stuck = true;
      r.state = State::kStuck;
      list(stuck_, ref);
      continue;
    }
    card_.forget(r.rule);
    r.state = State::kNone;
    count_eni(r.eni, -1);
    ++stats_.refusals[static_cast<std::size_t>(Refusal::card_reset)];
    answer(ref, AnswerKind::kRefused, Refusal::card_reset, {}, 0);
  }
  for (const Ref ref : std::exchange(installed_, {})) {
    Record& r = record(ref);
    r.last = r.last.packets < r.seen.packets ? r.seen : r.last;
    r.reason = Refusal::card_reset;
    r.barriers = leaving_[ref.worker].barriers;
    r.is_stuck = true;
    r.state = State::kStuck;
    count_eni(r.eni, -1);
    --stats_.rules;
    list(stuck_, ref);
  }
  for (const Ref ref : stuck_) record(ref).state = State::kStuck;
}

// Without its guards the card takes no rule; whatever kept it from taking them may pass.
void Engine::restart(Nanos now) {
  const Restart result = card_.restart(is_enabled_);
  is_card_usable_ = result == Restart::kDone;
  is_card_known_ = result == Restart::kDone || result == Restart::kRefused;
  if (is_card_known_) release_stuck(now);
  const auto worker_count = static_cast<std::uint16_t>(workers_.size());
  for (std::uint16_t worker = 0; worker < worker_count; ++worker) conform(worker);
  if (is_card_usable_) {
    next_start_over_ = now + config_.start_over_every;
    return;
  }
  ++stats_.restart_failures;
  next_restart_ = now + restart_pause_;
  restart_pause_ = std::min(2 * restart_pause_, kMaxRestartPause);
}

// They have gone with a flush. Counters of their own have survived it and say the last word.
void Engine::release_stuck(Nanos now) {
  for (const Ref ref : std::exchange(stuck_, {})) {
    Record& r = record(ref);
    if (r.rule.counter == nullptr) ++stats_.counts_lost;
    card_.finish_removed(r.rule, r.last);
    end(ref, r.last, now);
  }
}

}  // namespace gannet::offload
