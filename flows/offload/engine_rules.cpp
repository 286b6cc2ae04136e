// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/engine.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace gannet::offload {
namespace {

// A newcomer must be so much busier than the one that goes, or they would take turns.
constexpr float kEvictionMargin = 2.0F;
// Rounds of operations that follow from the ends of others, in one turn.
constexpr unsigned kRoundsPerTurn = 4;
constexpr Nanos kSettlingShare = 5;  // Of a turn's budget, as in turn().

}  // namespace

bool Engine::is_hidden_by_stuck(const Rule& newcomer) {
  if (stuck_matches_[match_class_of(newcomer)] == 0) return false;
  return std::any_of(stuck_.begin(), stuck_.end(),
                     [&](Ref ref) { return is_same_match(rule(ref), newcomer); });
}

Refusal Engine::objection_to(const Rule& wanted) {
  if (!is_enabled_) return Refusal::off;
  if (!is_card_usable_) return Refusal::card_reset;
  if (config_.max_rules_per_eni != 0 && wanted.eni != 0xffff &&
      rules_of_eni_[wanted.eni] >= config_.max_rules_per_eni) {
    return Refusal::quota;
  }
  if (!sends_to_right_mac(wanted)) return Refusal::neighbor_moved;
  return is_hidden_by_stuck(wanted) ? Refusal::stale_rule : Refusal::kNone;
}

void Engine::install(Ref ref, const Order& order, Nanos now) {
  Record& r = record(ref);
  if (r.state != State::kNone) return turn_away(ref, order);
  r = Record{};
  r.serial = order.serial;
  r.eni = rule(ref).eni;
  r.match_class = match_class_of(rule(ref));
  r.sent = order.sent;
  r.packets_per_second = static_cast<float>(order.value);
  const Refusal objection = objection_to(rule(ref));
  if (objection != Refusal::kNone) {
    ++stats_.refusals[static_cast<std::size_t>(objection)];
    return answer(ref, AnswerKind::kRefused, objection, {}, 0);
  }
  list(under_way_, ref);
  count_eni(record(ref).eni, +1);
  insert(ref, now);
}

void Engine::insert(Ref ref, Nanos now) {
  Record& r = record(ref);
  r.state = State::kInserting;
  const Refusal refused = card_.begin_insert(rule(ref), r.rule, tag_of(ref));
  if (refused != Refusal::kNone) refuse(ref, refused, now);
}

// The card does not take a rule, at least not as things are.
void Engine::refuse(Ref ref, Refusal reason, Nanos now) {
  if (reason == Refusal::card_full && !record(ref).is_leaving && find_room(ref, now)) return;
  Record& r = record(ref);
  r.rule = {};
  if (r.is_leaving) return drop_unwanted(ref);
  unlist(under_way_, ref);
  count_eni(record(ref).eni, -1);
  r.state = State::kNone;
  ++stats_.refusals[static_cast<std::size_t>(reason)];
  answer(ref, AnswerKind::kRefused, reason, {}, 0);
}

// What its worker does not want any more has not come into force.
void Engine::drop_unwanted(Ref ref) {
  Record& r = record(ref);
  unlist(under_way_, ref);
  count_eni(r.eni, -1);
  --leaving_matches_[r.match_class];
  has_left(ref);
  r.state = State::kNone;
  answer(ref, AnswerKind::kRemoved, Refusal::kNone, {}, 0);
  conform(ref.worker);
}

// Those that have waited for others to go.
bool Engine::insert_heirs(Nanos now) {
  bool has_worked = false;
  while (!heirs_.empty() && card_.room() != 0 && budget_.allows()) {
    const Ref heir = heirs_.front();
    heirs_.pop_front();
    if (record(heir).is_leaving) {
      drop_unwanted(heir);
    } else {
      insert(heir, now);
    }
    has_worked = true;
  }
  return has_worked;
}

// Watches give way to every flow; the least busy rule gives way to one that is clearly busier.
bool Engine::find_room(Ref ref, Nanos now) {
  Record& r = record(ref);
  if (r.appeals == 0) {
    ++r.appeals;
    if (audit_.end_all()) {
      insert(ref, now);
      return true;
    }
  }
  if (r.appeals != 1) return false;
  ++r.appeals;
  stats_.full_at = stats_.rules;
  const Ref* const coldest = find_coldest(r.packets_per_second / kEvictionMargin, now);
  if (coldest == nullptr) return false;
  const Ref goes = *coldest;
  ++stats_.evicted;
  r.state = State::kWaiting;
  record(goes).heir = ref;
  remove(goes, Refusal::evicted);
  return true;
}

