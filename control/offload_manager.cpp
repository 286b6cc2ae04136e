// SPDX-License-Identifier: BSD-3-Clause
#include "control/offload_manager.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include <fmt/format.h>
#include <pthread.h>

#include <rte_lcore.h>

namespace gannet::control {
namespace {

// Orders wait no longer than this for the thread to look; an idle thread costs next to nothing.
constexpr auto kPause = std::chrono::microseconds(100);
constexpr Nanos kGuardsAgainAfter = 10 * kNanosPerMilli;  // That the card refused, or kept.

// Lets flows that were refused while offload was off ask again, on their worker.
class OfferAgainCommand final : public dataplane::WorkerCommand {
 public:
  bool step(dataplane::Worker& worker) override {
    constexpr unsigned kOffersPerStep = 1'024;
    if (!offer_) offer_ = worker.connections().begin_offer();
    return worker.connections().offer_again(*offer_, kOffersPerStep);
  }

 private:
  std::optional<dataplane::Connections::Offer> offer_;
};

}  // namespace

Result<std::unique_ptr<OffloadManager>> OffloadManager::create(const OffloadManagerConfig& config,
                                                               dataplane::Dataplane& dataplane) {
  std::vector<std::uint16_t> ethdevs;
  for (const std::uint16_t port : config.ports) ethdevs.push_back(dataplane.ports()[port].ethdev());
  const std::uint32_t flow_queue_size = dataplane.ports()[config.ports.front()].flow_queue_size();
  auto card = offload::FlowCard::open(std::move(ethdevs), config.guards, flow_queue_size);
  if (!card) return tl::unexpected(card.error());
  std::unique_ptr<OffloadManager> manager(new OffloadManager(std::move(*card), config, dataplane));
  if (config.has_own_thread) {
    manager->thread_ = std::thread([self = manager.get()] { self->run(); });
    pthread_setname_np(manager->thread_.native_handle(), "offload");
  }
  return manager;
}

OffloadManager::OffloadManager(std::unique_ptr<offload::FlowCard> card,
                               const OffloadManagerConfig& config, dataplane::Dataplane& dataplane)
    : dataplane_(dataplane),
      has_own_thread_(config.has_own_thread),
      withdrawal_patience_(config.withdrawal_patience),
      card_(std::move(card)),
      engine_(std::make_unique<offload::Engine>(
          *card_, dataplane.exchanges(), config.engine,
          [&dataplane](std::uint32_t neighbor) { return dataplane.neighbors().mac_of(neighbor); },
          [&dataplane] { return dataplane.neighbors().change_count(); },
          [&dataplane] { return dataplane.clock().now(); })),
      guard_audit_(card_->guards(), config.engine.reading_every) {
  if (!config.is_enabled) engine_->set_enabled(false);
}

OffloadManager::~OffloadManager() {
  is_stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
  has_own_thread_ = false;
  leave_card();
}

// What the card does not let go now, other programs will find there.
void OffloadManager::leave_card() {
  engine_->set_enabled(false);
  const auto is_clean = [this] {
    return engine_->is_clean() && card_->guards().take_away() && card_->guards().count() == 0;
  };
  if (await(is_clean)) return;
  for (const offload::Rule& rule : stuck_rules()) {
    fmt::print(stderr, "gannetd: the card keeps the rule of {}:{} > {}:{}\n",
               gannet::to_string(rule.before.source), rule.before.source_port,
               gannet::to_string(rule.before.destination), rule.before.destination_port);
  }
  fmt::print(stderr,
             "gannetd: the card keeps {} rules of flows, {} operations under way, {} guards and {} "
             "watches{}\n",
             engine_->stuck_count(), engine_->under_way_count(), card_->guards().count(),
             engine_->watch_count(),
             engine_->is_card_usable() ? "" : "; it has not carried out a flush");
}

bool OffloadManager::turn() {
  const std::lock_guard guard(lock_);
  const Nanos now = dataplane_.clock().now();
  const bool has_begun = engine_->turn(now);
  // What ends now has taken until now, not until the turn's begin.
  const bool has_ended = engine_->settle(dataplane_.clock().now());
  keep_guards(now);
  measure(now);
  return has_begun || has_ended;
}

// A card that has stopped working, or finds work for ever, must not keep anybody. \return whether
// the condition holds.
template <typename Condition>
bool OffloadManager::await(Condition&& holds) {
  const auto give_up = std::chrono::steady_clock::now() + withdrawal_patience_;
  while (!with_engine(holds)) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    const bool has_worked = !has_own_thread_ && turn();
    if (!has_worked) std::this_thread::sleep_for(kPause);
  }
  return true;
}

