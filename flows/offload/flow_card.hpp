// SPDX-License-Identifier: BSD-3-Clause
// A card by way of rte_flow: transfer rules on its proxy port, one table for the guards and one for
// the flows, an indirect counter for each rule where the card has them, so that the last packets of
// a rule are counted too. Rules of flows go through template tables and a flow queue where the port
// has one (template_queue.hpp), else one by one; guards and watches, which are few, always the
// latter way. Offload thread only, but for open() and the reset event.
#pragma once

#include "flows/base/result.hpp"
#include "flows/offload/capabilities.hpp"
#include "flows/offload/card.hpp"
#include "flows/offload/compile.hpp"
#include "flows/offload/guard_rules.hpp"
#include "flows/offload/rule_queue.hpp"

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

namespace gannet::offload {

class FlowCard final : public Card {
 public:
  /// \param ports ethdevs of the card: the uplink's representor first, at least one VF's. All are
  /// started. \param flow_queue_size operations that the proxy's flow queue holds; 0: it has none.
  /// \return one sentence if the card cannot be used at all.
  [[nodiscard]] static Result<std::unique_ptr<FlowCard>> open(std::vector<std::uint16_t> ports,
                                                              const GuardConfig& guards,
                                                              std::uint32_t flow_queue_size);
  ~FlowCard() override;
  FlowCard(const FlowCard&) = delete;
  FlowCard& operator=(const FlowCard&) = delete;

  [[nodiscard]] Refusal begin_insert(const Rule& rule, CardRule& out, Tag tag) override;
  void begin_remove(CardRule& rule, CardCounters& counters, Tag tag) override;
  [[nodiscard]] Refusal finish_refused(const Rule& rule, CardRule& on_card,
                                       Refusal refused) override;
  void finish_removed(CardRule& rule, CardCounters& counters) override;
  void forget(CardRule& rule) override;
  bool tidy(Budget& budget, Nanos now) override;
  [[nodiscard]] bool is_tidy() const override { return queue_->discard_count() == 0; }
  [[nodiscard]] std::size_t room() const override { return queue_->room(); }
  void push() override { queue_->push(); }
  [[nodiscard]] unsigned pull(std::span<Completion> completions) override {
    return queue_->pull(completions);
  }
  [[nodiscard]] Refusal watch(const Rule& rule, CardRule& out) override;
  [[nodiscard]] bool end_watch(CardRule& watch) override;
  [[nodiscard]] bool read(const CardRule& rule, CardCounters& counters) override;
  [[nodiscard]] bool take_reset() override;
  [[nodiscard]] Restart restart(bool with_guards) override;
  [[nodiscard]] bool has_leftovers() const override { return queue_->has_leftovers(); }

  [[nodiscard]] const Capabilities& capabilities() const { return can_; }
  /// Rules for the guards and the ports' tables; there from the start on.
  [[nodiscard]] GuardRules& guards() { return *guards_; }
  /// Whether rules go through template tables.
  [[nodiscard]] bool has_templates() const { return can_.has(Ability::templates); }
  [[nodiscard]] std::size_t table_count() const { return queue_->table_count(); }
  /// Times that the card has kept rules which it should have flushed.
  [[nodiscard]] std::uint64_t flush_failures() const { return flush_failures_; }
  /// Counters that have not been given back to the card.
  [[nodiscard]] std::size_t ended_counter_count() const { return ended_counters_.size(); }
  /// And of them those that it does not take back, which are not tried again.
  [[nodiscard]] std::uint64_t abandoned_counters() const { return abandoned_counters_; }

 private:
  // Of a rule that has gone: to be destroyed.
  struct EndedCounter {
    rte_flow_action_handle* handle;
    unsigned failures;  // Other than that something still uses it.
  };

  FlowCard(std::vector<std::uint16_t> ports, const GuardConfig& guards)
      : ports_(std::move(ports)), guard_config_(guards) {}

  [[nodiscard]] rte_flow_action_handle* make_counter();
  void end_counter(CardRule& rule);
  [[nodiscard]] bool may_end_counters() const { return !must_flush_ && !queue_->has_leftovers(); }
  bool end_next_counter();
  [[nodiscard]] Refusal compile(const Rule& rule, const rte_flow_action_handle* counter);
  void find_queue(std::uint32_t flow_queue_size);
  [[nodiscard]] bool is_small_enough(const Rule& rule) const;
  void watch_resets();

  std::vector<std::uint16_t> ports_;
  GuardConfig guard_config_;
  std::uint16_t proxy_ = 0;  // The port that transfer rules are given to.
  Capabilities can_;
  std::unique_ptr<RuleQueue> queue_;
  std::unique_ptr<GuardRules> guards_;
  std::vector<std::uint16_t> mtus_;  // By ethdev; 0: not of the card.
  std::atomic<bool> has_been_reset_{
      false};  // Set by the device's event (release), taken by acquire.
  bool is_watching_ = false;
  std::deque<EndedCounter> ended_counters_;
  Nanos next_ending_ = 0;
  Nanos ending_pause_ = 0;  // Grows while the card takes none back.
  std::uint64_t abandoned_counters_ = 0;
  std::uint64_t flush_failures_ = 0;
  bool must_flush_ = false;  // The last flush has failed.
  Pattern pattern_;
  Actions actions_;
};

}  // namespace gannet::offload
