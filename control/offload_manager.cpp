// SPDX-License-Identifier: BSD-3-Clause
#include "control/offload_manager.hpp"

#include <algorithm>
#include <chrono>

#include <pthread.h>

#include <rte_lcore.h>

namespace gannet::control {
namespace {

// Orders wait no longer than this for the thread to look; an idle thread costs next to nothing.
constexpr auto kPause = std::chrono::microseconds(100);
// For a card to give back all rules.
constexpr auto kWithdrawalPatience = std::chrono::seconds(5);

// Lets flows that were refused while offload was off ask again, on their worker.
class OfferAgainCommand final : public dataplane::WorkerCommand {
 public:
  bool step(dataplane::Worker& worker) override {
    constexpr unsigned kOffersPerStep = 1'024;
    return worker.connections().offer_again(cursor_, kOffersPerStep);
  }

 private:
  std::uint64_t cursor_ = 0;
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
      card_(std::move(card)),
      engine_(std::make_unique<offload::Engine>(
          *card_, dataplane.exchanges(), config.engine,
          [&dataplane](std::uint32_t neighbor) { return dataplane.neighbors().mac_of(neighbor); },
          [&dataplane] { return dataplane.neighbors().change_count(); })) {
  if (!config.is_enabled) engine_->set_enabled(false);
}

OffloadManager::~OffloadManager() {
  is_stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
  engine_->set_enabled(false);
  has_own_thread_ = false;
  await_empty();
}

bool OffloadManager::turn() {
  const std::lock_guard guard(lock_);
  const Nanos now = dataplane_.clock().now();
  const bool has_begun = engine_->turn(now);
  // What ends now has taken until now, not until the turn's begin.
  const bool has_ended = engine_->settle(dataplane_.clock().now());
  measure(now);
  return has_begun || has_ended;
}

// Until nothing is on the card but what it does not let go. A card that has stopped working must
// not keep anybody for ever.
void OffloadManager::await_empty() {
  const auto give_up = std::chrono::steady_clock::now() + kWithdrawalPatience;
  while (!with_engine([this] { return engine_->is_empty(); })) {
    const bool has_worked = !has_own_thread_ && turn();
    if (has_worked) continue;
    if (std::chrono::steady_clock::now() > give_up) return;
    std::this_thread::sleep_for(kPause);
  }
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

void OffloadManager::set_enabled(bool is_enabled) {
  const bool was_enabled = with_engine([&] {
    const bool before = engine_->is_enabled();
    engine_->set_enabled(is_enabled);
    return before;
  });
  if (!is_enabled) await_empty();
  if (!is_enabled || was_enabled) return;
  for (unsigned i = 0; i < dataplane_.worker_count(); ++i) {
    OfferAgainCommand again;
    dataplane_.execute(i, again);
  }
}

OffloadManager::Status OffloadManager::status() {
  return with_engine([&] {
    return Status{engine_->is_enabled(),      engine_->stats(),     engine_->stuck_rules(),
                  engine_->under_way_count(), card_->guard_count(), card_->has_templates(),
                  card_->table_count(),       rules_per_second_,    most_rules_per_second_};
  });
}

}  // namespace gannet::control