void Engine::finish_insertion(Ref ref, Refusal refused, Nanos now) {
  Record& r = record(ref);
  if (refused != Refusal::kNone) {
    return refuse(ref, card_.finish_refused(rule(ref), r.rule, refused), now);
  }
  unlist(under_way_, ref);
  r.state = State::kInstalled;
  r.read_at = now;
  // Whose rate nobody has measured yet is not the coldest before it has.
  r.judged_from = r.packets_per_second != 0 ? now : now + kRateMemory;
  list(installed_, ref);
  ++stats_.installed;
  ++stats_.rules;
  stats_.most_rules = std::max(stats_.most_rules, stats_.rules);
  const Nanos waited = now > r.sent ? now - r.sent : 0;
  const auto bucket = static_cast<unsigned>(std::bit_width(waited / 1'000));
  ++stats_.time_to_offload[std::min(bucket, EngineStats::kTimeBuckets - 1)];
  answer(ref, AnswerKind::kInstalled, Refusal::kNone, {}, 0);
  if (r.is_leaving) return remove(ref, Refusal::kNone);
  if (std::exchange(r.is_asked, false)) check(ref, now);
  // It may have moved while the card was at work.
  if (!sends_to_right_mac(rule(ref))) remove(ref, Refusal::neighbor_moved);
}

// Takes a rule out of force. What the card does not let go is tried again; the worker is told only
// when no packet takes the rule any more.
void Engine::remove(Ref ref, Refusal reason) {
  Record& r = record(ref);
  unlist(installed_, ref);
  list(under_way_, ref);
  count_eni(record(ref).eni, -1);
  --stats_.rules;
  if (!r.is_leaving) {
    starts_leaving(ref);
    ++leaving_matches_[r.match_class];
  }
  r.state = State::kRemoving;
  r.last = r.seen;
  r.reason = reason;
  if (reason != Refusal::kNone) ++stats_.refusals[static_cast<std::size_t>(reason)];
  to_remove_.push_back(ref);
}

bool Engine::begin_removals() {
  bool has_worked = false;
  while (card_.room() != 0) {
    std::deque<Ref>& refs = to_remove_.empty() ? to_retry_ : to_remove_;
    if (refs.empty() || !budget_.allows()) break;
    const Ref ref = refs.front();
    refs.pop_front();
    Record& r = record(ref);
    r.last = r.seen;
    card_.begin_remove(r.rule, r.last, tag_of(ref));
    has_worked = true;
  }
  return has_worked;
}

void Engine::finish_removal(Ref ref, Refusal refused, Nanos now) {
  Record& r = record(ref);
  if (!r.is_stuck) {
    unlist(under_way_, ref);
    --leaving_matches_[r.match_class];
  } else if (refused == Refusal::kNone) {
    unlist(stuck_, ref);
    --stuck_matches_[r.match_class];
  }
  const std::optional<Ref> heir = std::exchange(r.heir, std::nullopt);
  if (refused == Refusal::kNone) {
    card_.finish_removed(r.rule, r.last);
    end(ref, r.last, now);
    conform(ref.worker);
    if (heir) heirs_.push_back(*heir);
    return;
  }
  ++stats_.remove_failures;
  if (stuck_.empty()) {
    stuck_at_retry_ = kNeverRetried;
    next_retry_ = now + config_.retry_every;
  }
  if (!r.is_stuck) {
    list(stuck_, ref);
    ++stuck_matches_[r.match_class];
  }
  r.is_stuck = true;
  r.state = State::kStuck;
  must_start_over_ = must_start_over_ || !r.rule.has_handle();
  if (heir) refuse(*heir, Refusal::card_full, now);
}

// A rule is out of force: its counts, and the slot, go back to the worker.
void Engine::end(Ref ref, const CardCounters& final_counts, Nanos now) {
  Record& r = record(ref);
  const CardCounters more = difference(ref, final_counts);
  if (more.packets != 0) r.last_hit = now;
  stats_.packets += more.packets;
  stats_.bytes += more.bytes;
  ++stats_.removed;
  has_left(ref);
  r.state = State::kNone;
  // Flows that are refused for good while offload is off are asked again when it comes on: not this
  // one, if it comes on before the rule has left.
  if (r.reason == Refusal::off && is_enabled_) r.reason = Refusal::off_before;
  answer(ref, r.reason == Refusal::kNone ? AnswerKind::kRemoved : AnswerKind::kWithdrawn, r.reason,
         more, r.last_hit);
}

bool Engine::settle(Nanos now) {
  budget_.start(config_.turn_budget / kSettlingShare);
  bool has_worked = false;
  for (unsigned round = 0; round < kRoundsPerTurn; ++round) {
    begin_removals();
    insert_heirs(now);
    card_.push();
    if (!take_ends(now)) break;
    has_worked = true;
  }
  return has_worked;
}

// Some at any rate, whatever the time has gone into: receipts and slots wait for them. Few at once,
// as each may be calls of the driver. \return whether there were any.
bool Engine::take_ends(Nanos now) {
  std::array<Completion, 4> ended;
  bool has_some = false;
  do {
    const unsigned count = card_.pull(ended);
    if (count == 0) break;
    has_some = true;
    for (unsigned i = 0; i < count; ++i) {
      const Ref ref = ref_of(ended[i].tag);
      if (record(ref).state == State::kRemoving) {
        finish_removal(ref, ended[i].refused, now);
      } else {
        finish_insertion(ref, ended[i].refused, now);
      }
    }
  } while (budget_.allows());
  return has_some;
}

}  // namespace gannet::offload
