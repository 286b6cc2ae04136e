// SPDX-License-Identifier: BSD-3-Clause
// The engine of the offload thread: takes the workers' orders, keeps the card's rules, reads their
// counters, makes room for busier flows, notices what goes wrong and says so to the workers. It
// reads no table of any worker.
//
// Operations on the card end some time after they have been begun: turn() begins them, settle()
// sends them on and takes their ends. Of one rule at most one is under way. Insertions wait in a
// queue for each worker, in their order; one that would insert what a rule on its way out still
// matches holds up those behind it. Removals wait for nothing but the end of their own rule's
// insertion: what a policy denies must not go on because a slow card has much to insert. One for an
// insertion that waits cancels it.
//
// A call of the card's driver may take long, and the control thread waits for the lock meanwhile:
// whatever may be many is done in portions, most of it within a budget of time for each turn
// (docs/offload.md says what is not).
//
// engine.cpp has the orders, engine_rules.cpp the life of a rule, engine_recovery.cpp what follows
// when the card loses rules or keeps them, engine_upkeep.cpp what goes on all the time: counters,
// audit, next hops; engine_looks.cpp compares with what workers know.
//
// One thread calls turn() and settle(); the other functions may be called by the control thread in
// between, under the same lock (control/offload_manager.hpp).
#pragma once

#include "flows/base/time.hpp"
#include "flows/offload/audit.hpp"
#include "flows/offload/budget.hpp"
#include "flows/offload/card.hpp"
#include "flows/offload/exchange.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace gannet::offload {

struct EngineConfig {
  std::uint32_t max_rules_per_eni = 0;      // 0: no limit.
  Nanos reading_every = kNanosPerSecond;    // Each rule's counter.
  Nanos retry_every = 10 * kNanosPerMilli;  // Removals that the card refused, and its restart.
  // All rules are flushed for one that only a flush takes, at most so often.
  Nanos start_over_every = kNanosPerSecond;
  // Of a turn's orders, removals and insertions, but for the calls of the driver that are in
  // progress at its end.
  Nanos turn_budget = 2 * kNanosPerMilli;
  AuditConfig audit;
};

/// What the engine has done since the start; read under the lock.
struct EngineStats {
  std::uint64_t installed = 0;
  std::uint64_t removed = 0;
  std::uint64_t evicted = 0;
  std::uint64_t remove_failures = 0;  // Tries that had to be repeated.
  std::uint64_t resets = 0;
  std::uint64_t counts_lost = 0;  // Rules that went with one: what they had counted since their
                                  // last reading nobody knows.
  std::uint64_t start_overs = 0;  // All rules were flushed, as one could not be removed any more.
  std::uint64_t restart_failures = 0;  // After either: the card was not ready, or refused guards.
  std::uint64_t repaired = 0;          // Rules that did not take their packets, or are wrong:
  std::uint64_t wrong = 0;             // the audit found that they do something else.
  std::uint64_t audited = 0;           // Rules that it found right.
  std::uint64_t looks = 0;             // Slots compared with what the worker knows:
  std::uint64_t orphans = 0;           // rules that no connection had; removed;
  std::uint64_t lost = 0;              // and uses of a slot without a rule; back in software.
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

  /// \param clock the time that turn() and settle() are given, as it goes on during them.
  Engine(Card& card, std::vector<Exchange*> workers, const EngineConfig& config, MacOf mac_of,
         MacChanges mac_changes, std::function<Nanos()> clock);

  /// Takes orders, as many as the budget allows, and keeps house. \return whether anything was
  /// done.
  bool turn(Nanos now);
  /// Sends on what has been begun, and takes what has ended. \return whether anything has.
  bool settle(Nanos now);

  /// Off: every rule is withdrawn, and orders are refused. is_empty() says when they are gone.
  void set_enabled(bool is_enabled);
  [[nodiscard]] bool is_enabled() const { return is_enabled_; }

  /// Nothing is on the card, or on its way, but what it does not let go.
  [[nodiscard]] bool is_empty() const {
    return installed_.empty() && under_way_.empty() && gone_.empty() && card_.is_tidy();
  }
  /// The same, without exception.
  [[nodiscard]] bool is_clean() const {
    return is_card_known_ && is_empty() && stuck_.empty() && audit_.watch_count() == 0;
  }
  [[nodiscard]] std::size_t watch_count() const { return audit_.watch_count(); }
  /// Whether the card is in a known state and has its guards.
  [[nodiscard]] bool is_card_usable() const { return is_card_usable_; }

  [[nodiscard]] const EngineStats& stats() const { return stats_; }
  /// Whether the counters of all rules that may take packets are read.
  [[nodiscard]] bool reads_all() const {
    return stuck_.empty() && to_remove_.empty() && gone_.empty();
  }
  /// Operations that have not ended.
  [[nodiscard]] std::size_t under_way_count() const { return under_way_.size(); }
  /// Rules that the card does not let go, though they have no business there any more: how many,
  [[nodiscard]] std::size_t stuck_count() const { return stuck_.size(); }
  /// and some of them, in no order.
  [[nodiscard]] std::vector<Rule> stuck_rules(std::size_t first, std::size_t count) const;
  /// Generation that every rule of the card conforms to. Any thread.
  [[nodiscard]] std::uint32_t conforming_generation() const;

