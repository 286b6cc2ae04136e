// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/guard_audit.hpp"

namespace gannet::offload {
namespace {

constexpr Nanos kLookEvery = 100 * kNanosPerMilli;
// For packets under way inside the card: microseconds in silicon; a thread that plays it may wait
// for a core.
constexpr Nanos kArrivalPatience = 100 * kNanosPerMilli;

}  // namespace

void GuardAudit::turn(Nanos now, std::uint64_t flow_packets) {
  if (!guards_.can_count()) return;
  // Of guards that are new all packets count.
  const bool is_new = age_ != guards_.age();
  if (is_new) looks_ = {};
  age_ = guards_.age();
  if (!is_new && now < next_) return;
  next_ = now + kLookEvery;
  for (const GuardAim aim : {GuardAim::kSoftwareV4, GuardAim::kSoftwareV6, GuardAim::kFlows}) {
    look(aim, now, flow_packets);
  }
}

// What has arrived is read before what has been sent: what is sent from here on arrives later.
void GuardAudit::base(GuardAim aim, std::uint64_t flow_packets) {
  Look& look = looks_[static_cast<std::size_t>(aim)];
  look = {};
  look.is_based = guards_.read(aim, true, look.before);
  if (aim == GuardAim::kFlows) look.before.arrived += flow_packets;
}

void GuardAudit::look(GuardAim aim, Nanos now, std::uint64_t flow_packets) {
  Look& look = looks_[static_cast<std::size_t>(aim)];
  if (!look.is_based) return base(aim, flow_packets);
  GuardRules::Counts counts;
  if (!guards_.read(aim, false, counts)) return;
  const bool is_of_flows = aim == GuardAim::kFlows;
  if (is_of_flows) counts.arrived += flow_packets;
  if (look.expected == 0) {
    look.expected = counts.sent - look.before.sent;
    look.give_up = now + (is_of_flows ? flows_patience_ : kArrivalPatience);
  }
  if (look.expected == 0) return;
  if (counts.arrived - look.before.arrived >= look.expected) {
    ++passed_count_;
    return base(aim, flow_packets);
  }
  if (now < look.give_up) return;
  ++wrong_count_;
  // What the card does not take now it is offered again: nothing has arrived until then.
  if (guards_.renew(aim)) age_ = guards_.age();
  base(aim, flow_packets);
}

}  // namespace gannet::offload
