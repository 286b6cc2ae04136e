// SPDX-License-Identifier: BSD-3-Clause
// The card's rules that belong to no flow: the guards (guards.hpp) and, of each port's table, the
// rule that sends out. They stand while offload is on. So that their audit (guard_audit.hpp) can
// tell whether a guard does what it was told, all guards with one aim share a counter, and where
// they lead to another one counts what has come. Offload thread only.
#pragma once

#include "flows/offload/card.hpp"
#include "flows/offload/guards.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace gannet::offload {

/// Where guards send packets.
enum class GuardAim : std::uint8_t { kSoftwareV4, kSoftwareV6, kFlows };
inline constexpr std::size_t kGuardAims = 3;

/// What the rules share counters for; by the outer header.
enum class GuardCount : std::uint8_t {
  kKeptV4,  // To software, by a guard,
  kKeptV6,
  kMissedV4,  // or because no flow's rule took them.
  kMissedV6,
  kArrivedV4,  // There.
  kArrivedV6,
  kThrough,  // To the flows' table.
  kNone,
};
inline constexpr std::size_t kGuardCounts = 7;

class GuardRules final {
 public:
  /// \param proxy the port that transfer rules are given to; \param ports all ethdevs of the card.
  GuardRules(std::uint16_t proxy, std::vector<std::uint16_t> ports, const GuardConfig& config,
             const Capabilities& can);
  ~GuardRules();
  GuardRules(const GuardRules&) = delete;
  GuardRules& operator=(const GuardRules&) = delete;

  /// Puts those that are not there. \return false if the card refuses one.
  [[nodiscard]] bool put();
  /// Takes them away, those first that let packets through. \return false if the card keeps one.
  [[nodiscard]] bool take_away();
  /// The card has lost them all.
  void forget();
  /// Their handles are void, while the card may have kept some.
  void lose();
  /// Those of an aim, and what counts what they have sent: away and back again, during which
  /// nothing is let through. \return false if the card refuses one, or keeps one: put() again.
  [[nodiscard]] bool renew(GuardAim aim);
  [[nodiscard]] bool is_complete() const { return is_complete_; }

  /// Whether what guards do can be counted.
  [[nodiscard]] bool can_count() const { return can_.has(Ability::guard_count); }
  struct Counts {
    std::uint64_t sent = 0;     // Taken by the guards of the aim.
    std::uint64_t arrived = 0;  // And there: of kFlows those that no flow's rule took.
  };
  /// What has arrived is read first if `arrived_first`, else last.
  [[nodiscard]] bool read(GuardAim aim, bool arrived_first, Counts& counts) const;

  /// Rules that are there.
  [[nodiscard]] std::size_t count() const;
  /// Counts renewals and losses of everything: counters have begun anew.
  [[nodiscard]] std::uint64_t age() const { return age_; }

 private:
  struct Place {
    rte_flow* flow = nullptr;
    GuardCount counter = GuardCount::kNone;
  };
  template <typename Visit>
  bool for_each(Visit&& visit);
  [[nodiscard]] bool make_counters();
  [[nodiscard]] bool read(GuardCount counter, std::uint64_t& packets) const;
  [[nodiscard]] bool take(Place& place);
  void drop_counters();

  std::uint16_t proxy_;
  std::vector<std::uint16_t> ports_;
  GuardConfig config_;
  const Capabilities& can_;
  std::vector<Place> places_;
  std::array<rte_flow_action_handle*, kGuardCounts> counters_{};
  std::uint64_t age_ = 0;
  bool is_complete_ = false;
};

}  // namespace gannet::offload