 private:
  // A rule's rate is an average over about so long: one quiet moment does not make a busy flow
  // cold.
  static constexpr Nanos kRateMemory = kNanosPerSecond;

  enum class State : std::uint8_t {
    kNone,
    kInserting,
    kWaiting,  // To be inserted, when the one that goes for it has gone.
    kInstalled,
    kRemoving,
    kStuck,  // The card did not let it go; it is tried again.
  };
  struct Ref {
    std::uint16_t worker;
    std::uint32_t slot;
  };
  // Of one slot's use.
  struct Record {
    CardRule rule;
    CardCounters seen;  // At the last reading.
    CardCounters last;  // Of a removal under way: what is known, if the counter goes with the rule.
    Nanos sent = 0;     // The order.
    Nanos read_at = 0;
    Nanos last_hit = 0;
    Nanos judged_from = 0;  // When its rate is known well enough to call it the coldest.
    float packets_per_second = 0;
    std::uint32_t serial = 0;
    std::uint32_t place = 0;          // In installed_, under_way_ or stuck_.
    std::uint32_t barriers = 0;       // That the worker had set when the rule began to leave.
    std::uint32_t queued_serial = 0;  // If is_queued.
    std::optional<Ref> heir{};        // Who waits for its room.
    State state = State::kNone;
    bool is_queued = false;           // The slot's next use waits in queued_.
    bool is_leaving = false;          // Counted in leaving_.
    bool is_asked = false;            // kCheck came while it was being inserted.
    bool is_stuck = false;            // A removal has failed before.
    bool is_doubted = false;          // The worker has said in this round that it knows otherwise.
    std::uint8_t appeals = 0;         // Ways to find room that have been gone.
    Refusal reason = Refusal::kNone;  // Of the withdrawal; kNone: the worker waits for kRemoved.
    // Of the rule, which a worker that is out of step may overwrite:
    std::uint16_t eni = 0;
    std::uint16_t match_class = 0;  // In leaving_matches_.
  };

  // A worker's round of looks.
  struct Round {
    double due = 0;  // Looks.
    std::uint32_t cursor = 0;
  };
  // Of one worker: rules that are to leave and have not, by when that began.
  struct Leaving {
    std::uint32_t before_barrier = 0;
    std::uint32_t since = 0;
    std::uint32_t barriers = 0;
  };
  // Of one worker: insertions that the card has not been told.
  struct Queue {
    std::deque<Order> orders;
    std::size_t cancelled_count = 0;
  };
  // A rule that has left with a flush or a reset; its worker has not been told.
  struct Gone {
    Ref ref;
    bool is_lost;  // A reset has taken what was to be read.
  };

  [[nodiscard]] Record& record(Ref ref) { return records_[ref.worker][ref.slot]; }
  [[nodiscard]] const Record& record(Ref ref) const { return records_[ref.worker][ref.slot]; }
  [[nodiscard]] Rule& rule(Ref ref) { return workers_[ref.worker]->rule(ref.slot); }

  // Orders.
  bool take_orders(std::uint16_t worker, Nanos now);
  void take(Ref ref, const Order& order, Nanos now);
  void take_of_rule(Ref ref, const Order& order, Nanos now);
  void take_of_queued(Ref ref, const Order& order);
  void take_of_coming(Ref ref, const Order& order);
  void enqueue(Ref ref, const Order& order);
  [[nodiscard]] bool is_cancelled(Ref ref, const Order& order) const {
    return !record(ref).is_queued || record(ref).queued_serial != order.serial;
  }
  bool insert_queued(std::uint16_t worker, Nanos now);
  void answer(Ref ref, AnswerKind kind, Refusal reason, const CardCounters& more, Nanos last_hit);
  void conform(std::uint16_t worker);
  void set_barrier(std::uint16_t worker, std::uint32_t generation);
  void starts_leaving(Ref ref);
  void has_left(Ref ref);

  // The life of a rule.
  void install(Ref ref, const Order& order, Nanos now);
  [[nodiscard]] Refusal objection_to(const Rule& wanted);
  void insert(Ref ref, Nanos now);
  void refuse(Ref ref, Refusal reason, Nanos now);
  [[nodiscard]] bool find_room(Ref ref, Nanos now);
  void finish_insertion(Ref ref, Refusal refused, Nanos now);
  bool insert_heirs(Nanos now);
  void drop_unwanted(Ref ref);
  void remove(Ref ref, Refusal reason);
  bool begin_removals();
  bool take_ends(Nanos now);
  void finish_removal(Ref ref, Refusal refused, Nanos now);
  void end(Ref ref, const CardCounters& final_counts, Nanos now);
  [[nodiscard]] bool is_hidden_by_stuck(const Rule& rule);
  void retry_stuck(Nanos now);
  bool look_after_card(Nanos now);
  void recover(Nanos now);
  [[nodiscard]] bool read_before_flush();
  void start_over(Nanos now);
  void give_up_all();
  void restart(Nanos now);
  void part_with_stuck(bool is_lost);
  bool release_gone(Nanos now);

