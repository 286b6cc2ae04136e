// SPDX-License-Identifier: BSD-3-Clause
// The audit: whether the card does with packets what its rules say. A card may take a rule and
// carry out another; nobody but the audit would notice. One after the other the rules that carry
// packets are watched for a moment (watch_pattern.hpp): what the rule has counted must have come
// out as it should. A watch costs a rule of the card and slows nothing down.
//
// Part of the engine: the same thread, the same lock.
#pragma once

#include "flows/base/time.hpp"
#include "flows/offload/card.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gannet::offload {

struct AuditConfig {
  Nanos every = 10 * kNanosPerMilli;   // Between two rules; 0: no audit.
  Nanos window = 20 * kNanosPerMilli;  // How long a rule is watched at least.
  unsigned watches = 8;                // At once.
  // For a round of looks at all slots, whether workers know the same of them; 0: no looks.
  Nanos round = 30 * kNanosPerSecond;
};

class Audit final {
 public:
  /// A rule that may be looked at: which use of which slot.
  struct Subject {
    std::uint16_t worker = 0;
    std::uint32_t slot = 0;
    std::uint32_t serial = 0;
    friend bool operator==(const Subject&, const Subject&) = default;
  };

  Audit(Card& card, const AuditConfig& config) : card_(card), config_(config) {}

  /// Whether there is time for another rule.
  [[nodiscard]] bool wants_subject(Nanos now) const {
    return config_.every != 0 && now >= next_start_ && watches_.size() < config_.watches;
  }
  /// There may be none: then later.
  void skip(Nanos now) { next_start_ = now + config_.every; }
  /// Of two watches on one rule only the older one would count.
  [[nodiscard]] bool is_watching(const Subject& subject) const {
    return std::any_of(watches_.begin(), watches_.end(),
                       [&](const Watch& watch) { return watch.subject == subject; });
  }
  void start(const Subject& subject, const Rule& rule, const CardRule& on_card, Nanos now);

  /// Goes on with what is due. `find(subject)` gives the card's side of a rule, or null if it has
  /// gone meanwhile; `on_wrong(subject)` is told of rules that do not do what they should, and may
  /// remove them. \return whether anything was done.
  template <typename Find, typename OnWrong>
  bool step(Nanos now, Find&& find, OnWrong&& on_wrong) {
    bool has_worked = false;
    for (std::size_t i = 0; i < watches_.size();) {
      if (now < watches_[i].due) {
        ++i;
        continue;
      }
      has_worked = true;
      const Subject subject = watches_[i].subject;
      if (look(watches_[i], find(subject), now)) on_wrong(subject);
      if (watches_[i].stage == Stage::kOver) {
        watches_[i] = watches_.back();
        watches_.pop_back();
      } else {
        ++i;
      }
    }
    return has_worked;
  }

  /// Takes all watches from the card, to make room. \return whether there were any.
  bool end_all();
  /// The card has been reset: they are gone.
  void forget() { watches_.clear(); }

  /// Rules found to do what they should, since the start.
  [[nodiscard]] std::uint64_t passed_count() const { return passed_count_; }
  [[nodiscard]] std::size_t watch_count() const { return watches_.size(); }

 private:
  enum class Stage : std::uint8_t { kWatching, kConfirming, kEnding, kOver };
  struct Watch {
    Subject subject;
    CardRule rule;
    std::uint64_t before = 0;    // Packets of the subject when the watch stood,
    std::uint64_t expected = 0;  // and how many since then; kConfirming.
    Nanos due = 0;
    unsigned patience = 0;  // Windows left in which packets may come.
    Stage stage = Stage::kWatching;
  };

  bool look(Watch& watch, const CardRule* subject, Nanos now);
  void compare(Watch& watch, const CardRule& subject, Nanos now);
  void end(Watch& watch, Nanos now);

  Card& card_;
  AuditConfig config_;
  std::vector<Watch> watches_;
  Nanos next_start_ = 0;
  std::uint64_t passed_count_ = 0;
};

}  // namespace gannet::offload
