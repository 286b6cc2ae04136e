// SPDX-License-Identifier: BSD-3-Clause
// A card by way of rte_flow: transfer rules on its proxy port, one table for the guards and one for
// the flows, an indirect counter for each rule where the card has them, so that the last packets of
// a rule are counted too. Offload thread only, but for open() and the reset event.
#pragma once

#include "flows/base/result.hpp"
#include "flows/offload/capabilities.hpp"
#include "flows/offload/card.hpp"
#include "flows/offload/compile.hpp"
#include "flows/offload/guards.hpp"

#include <atomic>
#include <memory>
#include <vector>

namespace gannet::offload {

class FlowCard final : public Card {
 public:
  /// \param ports ethdevs of the card: the uplink's representor first, at least one VF's. All are
  /// started. \return one sentence if the card cannot be used at all.
  [[nodiscard]] static Result<std::unique_ptr<FlowCard>> open(std::vector<std::uint16_t> ports,
                                                              const GuardConfig& guards);
  ~FlowCard() override;
  FlowCard(const FlowCard&) = delete;
  FlowCard& operator=(const FlowCard&) = delete;

  [[nodiscard]] Refusal insert(const Rule& rule, CardRule& out) override;
  [[nodiscard]] Refusal watch(const Rule& rule, CardRule& out) override;
  [[nodiscard]] bool remove(CardRule& rule, CardCounters& counters) override;
  [[nodiscard]] bool read(const CardRule& rule, CardCounters& counters) override;
  [[nodiscard]] bool take_reset() override;
  [[nodiscard]] bool restart() override;

  [[nodiscard]] const Capabilities& capabilities() const { return can_; }
  /// Rules that the card holds for the guards and the ports' tables.
  [[nodiscard]] std::size_t guard_count() const { return guards_.size(); }

 private:
  FlowCard(std::vector<std::uint16_t> ports, const GuardConfig& guards)
      : ports_(std::move(ports)), guard_config_(guards) {}

  [[nodiscard]] bool add_guard(const rte_flow_attr& attributes, const Pattern& pattern,
                               const Actions& actions);
  [[nodiscard]] rte_flow_action_handle* make_counter();
  [[nodiscard]] bool is_small_enough(const Rule& rule) const;
  void watch_resets();

  std::vector<std::uint16_t> ports_;
  GuardConfig guard_config_;
  std::uint16_t proxy_ = 0;  // The port that transfer rules are given to.
  Capabilities can_;
  std::vector<rte_flow*> guards_;
  std::vector<std::uint16_t> mtus_;  // By ethdev; 0: not of the card.
  std::atomic<bool> has_been_reset_{
      false};  // Set by the device's event (release), taken by acquire.
  bool is_watching_ = false;
  Pattern pattern_;
  Actions actions_;
};

}  // namespace gannet::offload
