// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/engine.hpp"
#include "flows/packet/headers.hpp"

#include <algorithm>

namespace gannet::offload {
namespace {

constexpr std::size_t kReadingsPerTurn = 4'096;
constexpr std::size_t kAuditSample = 64;        // Rules looked at for one that carries packets.
constexpr Nanos kLately = 2 * kNanosPerSecond;  // Longer than the time between two readings.
constexpr std::size_t kEvictionSample = 1'024;  // Of more rules, a random part is looked at.

float seconds(Nanos time) { return static_cast<float>(time) / static_cast<float>(kNanosPerSecond); }

}  // namespace

bool Engine::audit(Nanos now) {
  if (is_enabled_ && audit_.wants_subject(now)) choose_subject(now);
  const auto find = [this](const Audit::Subject& s) -> const CardRule* {
    const Record& r = record({s.worker, s.slot});
    return r.state == State::kInstalled && r.serial == s.serial ? &r.rule : nullptr;
  };
  const bool has_worked = audit_.step(now, find, [this](const Audit::Subject& s) {
    ++stats_.wrong;
    ++stats_.repaired;
    remove({s.worker, s.slot}, Refusal::repaired);
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

// What has been counted since the last reading. The card counts frames as they come in, workers the
// inner ones.
CardCounters Engine::difference(Ref ref, const CardCounters& now) const {
  const CardCounters& before = record(ref).seen;
  // A card that has just been reset may say so later than it counts from zero.
  if (now.packets < before.packets || now.bytes < before.bytes) return {};
  CardCounters more{now.packets - before.packets, now.bytes - before.bytes};
  const Rule& r = workers_[ref.worker]->rule(ref.slot);
  if (r.has(flows::kDecapsulate)) {
    more.bytes -= std::min(more.bytes, more.packets * packet::kVxlanOverIpv4Bytes);
  }
  return more;
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
  Record& r = record(ref);
  // Of one that a flush has taken, `last` has what was read before.
  CardCounters counters = r.state == State::kStuck ? r.last : r.seen;
  if (r.rule.has_handle()) static_cast<void>(card_.read(r.rule, counters));
  const CardCounters more = note_reading(ref, counters, now);
  if (r.state == State::kStuck) r.last = r.seen;  // What has been told is not told again.
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
  const auto most = std::min(static_cast<std::size_t>(readings_due_), kReadingsPerTurn);
  std::size_t count = 0;
  for (; count < most && budget_.allows(); ++count) {
    if (reading_cursor_ >= installed_.size()) reading_cursor_ = 0;
    const Ref ref = installed_[reading_cursor_++];
    if (workers_[ref.worker]->may_tell()) read_one(ref, now);
  }
  readings_due_ -= static_cast<double>(count);
  return count != 0;
}

// The least busy rule of those that carry fewer packets a second, or null.
const Engine::Ref* Engine::find_coldest(float below, Nanos now) {
  const std::size_t looks = std::min(installed_.size(), kEvictionSample);
  std::size_t place = 0;
  if (looks < installed_.size()) {
    random_ = random_ * 1'664'525 + 1'013'904'223;
    place = random_ % installed_.size();
  }
  const Ref* coldest = nullptr;
  for (std::size_t i = 0; i < looks; ++i) {
    const Ref& candidate = installed_[(place + i) % installed_.size()];
    const Record& r = record(candidate);
    if (now < r.judged_from || r.packets_per_second >= below) continue;
    below = r.packets_per_second;
    coldest = &candidate;
  }
  return coldest;
}

// A next hop's MAC has changed: rules that send to the old one go. Their flows come back with the
// next packet, and the new address.
void Engine::follow_neighbors() {
  for (std::size_t i = 0; i < installed_.size();) {
    const Ref ref = installed_[i];
    if (sends_to_right_mac(rule(ref))) {
      ++i;
    } else {
      remove(ref, Refusal::neighbor_moved);
    }
  }
}

}  // namespace gannet::offload
