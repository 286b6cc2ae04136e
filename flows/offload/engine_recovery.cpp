// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/engine.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace gannet::offload {
namespace {

// A card that does not come back is asked no more often: a flush may take it long.
constexpr Nanos kMaxRestartPause = 100 * kNanosPerMilli;
// Nor is one that keeps all its rules: thousands of them may be asked for each time.
constexpr Nanos kMaxRetryPause = kNanosPerSecond;

}  // namespace

bool Engine::look_after_card(Nanos now) {
  bool has_worked = false;
  if (card_.take_reset()) {
    recover(now);
    has_worked = true;
  }
  const bool must_flush = must_start_over_ && is_card_usable_ && now >= next_start_over_;
  if (must_flush && read_before_flush()) start_over(now);
  if (!is_card_usable_ && now >= next_restart_) restart(now);
  has_worked |= release_gone(now);
  // Before new orders, which may leave no room.
  if (!stuck_.empty() && to_retry_.empty() && now >= next_retry_) retry_stuck(now);
  return has_worked || must_flush;
}

// A part of them each time, if they are many.
void Engine::retry_stuck(Nanos now) {
  const std::size_t count = std::min(card_.room(), stuck_.size());
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
    to_retry_.push_back(ref);
  }
}

// The card has lost everything. What it counted since the last readings is lost with it: the
// counters are gone as the rules are, and nobody can ask them any more.
void Engine::recover(Nanos now) {
  ++stats_.resets;
  give_up_all();
  for (Gone& gone : gone_) {
    stats_.counts_lost += gone.is_lost ? 0 : 1;
    gone.is_lost = true;
  }
  stats_.counts_lost += stuck_.size();
  part_with_stuck(true);
  is_card_usable_ = false;
  restart_pause_ = config_.retry_every;
  restart(now);
}

// Counters that go with their rules, in portions: a flush is the end of them. What changes its
// place meanwhile may be missed: it has been read within the last second.
// \return whether all have been read.
bool Engine::read_before_flush() {
  const std::array<const std::vector<Ref>*, 3> lists{&installed_, &under_way_, &stuck_};
  for (; budget_.allows(); ++flush_cursor_) {
    std::size_t place = flush_cursor_;
    const auto list = std::find_if(lists.begin(), lists.end(), [&](const auto* refs) {
      if (place < refs->size()) return true;
      place -= refs->size();
      return false;
    });
    if (list == lists.end()) {
      flush_cursor_ = 0;
      return true;
    }
    Record& r = record((**list)[place]);
    if (r.rule.counter != nullptr || !r.rule.has_handle() || r.state == State::kInserting) continue;
    r.last = r.seen;
    static_cast<void>(card_.read(r.rule, r.last));
  }
  return false;
}

// A rule is there that nobody can name any more: the removal of its handle has failed. A flush
// takes it, and with it all others: they come back with their flows' next packets.
void Engine::start_over(Nanos now) {
  ++stats_.start_overs;
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
  to_retry_.clear();
  heirs_.clear();
  flush_cursor_ = 0;
  audit_.forget();
  for (const Ref ref : std::exchange(under_way_, {})) {
    Record& r = record(ref);
    r.heir.reset();
    if (r.is_leaving) --leaving_matches_[r.match_class];
    if (r.state == State::kRemoving) {
      r.is_stuck = true;
      r.state = State::kStuck;
      list(stuck_, ref);
      ++stuck_matches_[r.match_class];
      continue;
    }
    has_left(ref);
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
    starts_leaving(ref);
    ++stuck_matches_[r.match_class];
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
  if (is_card_known_) part_with_stuck(false);
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

// They have gone. Their workers are told in portions, which release_gone() makes.
void Engine::part_with_stuck(bool is_lost) {
  gone_.reserve(gone_.size() + stuck_.size());
  for (const Ref ref : std::exchange(stuck_, {})) {
    has_left(ref);
    Record& r = record(ref);
    r.rule.flow = r.rule.table = nullptr;
    gone_.push_back({ref, is_lost});
  }
  std::fill(stuck_matches_.begin(), stuck_matches_.end(), 0);
}

// Counters of their own have survived a flush and say the last word.
bool Engine::release_gone(Nanos now) {
  bool has_worked = false;
  while (!gone_.empty() && budget_.allows()) {
    const Gone gone = gone_.back();
    gone_.pop_back();
    Record& r = record(gone.ref);
    if (gone.is_lost) {
      card_.forget(r.rule);
    } else {
      if (r.rule.counter == nullptr) ++stats_.counts_lost;
      card_.finish_removed(r.rule, r.last);
    }
    end(gone.ref, r.last, now);
    has_worked = true;
  }
  return has_worked;
}

}  // namespace gannet::offload
