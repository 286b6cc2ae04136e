// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/audit.hpp"

namespace gannet::offload {
namespace {

// Windows in which packets may come; and in which those that were under way inside the card when
// the rule's counter was read may come out. A card is done with them in microseconds, an emulated
// one whenever its thread gets a core.
constexpr unsigned kPatience = 5;
constexpr Nanos kConfirmAfter = kNanosPerMilli;

}  // namespace

void Audit::start(const Subject& subject, const Rule& rule, const CardRule& on_card, Nanos now) {
  skip(now);
  Watch watch;
  watch.subject = subject;
  if (card_.watch(rule, watch.rule) != Refusal::kNone) return;
  // Only now: what the rule counts from here on passes the watch.
  CardCounters counters;
  if (card_.read(on_card, counters)) {
    watch.before = counters.packets;
    watch.patience = kPatience;
    watch.due = now + config_.window;
  } else {
    watch.stage = Stage::kEnding;
  }
  watches_.push_back(watch);
}

// \return whether the subject is wrong.
bool Audit::look(Watch& watch, const CardRule* subject, Nanos now) {
  if (subject == nullptr || watch.stage == Stage::kEnding) {
    end(watch, now);
    return false;
  }
  if (watch.stage == Stage::kWatching) {
    compare(watch, *subject, now);
    return false;
  }
  CardCounters right;
  const bool is_wrong = card_.read(watch.rule, right) && right.packets < watch.expected;
  if (is_wrong && --watch.patience != 0) {
    watch.due = now + config_.window;
    return false;
  }
  if (!is_wrong) ++passed_count_;
  end(watch, now);
  return is_wrong;
}

void Audit::compare(Watch& watch, const CardRule& subject, Nanos now) {
  CardCounters taken;
  if (!card_.read(subject, taken)) return end(watch, now);
  watch.expected = taken.packets - watch.before;
  if (watch.expected == 0) {
    if (--watch.patience == 0) return end(watch, now);
    watch.due = now + config_.window;
    return;
  }
  watch.stage = Stage::kConfirming;
  watch.patience = kPatience;
  watch.due = now + kConfirmAfter;
}

void Audit::end(Watch& watch, Nanos now) {
  const bool is_gone = card_.end_watch(watch.rule);
  watch.stage = is_gone ? Stage::kOver : Stage::kEnding;
  watch.due = now + config_.window;
}

bool Audit::end_all() {
  const bool had_any = !watches_.empty();
  std::erase_if(watches_, [this](Watch& watch) {
    end(watch, 0);
    return watch.stage == Stage::kOver;
  });
  return had_any;
}

}  // namespace gannet::offload
