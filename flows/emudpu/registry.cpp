// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/registry.hpp"

#include "flows/emudpu/asic.hpp"
#include "flows/emudpu/rte_pmd_emudpu.h"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <vector>

namespace gannet::emudpu {
namespace {

std::mutex g_lock;
std::vector<Card*> g_cards;

}  // namespace

void register_card(Card& card) {
  const std::lock_guard guard(g_lock);
  g_cards.push_back(&card);
}

void unregister_card(Card& card) {
  const std::lock_guard guard(g_lock);
  std::erase(g_cards, &card);
}

Card* find_card(std::string_view name) {
  const std::lock_guard guard(g_lock);
  const auto found = std::ranges::find(
      g_cards, name, [](const Card* c) { return std::string_view(c->config().name); });
  return found == g_cards.end() ? nullptr : *found;
}

void for_each_card(const std::function<void(Card&)>& visit) {
  const std::lock_guard guard(g_lock);
  for (Card* const card : g_cards) visit(*card);
}

}  // namespace gannet::emudpu

using gannet::emudpu::Card;
using gannet::emudpu::find_card;

#define GANNET_EXPORT __attribute__((visibility("default")))

GANNET_EXPORT int rte_pmd_emudpu_poll(const char* card, std::uint64_t now_ns) {
  Card* const found = find_card(card);
  if (found == nullptr) return -ENODEV;
  if (!found->config().is_manual) return -EBUSY;
  return static_cast<int>(found->asic().poll(now_ns));
}

GANNET_EXPORT int rte_pmd_emudpu_fault(const char* card, const char* name, const char* value) {
  Card* const found = find_card(card);
  if (found == nullptr) return -ENODEV;
  const std::lock_guard guard(found->lock());
  return found->faults().set(name, value) ? 0 : -EINVAL;
}

GANNET_EXPORT int rte_pmd_emudpu_reset(const char* card) {
  Card* const found = find_card(card);
  if (found == nullptr) return -ENODEV;
  found->reset();
  return 0;
}

GANNET_EXPORT int rte_pmd_emudpu_port(const char* card, unsigned index) {
  Card* const found = find_card(card);
  if (found == nullptr || index >= found->ports().size()) return -ENODEV;
  const std::uint16_t id = found->ports()[index]->port_id;
  return id == gannet::emudpu::kNoPort ? -ENODEV : id;
}

GANNET_EXPORT int rte_pmd_emudpu_stats_get(const char* card, rte_pmd_emudpu_stats* stats) {
  Card* const found = find_card(card);
  if (found == nullptr) return -ENODEV;
  const std::lock_guard guard(found->lock());
  const gannet::emudpu::RuleCounters& counters = found->rule_counters();
  *stats = {.rules_in_use = found->rules_in_use(),
            .counters_in_use = found->counters_in_use(),
            .ages_in_use = found->ages_in_use(),
            .inserted = counters.inserted,
            .destroyed = counters.destroyed,
            .refused_by_check = counters.refused_by_check,
            .refused_full = counters.refused_full,
            .refused_by_fault = counters.refused_by_fault,
            .lost_by_reset = counters.lost_by_reset,
            .faults_injected = found->faults().injected(),
            .refused_handles = counters.refused_handles,
            .rules_without_handle = found->rules_without_handle()};
  return 0;
}
