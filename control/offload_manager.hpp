// SPDX-License-Identifier: BSD-3-Clause
// The offload thread and what the control thread may do with it: switch offload on and off, look at
// what it has done, ask whether the card conforms to a policy.
//
// The thread turns the engine (flows/offload/engine.hpp) under a lock that the control thread takes
// for its few questions; workers meet it only in the rings of the exchanges.
#pragma once

#include "dataplane/dataplane.hpp"
#include "flows/offload/engine.hpp"
#include "flows/offload/flow_card.hpp"
#include "flows/offload/guard_audit.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace gannet::control {

struct OffloadManagerConfig {
  std::vector<std::uint16_t> ports;  // Dataplane ports of the card, the uplink first.
  offload::GuardConfig guards;
  offload::EngineConfig engine;
  bool is_enabled = true;
  bool has_own_thread = true;                            // False: a test calls turn().
  std::chrono::milliseconds withdrawal_patience{5'000};  // For a card to give back all rules.
};

class OffloadManager final {
 public:
  /// \return one sentence if the card can hold no rules at all.
  [[nodiscard]] static Result<std::unique_ptr<OffloadManager>> create(
      const OffloadManagerConfig& config, dataplane::Dataplane& dataplane);
  /// Takes all rules from the card, or says on the standard error what it has kept. The dataplane's
  /// ports are still open.
  ~OffloadManager();
  OffloadManager(const OffloadManager&) = delete;
  OffloadManager& operator=(const OffloadManager&) = delete;

  /// One turn of the engine. \return whether anything was done.
  bool turn();

  /// Everything below: control thread.

  /// Off: every rule is taken out, guards too, flows go on in software; returns when the card has
  /// let them go. \return false if it keeps some, as status() says; they are asked for again.
  /// On: flows may ask again. \return false if the card refuses the guards: it stays off.
  bool set_enabled(bool is_enabled);

  struct Status {
    bool is_enabled = false;
    offload::EngineStats stats;
    std::size_t stuck_count = 0;              // Rules that the card does not let go.
    bool is_card_usable = false;              // It is in a known state and has its guards.
    std::uint64_t flush_failures = 0;         // Times that it kept rules when it was to have none.
    std::size_t ended_counter_count = 0;      // Counters of former rules that it has still to free,
    std::uint64_t abandoned_counters = 0;     // and such as it did not, however often it was asked.
    std::size_t under_way_count = 0;          // Operations that the card has not ended.
    std::size_t guard_count = 0;              // Rules of the card that are no flow's,
    std::size_t watch_count = 0;              // and of the audit.
    std::uint64_t audited_guards = 0;         // times that they did what they should,
    std::uint64_t wrong_guards = 0;           // and that they did not.
    bool has_templates = false;               // Rules go through template tables,
    std::size_t table_count = 0;              // so many.
    std::uint32_t rules_per_second = 0;       // Installed in the last whole second,
    std::uint32_t most_rules_per_second = 0;  // and the most in any.
  };
  [[nodiscard]] Status status();
  [[nodiscard]] bool is_enabled();
  /// Rules that the card does not let go: there may be as many as it holds.
  [[nodiscard]] std::vector<offload::Rule> stuck_rules();
  [[nodiscard]] const offload::Capabilities& capabilities() const { return card_->capabilities(); }
  /// Generation that everything on the card conforms to.
  [[nodiscard]] std::uint32_t conforming_generation() const {
    return engine_->conforming_generation();
  }

 private:
  OffloadManager(std::unique_ptr<offload::FlowCard> card, const OffloadManagerConfig& config,
                 dataplane::Dataplane& dataplane);

  void run();
  template <typename Condition>
  bool await(Condition&& holds);
  void leave_card();
  void keep_guards(Nanos now);
  void measure(Nanos now);
  // The control thread's turn with the engine: the thread stands aside while somebody waits.
  template <typename Work>
  auto with_engine(Work&& work) {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    const std::lock_guard guard(lock_);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return work();
  }

  dataplane::Dataplane& dataplane_;
  bool has_own_thread_;
  std::chrono::milliseconds withdrawal_patience_;
  std::unique_ptr<offload::FlowCard> card_;
  std::unique_ptr<offload::Engine> engine_;
  offload::GuardAudit guard_audit_;
  Nanos next_guard_try_ = 0;
  std::mutex lock_;
  std::atomic<unsigned> waiting_{0};
  std::atomic<bool> is_stopping_{false};
  Nanos measured_at_ = 0;
  std::uint64_t measured_installed_ = 0;
  std::uint32_t rules_per_second_ = 0;
  std::uint32_t most_rules_per_second_ = 0;
  std::thread thread_;
};

}  // namespace gannet::control