// While offload is off nothing of ours is on the card: one that does something else with a guard
// than it said is out of the way.
void OffloadManager::keep_guards(Nanos now) {
  offload::GuardRules& guards = card_->guards();
  if (!engine_->is_card_usable()) return;  // They come with its restart.
  if (engine_->is_enabled() && guards.is_complete()) {
    // A rule that is leaving takes packets, but nobody reads its counter any more.
    if (!engine_->reads_all()) return guard_audit_.start_over();
    return guard_audit_.turn(now, engine_->stats().packets);
  }
  // They guard what is on the card to its last rule.
  if (!engine_->is_enabled() && (guards.count() == 0 || !engine_->is_empty())) return;
  if (now < next_guard_try_) return;
  next_guard_try_ = now + kGuardsAgainAfter;
  static_cast<void>(engine_->is_enabled() ? guards.put() : guards.take_away());
}

void OffloadManager::measure(Nanos now) {
  if (now - measured_at_ < kNanosPerSecond) return;
  const std::uint64_t installed = engine_->stats().installed;
  rules_per_second_ = static_cast<std::uint32_t>((installed - measured_installed_) *
                                                 kNanosPerSecond / (now - measured_at_));
  most_rules_per_second_ = std::max(most_rules_per_second_, rules_per_second_);
  measured_installed_ = installed;
  measured_at_ = now;
}

void OffloadManager::run() {
  rte_thread_register();  // An lcore id of its own, for the driver's caches.
  while (!is_stopping_.load(std::memory_order_relaxed)) {
    const bool is_idle = !turn();
    if (is_idle || waiting_.load(std::memory_order_relaxed) != 0) {
      std::this_thread::sleep_for(kPause);
    }
  }
  rte_thread_unregister();
}

bool OffloadManager::set_enabled(bool is_enabled) {
  bool was_enabled = false;
  const bool is_done = with_engine([&] {
    was_enabled = engine_->is_enabled();
    // A card that is not in use yet gets its guards when it is.
    const bool needs_guards = is_enabled && !was_enabled && engine_->is_card_usable();
    if (needs_guards && !card_->guards().put()) return false;
    engine_->set_enabled(is_enabled);
    return true;
  });
  if (!is_enabled) {
    await([this] { return engine_->is_empty(); });
    return with_engine([this] {
      // What the card keeps now it is asked for again (keep_guards).
      if (engine_->is_empty()) static_cast<void>(card_->guards().take_away());
      return engine_->is_clean() && card_->guards().count() == 0;
    });
  }
  if (!is_done || was_enabled) return is_done;
  for (unsigned i = 0; i < dataplane_.worker_count(); ++i) {
    OfferAgainCommand again;
    dataplane_.execute(i, again);
  }
  return true;
}

bool OffloadManager::is_enabled() {
  return with_engine([this] { return engine_->is_enabled(); });
}

// A portion for each time that the lock is held; what changes its place meanwhile may be missed.
std::vector<offload::Rule> OffloadManager::stuck_rules() {
  constexpr std::size_t kPortion = 1'024;
  std::vector<offload::Rule> rules;
  for (;;) {
    const auto more = with_engine([&] { return engine_->stuck_rules(rules.size(), kPortion); });
    rules.insert(rules.end(), more.begin(), more.end());
    if (more.size() < kPortion) return rules;
  }
}

OffloadManager::Status OffloadManager::status() {
  return with_engine([&] {
    return Status{.is_enabled = engine_->is_enabled(),
                  .stats = engine_->stats(),
                  .stuck_count = engine_->stuck_count(),
                  .is_card_usable = engine_->is_card_usable(),
                  .flush_failures = card_->flush_failures(),
                  .ended_counter_count = card_->ended_counter_count(),
                  .abandoned_counters = card_->abandoned_counters(),
                  .under_way_count = engine_->under_way_count(),
                  .guard_count = card_->guards().count(),
                  .watch_count = engine_->watch_count(),
                  .audited_guards = guard_audit_.passed_count(),
                  .wrong_guards = guard_audit_.wrong_count(),
                  .has_templates = card_->has_templates(),
                  .table_count = card_->table_count(),
                  .rules_per_second = rules_per_second_,
                  .most_rules_per_second = most_rules_per_second_};
  });
}

}  // namespace gannet::control
