// SPDX-License-Identifier: BSD-3-Clause
// A card as the offload engine sees it: takes rules, gives them back, reads their counters. Rules
// of flows come and go by operations that are begun, sent on together, and end some time later,
// each with one completion; a card may carry them out in any order. FlowCard (flow_card.hpp) is the
// one that speaks rte_flow; tests have others. Offload thread only.
#pragma once

#include "flows/offload/budget.hpp"
#include "flows/offload/refusal.hpp"
#include "flows/offload/rule.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace gannet::offload {

/// What a card keeps for a rule. All null: none.
struct CardRule {
  void* flow = nullptr;  // Its handle; null: nobody can name the rule (any more).
  void* counter =
      nullptr;            // An indirect COUNT action that outlives the rule; null: the rule's own.
  void* table = nullptr;  // Of templates; null: none.
  [[nodiscard]] bool has_handle() const { return flow != nullptr; }
  [[nodiscard]] bool is_there() const { return flow != nullptr || counter != nullptr; }
};

struct CardCounters {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;  // Of the frames as they came in.
};

/// Tells operations apart; of its 64 bits the engine uses 48.
using Tag = std::uint64_t;
inline constexpr unsigned kTagBits = 48;

/// The end of an operation.
struct Completion {
  Tag tag = 0;
  // kNone: done. Of a removal, else: the rule is there still; it may be tried again while the rule
  // has a handle, else only a restart of the card takes it.
  Refusal refused = Refusal::kNone;
};

/// What became of an attempt to put a card into its first state.
enum class Restart : std::uint8_t {
  kDone,
  kWaits,    // For rules that are on their way: they could come afterwards.
  kKept,     // The card did not let all of its rules go. Nobody can name them any more.
  kRefused,  // It has let them go, but takes no guards.
};

class Card {
 public:
  virtual ~Card() = default;

  /// Begins to put a rule in force. `out` stays where it is until the end of the operation.
  /// \return kNone: a completion will follow. Else why not; then nothing is left of it.
  [[nodiscard]] virtual Refusal begin_insert(const Rule& rule, CardRule& out, Tag tag) = 0;
  /// Begins to take a rule out of force; a completion follows. \param counters receives the counts
  /// of now if they would be gone with the rule.
  virtual void begin_remove(CardRule& rule, CardCounters& counters, Tag tag) = 0;
  /// To be called when an insertion has ended badly, with the rule that was to be inserted, as a
  /// completion does not say all. \return the reason for people. Nothing is left of it then.
  [[nodiscard]] virtual Refusal finish_refused(const Rule& rule, CardRule& on_card,
                                               Refusal refused) = 0;
  /// To be called when a removal has ended well: no packet takes the rule any more. \param counters
  /// receives its final counts.
  virtual void finish_removed(CardRule& rule, CardCounters& counters) = 0;
  /// The rule has gone with a reset of the card: what is kept for it is given up, sooner or later.
  virtual void forget(CardRule& rule) = 0;
  /// Goes on giving up what rules have left behind, as far as the budget allows. \return whether
  /// there was any.
  virtual bool tidy(Budget& budget, Nanos now) = 0;
  /// No place on the card is taken by a rule that it has refused.
  [[nodiscard]] virtual bool is_tidy() const = 0;
  /// How many more operations may be begun before completions are taken.
  [[nodiscard]] virtual std::size_t room() const = 0;
  /// Sends on what has been begun.
  virtual void push() = 0;
  /// Takes completions. \return how many.
  [[nodiscard]] virtual unsigned pull(std::span<Completion> completions) = 0;

  /// Puts a watch on what leaves the card as a rule should have made it; read like a rule.
  /// \return kNone, or why not.
  [[nodiscard]] virtual Refusal watch(const Rule& rule, CardRule& out) = 0;
  /// Takes a watch away, at once. \return false if the card could not: to be tried again.
  [[nodiscard]] virtual bool end_watch(CardRule& watch) = 0;
  /// Reads a rule's counters. \return false if the card does not say.
  [[nodiscard]] virtual bool read(const CardRule& rule, CardCounters& counters) = 0;
  /// Whether the card has been reset since this was last asked: all rules are gone.
  [[nodiscard]] virtual bool take_reset() = 0;
  /// Puts the card into its first state, without flows' rules; what was under way is forgotten.
  /// Handles are void afterwards, but for counters' that outlive their rules.
  [[nodiscard]] virtual Restart restart(bool with_guards) = 0;
  /// Whether rules that were on their way at a reset may still come.
  [[nodiscard]] virtual bool has_leftovers() const = 0;
};

}  // namespace gannet::offload
