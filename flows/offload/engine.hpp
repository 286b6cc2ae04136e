// SPDX-License-Identifier: BSD-3-Clause
// The engine of the offload thread: takes the workers' orders, keeps the card's rules, reads their
// counters, makes room for busier flows, notices what goes wrong and says so to the workers. It
// reads no table of any worker.
//
// One thread calls turn(); the other functions may be called by the control thread in between,
// under the same lock (offload_thread.hpp).
#pragma once

#include "flows/base/time.hpp"
#include "flows/offload/audit.hpp"
#include "flows/offload/card.hpp"
#include "flows/offload/exchange.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace gannet::offload {

struct EngineConfig {
  std::uint32_t max_rules_per_eni = 0;      // 0: no limit.
  Nanos reading_every = kNanosPerSecond;    // Each rule's counter.
  Nanos retry_every = 10 * kNanosPerMilli;  // Removals that the card refused, and its restart.
  AuditConfig audit;
};

/// What the engine has done since the start; read under the lock.
struct EngineStats {
  std::uint64_t installed = 0;
  std::uint64_t removed = 0;
  std::uint64_t evicted = 0;
  std::uint64_t remove_failures = 0;  // Tries that had to be repeated.
  std::uint64_t resets = 0;
  std::uint64_t restart_failures = 0;  // After them: the card refused the guards.
  std::uint64_t repaired = 0;          // Rules that did not take their packets, or are wrong:
  std::uint64_t wrong = 0;             // the audit found that they do something else.
  std::uint64_t audited = 0;           // Rules that it found right.
  std::uint64_t packets = 0;           // Carried by the card, as far as read.
  std::uint64_t bytes = 0;
  std::uint64_t rules = 0;  // In force now.
  std::uint64_t most_rules = 0;
  std::uint64_t full_at = 0;  // How many were in force when the card last had no room; 0: never.
  std::array<std::uint64_t, kRefusalCount> refusals{};
  // Time from the worker's order to the rule in force: [i] counts those below 2^i microseconds.
  static constexpr unsigned kTimeBuckets = 24;
  std::array<std::uint64_t, kTimeBuckets> time_to_offload{};
};

class Engine final {
 public:
  /// Tells a next hop's MAC address as Mac::raw(), 0 if it is not known. Any thread.
  using MacOf = std::function<std::uint64_t(std::uint32_t neighbor)>;
  /// Counts changes of any of them.
  using MacChanges = std::function<std::uint32_t()>;

  Engine(Card& card, std::vector<Exchange*> workers, const EngineConfig& config, MacOf mac_of,
         MacChanges mac_changes);

  /// Takes orders, at most some hundred, and keeps house. \return whether anything was done.
  bool turn(Nanos now);

  /// Off: every rule is withdrawn, and orders are refused. Takes effect at once.
  void set_enabled(bool is_enabled, Nanos now);
  [[nodiscard]] bool is_enabled() const { return is_enabled_; }

  [[nodiscard]] const EngineStats& stats() const { return stats_; }
  /// Rules that the card does not let go, though they have no business there any more.
  [[nodiscard]] std::vector<Rule> stuck_rules() const;
  /// Generation that every rule of the card conforms to. Any thread.
  [[nodiscard]] std::uint32_t conforming_generation() const;

 private:
  enum class State : std::uint8_t { kNone, kInstalled, kStuck };
  // Of one slot's use.
  struct Record {
    CardRule rule;
    CardCounters seen;  // At the last reading.
    Nanos read_at = 0;
    Nanos last_hit = 0;
    Nanos judged_from = 0;  // When its rate is known well enough to call it the coldest.
    float packets_per_second = 0;
    std::uint32_t serial = 0;
    std::uint32_t place = 0;  // In installed_ or stuck_.
    State state = State::kNone;
    Refusal reason =
        Refusal::kNone;  // kStuck: of the withdrawal; kNone: the worker waits for kRemoved.
  };
  struct Ref {
    std::uint16_t worker;
    std::uint32_t slot;
  };

  [[nodiscard]] Record& record(Ref ref) { return records_[ref.worker][ref.slot]; }
  [[nodiscard]] const Record& record(Ref ref) const { return records_[ref.worker][ref.slot]; }
  [[nodiscard]] Rule& rule(Ref ref) { return workers_[ref.worker]->rule(ref.slot); }

  void take(Ref ref, const Order& order, Nanos now);
  void install(Ref ref, const Order& order, Nanos now);
  [[nodiscard]] Refusal try_install(Ref ref, const Order& order, Nanos now);
  void remove(Ref ref, Refusal reason, Nanos now);
  void check(Ref ref, Nanos now);
  void finish_removal(Ref ref, const CardCounters& final_counts, Nanos now);
  bool evict_for(std::uint32_t packets_per_second, Nanos now);
  bool read_counters(Nanos now);
  CardCounters note_reading(Ref ref, const CardCounters& counters, Nanos now);
  void read_one(Ref ref, Nanos now);
  void retry_stuck(Nanos now);
  void follow_neighbors(Nanos now);
  void recover(Nanos now);
  void restart(Nanos now);
  [[nodiscard]] bool audit(Nanos now);
  void choose_subject(Nanos now);
  void answer(Ref ref, AnswerKind kind, Refusal reason, const CardCounters& more, Nanos last_hit);
  [[nodiscard]] CardCounters difference(Ref ref, const CardCounters& now) const;
  [[nodiscard]] bool is_hidden_by_stuck(const Rule& rule);
  void list(std::vector<Ref>& refs, Ref ref);
  void unlist(std::vector<Ref>& refs, Ref ref);
  void count_eni(std::uint16_t eni, int change);
  void conform(std::uint16_t worker);

  Card& card_;
  std::vector<Exchange*> workers_;
  EngineConfig config_;
  MacOf mac_of_;
  MacChanges mac_changes_;
  std::vector<std::unique_ptr<Record[]>> records_;  // By worker and slot.
  std::vector<Ref> installed_;
  std::vector<Ref> stuck_;
  std::vector<std::uint32_t> rules_of_eni_;
  // By worker: what a barrier has asked for, and what holds (released here, acquired by anybody).
  std::vector<std::uint32_t> wanted_generation_;
  std::unique_ptr<std::atomic<std::uint32_t>[]> conforming_generation_;
  EngineStats stats_;
  Audit audit_;
  std::size_t audit_cursor_ = 0;
  Nanos next_restart_ = 0;
  std::size_t reading_cursor_ = 0;
  Nanos last_turn_ = 0;
  Nanos next_retry_ = 0;
  double readings_due_ = 0;
  std::uint32_t seen_mac_changes_ = 0;
  std::uint32_t random_ = 0x9e3779b9;
  bool is_enabled_ = true;
  bool is_card_usable_ = true;
};

}  // namespace gannet::offload
