// SPDX-License-Identifier: BSD-3-Clause
// Bringing connections up to a new policy.
#include "dataplane/changes.hpp"
#include "dataplane/connections.hpp"

#include <algorithm>
#include <array>

namespace gannet::dataplane {
namespace {

constexpr std::uint32_t kRecordsAhead = 4;
constexpr std::size_t kMostAtOnce = 32;
constexpr unsigned kReevaluationCost = 8;  // In looks at a record; measured: 8 to 12.

// By force: the compiler leaves out a call that only prefetches.
template <typename Record>
[[gnu::always_inline]] inline void prefetch_all(const Record* record) {
  for (std::size_t line = 0; line < sizeof *record; line += 64) {
    __builtin_prefetch(reinterpret_cast<const char*>(record) + line, 1);
  }
}

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
    prefetch_all(&records[std::min(index + kRecordsAhead, records.touched_count() - 1)]);
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

template <typename Key>
void Connections::bring_up(std::span<const flows::FlowRef> flows, const Snapshot& policy) {
  auto* const records = table<Key>().records();
  std::array<std::uint32_t, kMostAtOnce> stale;
  while (!flows.empty()) {
    const auto some = flows.first(std::min<std::size_t>(flows.size(), kMostAtOnce));
    flows = flows.subspan(some.size());
    unsigned count = 0;
    for (const flows::FlowRef ref : some) {
      const auto& connection = records[ref.connection()];
      if (connection.flow(ref.direction()).generation == policy.generation) continue;
      prefetch_all(&connection);
      stale[count++] = ref.connection();
    }
    for (unsigned i = 0; i < count; ++i) {
      const auto& forward = records[stale[i]].flows[0];
      const bool is_stale =
          forward.generation != policy.generation && forward.kind == flows::FlowKind::kForward;
      unsigned looks = 0;
      // Any other is judged when its packet comes to the slow path.
      if (is_stale) static_cast<void>(adopt<Key>(stale[i], policy, looks));
    }
  }
}

bool Connections::sweep(const Snapshot& policy, Ticks now, unsigned budget) {
  if (swept_generation_ != policy.generation) {
    swept_generation_ = policy.generation;
    v4_cursor_ = v6_cursor_ = 0;
  }
  const bool is_done = sweep_table<flows::Ip4Key>(policy, now, budget, v4_cursor_) &&
                       sweep_table<flows::Ip6Key>(policy, now, budget, v6_cursor_);
  if (is_done) settled_generation_ = policy.generation;
  return is_done;
}

template void Connections::bring_up<flows::Ip4Key>(std::span<const flows::FlowRef>,
                                                   const Snapshot&);
template void Connections::bring_up<flows::Ip6Key>(std::span<const flows::FlowRef>,
                                                   const Snapshot&);
template bool Connections::adopt<flows::Ip4Key>(std::uint32_t, const Snapshot&, unsigned&);
template bool Connections::adopt<flows::Ip6Key>(std::uint32_t, const Snapshot&, unsigned&);

}  // namespace gannet::dataplane
