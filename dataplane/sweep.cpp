// SPDX-License-Identifier: BSD-3-Clause
// Bringing connections up to a new policy.
#include "dataplane/changes.hpp"
#include "dataplane/connections.hpp"

#include <algorithm>

namespace gannet::dataplane {
namespace {

constexpr unsigned kReevaluationCost = 8;  // In looks at a record; measured: 8 to 12.

}  // namespace

template <typename Key>
bool Connections::adopt(std::uint32_t index, const Snapshot& policy, unsigned& looks) {
  const Changes* const changes = policy.changes.get();
  auto& connection = table<Key>()[index];
  if (changes == nullptr || !changes->bring_up(connection, policy, looks)) return false;
  ++adopted_count_;
  // What kept its flows off the card may have gone with the change.
  if (desk_ != nullptr) OffloadDesk::offer_again(connection, false);
  return true;
}

template <typename Key>
bool Connections::sweep_table(const Snapshot& policy, Ticks now, unsigned budget,
                              std::uint32_t& cursor) {
  auto& records = table<Key>();
  while (cursor < records.touched_count()) {
    if (budget == 0) return false;
    const std::uint32_t index = cursor++;
    --budget;
    const auto& forward = records[index].flows[0];
    const bool is_stale = records.is_used(index) && forward.kind == flows::FlowKind::kForward &&
                          forward.generation != policy.generation;
    if (!is_stale) continue;
    // A look at one of many changed addresses takes as long as one at a record.
    unsigned looks = 0;
    const bool is_adopted = adopt<Key>(index, policy, looks);
    budget -= std::min(budget, looks);
    if (is_adopted) continue;
    std::uint32_t rule = flows::kNoRule;
    static_cast<void>(reevaluate<Key>(index, policy, now, rule));
    budget -= std::min(budget, kReevaluationCost);
  }
  return true;
}

bool Connections::sweep(const Snapshot& policy, Ticks now, unsigned budget) {
  if (swept_generation_ != policy.generation) {
    swept_generation_ = policy.generation;
    v4_cursor_ = v6_cursor_ = 0;
  }
  return sweep_table<flows::Ip4Key>(policy, now, budget, v4_cursor_) &&
         sweep_table<flows::Ip6Key>(policy, now, budget, v6_cursor_);
}

template bool Connections::adopt<flows::Ip4Key>(std::uint32_t, const Snapshot&, unsigned&);
template bool Connections::adopt<flows::Ip6Key>(std::uint32_t, const Snapshot&, unsigned&);

}  // namespace gannet::dataplane
