// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/engine.hpp"

#include "flows/base/check.hpp"
#include "flows/packet/headers.hpp"

#include <algorithm>
#include <bit>

namespace gannet::offload {
namespace {

constexpr unsigned kOrdersPerTurn = 256;  // Of each worker.
constexpr std::size_t kReadingsPerTurn = 4'096;
constexpr std::size_t kAuditSample = 64;        // Rules looked at for one that carries packets.
constexpr Nanos kLately = 2 * kNanosPerSecond;  // Longer than the time between two readings.
constexpr std::size_t kEvictionSample = 1'024;  // Of more rules, a random part is looked at.
// A newcomer must be so much busier than the one that goes, or they would take turns.
constexpr float kEvictionMargin = 2.0F;
// A rule's rate is an average over about so long: one quiet moment does not make a busy flow cold.
constexpr Nanos kRateMemory = kNanosPerSecond;

float seconds(Nanos time) { return static_cast<float>(time) / static_cast<float>(kNanosPerSecond); }

}  // namespace

Engine::Engine(Card& card, std::vector<Exchange*> workers, const EngineConfig& config, MacOf mac_of,
               MacChanges mac_changes)
    : card_(card),
      workers_(std::move(workers)),
      config_(config),
      mac_of_(std::move(mac_of)),
      mac_changes_(std::move(mac_changes)),
      rules_of_eni_(std::size_t{1} << 16),
      wanted_generation_(workers_.size()),
      conforming_generation_(new std::atomic<std::uint32_t>[workers_.size()]()),
      audit_(card, config.audit) {
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
  if (!is_card_usable_ && now >= next_restart_) restart(now);
  const auto worker_count = static_cast<std::uint16_t>(workers_.size());
  for (std::uint16_t worker = 0; worker < worker_count; ++worker) {
    Order order;
    for (unsigned i = 0; i < kOrdersPerTurn && workers_[worker]->orders.try_pop(order); ++i) {
      take({worker, order.slot}, order, now);
      has_worked = true;
    }
  }
  if (const std::uint32_t changes = mac_changes_(); changes != seen_mac_changes_) {
    seen_mac_changes_ = changes;
    follow_neighbors(now);
    has_worked = true;
  }
  if (!stuck_.empty() && now >= next_retry_) retry_stuck(now);
  has_worked = audit(now) || has_worked;
  return read_counters(now) || has_worked;
}

bool Engine::audit(Nanos now) {
  if (is_enabled_ && audit_.wants_subject(now)) choose_subject(now);
  const auto find = [this](const Audit::Subject& s) -> const CardRule* {
    const Record& r = record({s.worker, s.slot});
    return r.state == State::kInstalled && r.serial == s.serial ? &r.rule : nullptr;
  };
  const bool has_worked = audit_.step(now, find, [this, now](const Audit::Subject& s) {
    ++stats_.wrong;
    ++stats_.repaired;
    remove({s.worker, s.slot}, Refusal::repaired, now);
  });
  stats_.audited = audit_.passed_count();
  return has_worked;
}

// The next rule in turn that has carried packets lately.
void Engine::choose_subject(Nanos now) {
  audit_.skip(now);
  const std::size_t looks = std::min(installed_.size(), kAuditSample);
  for (std::size_t i = 0; i < looks; ++i) {
    if (audit_cursor_ >= installed_.size()) audit_cursor_ = 0;
    const Ref ref = installed_[audit_cursor_++];
    const Record& r = record(ref);
    if (r.last_hit == 0 || now - r.last_hit > kLately) continue;
    const Audit::Subject subject{ref.worker, ref.slot, r.serial};
    if (audit_.is_watching(subject)) return;  // All others have had their turn.
    return audit_.start(subject, rule(ref), r.rule, now);
  }
}

void Engine::take(Ref ref, const Order& order, Nanos now) {
  if (order.kind == OrderKind::kBarrier) {
    wanted_generation_[ref.worker] = order.value;
    conform(ref.worker);
    return;
  }
  if (order.kind == OrderKind::kInstall) return install(ref, order, now);
  // Whatever has been taken out already has been answered already.
  Record& r = record(ref);
  if (r.state != State::kInstalled || r.serial != order.serial) return;
  switch (order.kind) {
    case OrderKind::kRemove: return remove(ref, Refusal::kNone, now);
    case OrderKind::kCheck: return check(ref, now);
    case OrderKind::kSuspect: ++stats_.repaired; return remove(ref, Refusal::repaired, now);
    case OrderKind::kInstall:
    case OrderKind::kBarrier: break;
  }
}

void Engine::answer(Ref ref, AnswerKind kind, Refusal reason, const CardCounters& more,
                    Nanos last_hit) {
  auto& answers = workers_[ref.worker]->answers;
  const bool is_sent = answers.try_push(
      {kind, reason, ref.slot, record(ref).serial, more.packets, more.bytes, last_hit});
  GANNET_CHECK(is_sent);  // The exchange's arithmetic is wrong otherwise.
}

// What has been counted since the last reading. The card counts frames as they come in, workers the
// inner ones.
CardCounters Engine::difference(Ref ref, const CardCounters& now) const {
  const CardCounters& before = record(ref).seen;
  CardCounters more{now.packets - before.packets, now.bytes - before.bytes};
  const Rule& r = workers_[ref.worker]->rule(ref.slot);
  if (r.has(flows::kDecapsulate)) {
    more.bytes -= std::min(more.bytes, more.packets * packet::kVxlanOverIpv4Bytes);
  }
  return more;
}

bool Engine::is_hidden_by_stuck(const Rule& newcomer) {
  return std::any_of(stuck_.begin(), stuck_.end(),
                     [&](Ref ref) { return is_same_match(rule(ref), newcomer); });
}

Refusal Engine::try_install(Ref ref, const Order& order, Nanos now) {
  const Rule& wanted = rule(ref);
  if (!is_enabled_) return Refusal::off;
  if (!is_card_usable_) return Refusal::card_reset;
  if (config_.max_rules_per_eni != 0 && wanted.eni != 0xffff &&
      rules_of_eni_[wanted.eni] >= config_.max_rules_per_eni) {
    return Refusal::quota;
  }
  if (wanted.neighbor != flows::kNoNeighbor &&
      mac_of_(wanted.neighbor) != wanted.neighbor_mac.raw()) {
    return Refusal::neighbor_moved;
  }
  if (is_hidden_by_stuck(wanted)) return Refusal::stale_rule;
  Record& r = record(ref);
  Refusal refused = card_.insert(wanted, r.rule);
  if (refused == Refusal::card_full && audit_.end_all()) refused = card_.insert(wanted, r.rule);
  if (refused == Refusal::card_full) {
    stats_.full_at = stats_.rules;
    if (evict_for(order.value, now)) refused = card_.insert(wanted, r.rule);
  }
  return refused;
}

void Engine::install(Ref ref, const Order& order, Nanos now) {
  Record& r = record(ref);
  r = Record{};
  r.serial = order.serial;
  const Refusal refused = try_install(ref, order, now);
  if (refused != Refusal::kNone) {
    ++stats_.refusals[static_cast<std::size_t>(refused)];
    return answer(ref, AnswerKind::kRefused, refused, {}, 0);
  }
  r.state = State::kInstalled;
  r.read_at = now;
  // Whose rate nobody has measured yet is not the coldest before it has.
  r.judged_from = order.value != 0 ? now : now + kRateMemory;
  r.packets_per_second = static_cast<float>(order.value);
  list(installed_, ref);
  count_eni(rule(ref).eni, +1);
  ++stats_.installed;
  ++stats_.rules;
  stats_.most_rules = std::max(stats_.most_rules, stats_.rules);
  const Nanos waited = now > order.sent ? now - order.sent : 0;
  const auto bucket = static_cast<unsigned>(std::bit_width(waited / 1'000));
  ++stats_.time_to_offload[std::min(bucket, EngineStats::kTimeBuckets - 1)];
  answer(ref, AnswerKind::kInstalled, Refusal::kNone, {}, 0);
}

// A rule is out of force: its counts, and the slot, go back to the worker.
void Engine::finish_removal(Ref ref, const CardCounters& final_counts, Nanos now) {
  Record& r = record(ref);
  const CardCounters more = difference(ref, final_counts);
  if (more.packets != 0) r.last_hit = now;
  stats_.packets += more.packets;
  stats_.bytes += more.bytes;
  ++stats_.removed;
  r.state = State::kNone;
  answer(ref, r.reason == Refusal::kNone ? AnswerKind::kRemoved : AnswerKind::kWithdrawn, r.reason,
         more, r.last_hit);
}

// Takes a rule out of force. What the card does not let go is tried again; the worker is told only
// when no packet takes the rule any more.
void Engine::remove(Ref ref, Refusal reason, Nanos now) {
  Record& r = record(ref);
  CardCounters counters = r.seen;
  unlist(installed_, ref);
  count_eni(rule(ref).eni, -1);
  --stats_.rules;
  r.reason = reason;
  if (reason != Refusal::kNone) ++stats_.refusals[static_cast<std::size_t>(reason)];
  if (card_.remove(r.rule, counters)) return finish_removal(ref, counters, now);
  ++stats_.remove_failures;
  r.state = State::kStuck;
  list(stuck_, ref);
  next_retry_ = now + config_.retry_every;
}

void Engine::retry_stuck(Nanos now) {
  next_retry_ = now + config_.retry_every;
  for (std::size_t i = 0; i < stuck_.size();) {
    const Ref ref = stuck_[i];
    Record& r = record(ref);
    CardCounters counters = r.seen;
    if (!card_.remove(r.rule, counters)) {
      ++stats_.remove_failures;
      ++i;
      continue;
    }
    unlist(stuck_, ref);
    finish_removal(ref, counters, now);
    conform(ref.worker);
  }
}

// Takes over what a counter says. \return what is new.
CardCounters Engine::note_reading(Ref ref, const CardCounters& counters, Nanos now) {
  Record& r = record(ref);
  const CardCounters more = difference(ref, counters);
  if (now > r.read_at) {
    const float elapsed = seconds(now - r.read_at);
    const float rate = static_cast<float>(more.packets) / elapsed;
    r.packets_per_second +=
        (rate - r.packets_per_second) * elapsed / (elapsed + seconds(kRateMemory));
    r.read_at = now;
  }
  r.seen = counters;
  if (more.packets != 0) r.last_hit = now;
  stats_.packets += more.packets;
  stats_.bytes += more.bytes;
  return more;
}

void Engine::read_one(Ref ref, Nanos now) {
  CardCounters counters;
  if (!card_.read(record(ref).rule, counters)) return;
  const CardCounters more = note_reading(ref, counters, now);
  if (more.packets != 0) answer(ref, AnswerKind::kReading, Refusal::kNone, more, now);
}

void Engine::check(Ref ref, Nanos now) {
  const Record& r = record(ref);
  CardCounters counters = r.seen;
  static_cast<void>(card_.read(r.rule, counters));
  const CardCounters more = note_reading(ref, counters, now);
  answer(ref, AnswerKind::kChecked, Refusal::kNone, more, r.last_hit);
}

// Every counter once in each interval, a part of them in each turn. Readings give way to answers
// that must arrive.
bool Engine::read_counters(Nanos now) {
  const Nanos elapsed = last_turn_ == 0 ? 0 : now - last_turn_;
  last_turn_ = now;
  if (installed_.empty() || elapsed == 0) return false;
  readings_due_ += static_cast<double>(installed_.size()) * static_cast<double>(elapsed) /
                   static_cast<double>(config_.reading_every);
  readings_due_ = std::min(readings_due_, static_cast<double>(installed_.size()));
  const auto count = std::min(static_cast<std::size_t>(readings_due_), kReadingsPerTurn);
  for (std::size_t i = 0; i < count; ++i) {
    if (reading_cursor_ >= installed_.size()) reading_cursor_ = 0;
    const Ref ref = installed_[reading_cursor_++];
    const auto& answers = workers_[ref.worker]->answers;
    if (answers.size() < answers.capacity() / 4) read_one(ref, now);
  }
  readings_due_ -= static_cast<double>(count);
  return count != 0;
}

// Takes out the least busy rule if the newcomer is clearly busier.
bool Engine::evict_for(std::uint32_t packets_per_second, Nanos now) {
  const std::size_t looks = std::min(installed_.size(), kEvictionSample);
  std::size_t place = 0;
  if (looks < installed_.size()) {
    random_ = random_ * 1'664'525 + 1'013'904'223;
    place = random_ % installed_.size();
  }
  float lowest = static_cast<float>(packets_per_second) / kEvictionMargin;
  const Ref* coldest = nullptr;
  for (std::size_t i = 0; i < looks; ++i) {
    const Ref& candidate = installed_[(place + i) % installed_.size()];
    const Record& r = record(candidate);
    if (now < r.judged_from || r.packets_per_second >= lowest) continue;
    lowest = r.packets_per_second;
    coldest = &candidate;
  }
  if (coldest == nullptr) return false;
  ++stats_.evicted;
  const Ref goes = *coldest;
  remove(goes, Refusal::evicted, now);
  return record(goes).state == State::kNone;
}

// A next hop's MAC has changed: rules that send to the old one go. Their flows come back with the
// next packet, and the new address.
void Engine::follow_neighbors(Nanos now) {
  for (std::size_t i = 0; i < installed_.size();) {
    const Ref ref = installed_[i];
    const Rule& r = rule(ref);
    const bool is_right =
        r.neighbor == flows::kNoNeighbor || mac_of_(r.neighbor) == r.neighbor_mac.raw();
    if (is_right) {
      ++i;
    } else {
      remove(ref, Refusal::neighbor_moved, now);
    }
  }
}

// The card has lost everything; what it counted since the last readings is lost with it.
void Engine::recover(Nanos now) {
  ++stats_.resets;
  const auto forget = [&](std::vector<Ref>& refs, bool is_installed) {
    for (const Ref ref : refs) {
      Record& r = record(ref);
      r.rule = {};
      if (is_installed) {
        count_eni(rule(ref).eni, -1);
        --stats_.rules;
      }
      if (is_installed) r.reason = Refusal::card_reset;
      finish_removal(ref, r.seen, now);
    }
    refs.clear();
  };
  forget(installed_, true);
  forget(stuck_, false);
  audit_.forget();
  restart(now);
  const auto worker_count = static_cast<std::uint16_t>(workers_.size());
  for (std::uint16_t worker = 0; worker < worker_count; ++worker) conform(worker);
}

// Without its guards the card takes no rule; whatever kept it from taking them may pass.
void Engine::restart(Nanos now) {
  is_card_usable_ = card_.restart();
  if (is_card_usable_) return;
  ++stats_.restart_failures;
  next_restart_ = now + config_.retry_every;
}

void Engine::set_enabled(bool is_enabled, Nanos now) {
  is_enabled_ = is_enabled;
  if (is_enabled) return;
  audit_.end_all();
  while (!installed_.empty()) remove(installed_.back(), Refusal::off, now);
}

void Engine::conform(std::uint16_t worker) {
  const bool is_held =
      std::any_of(stuck_.begin(), stuck_.end(), [worker](Ref ref) { return ref.worker == worker; });
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
