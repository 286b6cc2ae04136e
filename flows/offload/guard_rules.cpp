// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/guard_rules.hpp"

#include <algorithm>
#include <utility>

#include <rte_flow.h>

namespace gannet::offload {
namespace {

// What a rule of these tables counts: which one it is in and where it leads to say what it is for.
GuardCount counter_of(std::uint32_t group, const Pattern& pattern, const Actions& actions) {
  const bool is_v4 =
      std::any_of(pattern.items(), pattern.items() + pattern.count(),
                  [](const auto& item) { return item.type == RTE_FLOW_ITEM_TYPE_IPV4; });
  switch (group) {
    case kSoftwareGroup: return is_v4 ? GuardCount::kArrivedV4 : GuardCount::kArrivedV6;
    case kFlowGroup: return is_v4 ? GuardCount::kMissedV4 : GuardCount::kMissedV6;
    default: break;
  }
  if (actions.jump.group == kFlowGroup) return GuardCount::kThrough;
  return is_v4 ? GuardCount::kKeptV4 : GuardCount::kKeptV6;
}

bool is_renewed_with(GuardAim aim, GuardCount counter) {
  switch (counter) {
    case GuardCount::kThrough: return true;
    case GuardCount::kKeptV4:
    case GuardCount::kArrivedV4: return aim == GuardAim::kSoftwareV4;
    case GuardCount::kKeptV6:
    case GuardCount::kArrivedV6: return aim == GuardAim::kSoftwareV6;
    case GuardCount::kMissedV4: return aim != GuardAim::kSoftwareV6;
    case GuardCount::kMissedV6: return aim != GuardAim::kSoftwareV4;
    case GuardCount::kNone: break;
  }
  return false;
}

}  // namespace

GuardRules::GuardRules(std::uint16_t proxy, std::vector<std::uint16_t> ports,
                       const GuardConfig& config, const Capabilities& can)
    : proxy_(proxy), ports_(std::move(ports)), config_(config), can_(can) {}

GuardRules::~GuardRules() {
  static_cast<void>(take_away());
  drop_counters();
}

// Every rule in the order in which they are put: those that let packets through last.
template <typename Visit>
bool GuardRules::for_each(Visit&& visit) {
  const auto visit_exits = [&] {
    Pattern pattern;
    Actions actions;
    for (const std::uint16_t port : ports_) {
      compile_exit(port, pattern, actions);
      const rte_flow_attr attributes = exit_attributes(port, kExitPriority);
      if (!visit(attributes, pattern, actions, GuardCount::kNone)) return false;
    }
    return true;
  };
  bool needs_exits = can_.has(Ability::watch);
  return for_each_guard(
      config_, can_,
      [&](const rte_flow_attr& attributes, const Pattern& pattern, const Actions& actions) {
        const GuardCount counter = counter_of(attributes.group, pattern, actions);
        const bool is_first_through = counter == GuardCount::kThrough && needs_exits;
        if (is_first_through) needs_exits = false;
        if (is_first_through && !visit_exits()) return false;
        return visit(attributes, pattern, actions, counter);
      });
}

bool GuardRules::make_counters() {
  if (!can_count()) return true;
  rte_flow_indir_action_conf conf{};
  conf.transfer = 1;
  const rte_flow_action_count count{};
  const rte_flow_action action{RTE_FLOW_ACTION_TYPE_COUNT, &count};
  rte_flow_error error{};
  for (rte_flow_action_handle*& counter : counters_) {
    if (counter == nullptr) counter = rte_flow_action_handle_create(proxy_, &conf, &action, &error);
    if (counter == nullptr) return false;
  }
  return true;
}

void GuardRules::drop_counters() {
  rte_flow_error error{};
  for (rte_flow_action_handle*& counter : counters_) {
    if (counter != nullptr) rte_flow_action_handle_destroy(proxy_, counter, &error);
    counter = nullptr;
  }
}

bool GuardRules::put() {
  is_complete_ = false;
  if (!make_counters()) return false;
  std::size_t index = 0;
  is_complete_ = for_each([&](const rte_flow_attr& attributes, const Pattern& pattern,
                              const Actions& wanted, GuardCount counter) {
    if (index == places_.size()) places_.emplace_back();
    Place& place = places_[index++];
    if (place.flow != nullptr) return true;
    place.counter = counter;
    Actions actions;
    if (can_count() && counter != GuardCount::kNone) {
      actions.add(RTE_FLOW_ACTION_TYPE_INDIRECT, counters_[static_cast<std::size_t>(counter)]);
    }
    for (unsigned i = 0; i < wanted.count(); ++i) {
      actions.add(wanted.list()[i].type, wanted.list()[i].conf);
    }
    rte_flow_error refused{};
    place.flow = rte_flow_create(proxy_, &attributes, pattern.items(), actions.list(), &refused);
    return place.flow != nullptr;
  });
  return is_complete_;
}

bool GuardRules::take(Place& place) {
  rte_flow_error error{};
  if (place.flow != nullptr && rte_flow_destroy(proxy_, place.flow, &error) != 0) return false;
  place.flow = nullptr;
  is_complete_ = false;
  return true;
}

bool GuardRules::take_away() {
  ++age_;
  for (std::size_t i = places_.size(); i != 0; --i) {
    if (!take(places_[i - 1])) return false;
  }
  return true;
}

void GuardRules::lose() {
  ++age_;
  is_complete_ = false;
  places_.clear();
}

void GuardRules::forget() {
  lose();
  drop_counters();
}

bool GuardRules::renew(GuardAim aim) {
  ++age_;
  for (std::size_t i = places_.size(); i != 0; --i) {
    Place& place = places_[i - 1];
    if (is_renewed_with(aim, place.counter) && !take(place)) return false;
  }
  return put();
}

bool GuardRules::read(GuardCount counter, std::uint64_t& packets) const {
  const rte_flow_action_handle* const handle = counters_[static_cast<std::size_t>(counter)];
  rte_flow_query_count count{};
  rte_flow_error error{};
  if (handle == nullptr) return false;
  if (rte_flow_action_handle_query(proxy_, handle, &count, &error) != 0) return false;
  packets += count.hits;
  return count.hits_set != 0;
}

bool GuardRules::read(GuardAim aim, bool arrived_first, Counts& counts) const {
  using enum GuardCount;
  const auto read_sent = [&] {
    counts.sent = 0;
    if (aim == GuardAim::kFlows) return read(kThrough, counts.sent);
    const bool is_v4 = aim == GuardAim::kSoftwareV4;
    return read(is_v4 ? kKeptV4 : kKeptV6, counts.sent) &&
           read(is_v4 ? kMissedV4 : kMissedV6, counts.sent);
  };
  const auto read_arrived = [&] {
    counts.arrived = 0;
    if (aim == GuardAim::kFlows) {
      return read(kMissedV4, counts.arrived) && read(kMissedV6, counts.arrived);
    }
    return read(aim == GuardAim::kSoftwareV4 ? kArrivedV4 : kArrivedV6, counts.arrived);
  };
  return arrived_first ? read_arrived() && read_sent() : read_sent() && read_arrived();
}

std::size_t GuardRules::count() const {
  return static_cast<std::size_t>(std::count_if(
      places_.begin(), places_.end(), [](const Place& place) { return place.flow != nullptr; }));
}

}  // namespace gannet::offload
