// SPDX-License-Identifier: BSD-3-Clause
// A card as the offload engine sees it: takes rules, gives them back, reads their counters.
// FlowCard (flow_card.hpp) is the one that speaks rte_flow; tests have others. Offload thread only.
#pragma once

#include "flows/offload/refusal.hpp"
#include "flows/offload/rule.hpp"

#include <cstdint>

namespace gannet::offload {

/// What a card keeps for a rule. All null: none.
struct CardRule {
  void* flow = nullptr;
  void* counter =
      nullptr;  // An indirect COUNT action that outlives the rule; null: the rule's own.
  [[nodiscard]] bool is_there() const { return flow != nullptr || counter != nullptr; }
};

struct CardCounters {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;  // Of the frames as they came in.
};

class Card {
 public:
  virtual ~Card() = default;

  /// Puts a rule in force. \return kNone, or why not; then nothing is left of it.
  [[nodiscard]] virtual Refusal insert(const Rule& rule, CardRule& out) = 0;
  /// Takes a rule out of force; afterwards no packet takes it. \param counters receives its final
  /// counts. \return false if the card could not: the rule is as it was, and this is to be tried
  /// again.
  [[nodiscard]] virtual bool remove(CardRule& rule, CardCounters& counters) = 0;
  /// Puts a watch on what leaves the card as a rule should have made it; read and removed like a
  /// rule. \return kNone, or why not.
  [[nodiscard]] virtual Refusal watch(const Rule& rule, CardRule& out) = 0;
  /// Reads a rule's counters. \return false if the card does not say.
  [[nodiscard]] virtual bool read(const CardRule& rule, CardCounters& counters) = 0;
  /// Whether the card has been reset since this was last asked: all rules are gone.
  [[nodiscard]] virtual bool take_reset() = 0;
  /// Puts the card into its first state, without flows' rules. \return false if it cannot be used.
  [[nodiscard]] virtual bool restart() = 0;
};

}  // namespace gannet::offload