  // All the time.
  [[nodiscard]] const Ref* find_coldest(float below, Nanos now);
  bool read_counters(Nanos now);
  CardCounters note_reading(Ref ref, const CardCounters& counters, Nanos now);
  void read_one(Ref ref, Nanos now);
  void check(Ref ref, Nanos now);
  [[nodiscard]] CardCounters difference(Ref ref, const CardCounters& now) const;
  void follow_neighbors();
  [[nodiscard]] bool sends_to_right_mac(const Rule& rule) const {
    return rule.neighbor == flows::kNoNeighbor || mac_of_(rule.neighbor) == rule.neighbor_mac.raw();
  }
  [[nodiscard]] bool audit(Nanos now);
  void choose_subject(Nanos now);

  // Comparing with the workers.
  [[nodiscard]] bool is_occupied(Ref ref);
  void turn_away(Ref ref, const Order& order);
  bool look_around(Nanos now);
  void look(Ref ref);
  void take_disown(Ref ref, const Order& order);
  void take_miss(Ref ref, const Order& order);

  void list(std::vector<Ref>& refs, Ref ref);
  void unlist(std::vector<Ref>& refs, Ref ref);
  void count_eni(std::uint16_t eni, int change);
  static std::uint16_t match_class_of(const Rule& rule) {
    return static_cast<std::uint16_t>(match_hash(rule) % kMatchClasses);
  }
  static Tag tag_of(Ref ref) { return Tag{ref.worker} << 32 | ref.slot; }
  static Ref ref_of(Tag tag) {
    return {static_cast<std::uint16_t>(tag >> 32), static_cast<std::uint32_t>(tag)};
  }

  Card& card_;
  std::vector<Exchange*> workers_;
  EngineConfig config_;
  MacOf mac_of_;
  MacChanges mac_changes_;
  std::vector<std::unique_ptr<Record[]>> records_;  // By worker and slot.
  std::vector<Ref> installed_;
  std::vector<Ref> under_way_;    // kInserting, kWaiting, and kRemoving for the first time.
  std::vector<Ref> stuck_;        // kStuck, and kRemoving again.
  std::deque<Ref> to_remove_;     // Of these what the card has not been told yet,
  std::deque<Ref> to_retry_;      // and, after them, of those that have been stuck before.
  std::deque<Ref> heirs_;         // kWaiting, for which there is room now.
  std::vector<Gone> gone_;        // kStuck, and in none of the lists above.
  std::vector<Queue> queued_;     // By worker.
  std::vector<Leaving> leaving_;  // By worker.
  // How many rules on their way out, and stuck, match packets of a class; more than one match is in
  // each.
  static constexpr std::size_t kMatchClasses = 16'384;
  std::vector<std::uint32_t> leaving_matches_;
  std::vector<std::uint32_t> stuck_matches_;
  std::vector<std::uint32_t> rules_of_eni_;
  // By worker: what a barrier has asked for, and what holds (released here, acquired by anybody).
  std::vector<std::uint32_t> wanted_generation_;
  std::unique_ptr<std::atomic<std::uint32_t>[]> conforming_generation_;
  EngineStats stats_;
  Budget budget_;
  Audit audit_;
  std::size_t audit_cursor_ = 0;
  std::vector<Round> rounds_;  // By worker.
  Nanos looked_at_ = 0;
  Nanos next_restart_ = 0;
  Nanos restart_pause_ = 0;
  Nanos next_start_over_ = 0;
  std::size_t reading_cursor_ = 0;
  Nanos last_turn_ = 0;
  std::uint16_t first_worker_ = 0;  // Whose orders are taken first.
  Nanos next_retry_ = 0;
  Nanos retry_pause_ = 0;  // Grows while the card lets none go.
  static constexpr std::size_t kNeverRetried = ~std::size_t{0};
  std::size_t stuck_at_retry_ = kNeverRetried;  // How many there were at the last one.
  double readings_due_ = 0;
  std::uint32_t seen_mac_changes_ = 0;
  std::size_t retry_cursor_ = 0;
  std::size_t flush_cursor_ = 0;  // Of read_before_flush().
  std::uint32_t random_ = 0x9e3779b9;
  bool is_enabled_ = true;
  bool is_card_usable_ = true;
  bool is_card_known_ = true;     // Nothing is on it, or may come, but what the records say.
  bool must_start_over_ = false;  // Some stuck rule has no handle.
};

}  // namespace gannet::offload
