// SPDX-License-Identifier: BSD-3-Clause
// What the offload thread says, and whether it knows the same of the slots.
#include "dataplane/flow_offload.hpp"
#include "dataplane/offload_desk.hpp"

namespace gannet::dataplane {
namespace {

using flows::Direction;
using flows::OffloadState;
using offload::AnswerKind;
using offload::kNoSlot;
using offload::OrderKind;
using offload::Refusal;

}  // namespace

// Adds what the card has carried to the connection, the ports and the worker.
template <typename Key>
void OffloadDesk::count(flows::FlowTable<Key>& table, const Use& use,
                        const offload::Answer& answer) {
  if (answer.packets == 0) return;
  const std::uint64_t tunnel_bytes = answer.packets * packet::kVxlanOverIpv4Bytes;
  PortCounters& in = stats_.ports[use.in_port];
  PortCounters& out = stats_.ports[use.out_port];
  in.card_rx_packets.add(answer.packets);
  in.card_rx_bytes.add(answer.bytes + ((use.flags & flows::kDecapsulate) != 0 ? tunnel_bytes : 0));
  out.card_tx_packets.add(answer.packets);
  out.card_tx_bytes.add(answer.bytes + ((use.flags & flows::kEncapsulate) != 0 ? tunnel_bytes : 0));
  stats_.path.card_packets.add(answer.packets);
  if (!is_alive<Key>(use)) return;
  auto& shared = table[use.connection].shared;
  const auto d = static_cast<std::size_t>(use.direction);
  shared.packets[d] += answer.packets;
  shared.bytes[d] += answer.bytes;
  const Ticks hit = to_ticks(answer.last_hit);
  if (reached(hit, shared.last_seen[d])) shared.last_seen[d] = hit;
}

// The slot is this worker's again.
template <typename Key>
void OffloadDesk::give_back(flows::FlowTable<Key>& table, const offload::Answer& answer,
                            Nanos now) {
  Use& use = uses_[answer.slot];
  const std::uint32_t index = use.connection;
  const bool is_ours = use.state != UseState::kRemoving;  // Not given up by this worker before.
  use.state = UseState::kFree;
  // The card keeps its old rule: others first.
  if (answer.reason == Refusal::stale_rule) {
    free_.bury(answer.slot);
  } else {
    free_.push(answer.slot);
  }
  --used_count_;
  if (!is_alive<Key>(use)) return;
  auto& connection = table[index];
  std::uint32_t& slot = slot_of<Key>(index, use.direction);
  if (is_ours && slot == answer.slot) {
    slot = kNoSlot;
    refuse(connection.flow(use.direction).offload, answer.reason, now);
  }
  note_software(table, index);
}

template <typename Key>
void OffloadDesk::note_software(flows::FlowTable<Key>& table, std::uint32_t index) {
  const bool is_in_software = slot_of<Key>(index, Direction::kForward) == kNoSlot &&
                              slot_of<Key>(index, Direction::kReverse) == kNoSlot;
  if (!is_in_software) return;
  table[index].details.card_flags &= static_cast<std::uint8_t>(~flows::kOnCard);
  flows::forget_windows(table[index].details.tcp);
}

template <typename Key>
bool OffloadDesk::has_rule_in_force(flows::FlowTable<Key>& table, std::uint32_t slot) {
  const Use& use = uses_[slot];
  return use.state == UseState::kInstalled && is_alive<Key>(use) &&
         slot_of<Key>(use.connection, use.direction) == slot &&
         table[use.connection].flow(use.direction).offload.state == OffloadState::kHardware;
}

// Whatever differs is said; whether it differs because of messages that are under way, the engine
// can tell (exchange.hpp).
template <typename Key>
void OffloadDesk::answer_look(flows::FlowTable<Key>& table, const offload::Answer& look) {
  const Use& use = uses_[look.slot];
  const bool is_in_force = look.packets != 0;
  const bool is_agreed = is_in_force
                             ? use.serial == look.serial && has_rule_in_force(table, look.slot)
                             : use.state == UseState::kFree;
  if (is_agreed) return;
  const OrderKind kind = is_in_force ? OrderKind::kDisown : OrderKind::kMiss;
  static_cast<void>(try_order({kind, look.slot, look.serial, use.serial, 0}));
}

template <typename Key>
void OffloadDesk::check(flows::FlowTable<Key>& table, std::uint32_t index) {
  constexpr Family kFamily = sizeof(Key) == sizeof(flows::Ip4Key) ? Family::kIpv4 : Family::kIpv6;
  for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
    flows::FlowOffload& flow = table[index].flow(direction).offload;
    std::uint32_t& slot = slot_of<Key>(index, direction);
    const bool is_on_card =
        flow.state == OffloadState::kHardware || flow.state == OffloadState::kPending;
    if (slot == kNoSlot && !is_on_card) continue;
    if (slot != kNoSlot) {
      const Use& use = uses_[slot];
      const bool is_its_own =
          (use.state == UseState::kInstalling || use.state == UseState::kInstalled) &&
          use.family == kFamily && use.connection == index && use.direction == direction &&
          is_alive<Key>(use);
      if (is_its_own) continue;
    }
    if (!try_order({OrderKind::kLost, 0, 0, 0, 0})) return;
    slot = kNoSlot;
    if (is_on_card) flow.state = OffloadState::kCandidate;
    note_software(table, index);
  }
}

// \return whether the answer says that a connection that was asked about is idle.
template <typename Key>
bool OffloadDesk::take(flows::FlowTable<Key>& table, const offload::Answer& answer, Nanos now) {
  Use& use = uses_[answer.slot];
  if (answer.kind == AnswerKind::kLook) {
    answer_look(table, answer);
    return false;
  }
  if (use.state == UseState::kFree || use.serial != answer.serial) return false;
  count(table, use, answer);
  const bool is_attached = use.state != UseState::kRemoving && is_alive<Key>(use) &&
                           slot_of<Key>(use.connection, use.direction) == answer.slot;
  switch (answer.kind) {
    case AnswerKind::kInstalled:
      if (!is_attached) return false;
      use.state = UseState::kInstalled;
      start_clock(table[use.connection].flow(use.direction).offload, now);
      table[use.connection].flow(use.direction).offload.state = OffloadState::kHardware;
      return false;
    case AnswerKind::kReading:
      use.is_idle = false;
      // It takes packets: strays were something else.
      if (is_attached) table[use.connection].flow(use.direction).offload.countdown = 0;
      return false;
    case AnswerKind::kChecked:
      use.is_asked = false;
      use.is_idle = answer.packets == 0;
      return is_attached && use.is_idle;
    case AnswerKind::kRefused:
    case AnswerKind::kRemoved:
    case AnswerKind::kWithdrawn: give_back(table, answer, now); return false;
    case AnswerKind::kLook: return false;
  }
  return false;
}

#define GANNET_INSTANTIATE(Key)                                                 \
  template void OffloadDesk::check<Key>(flows::FlowTable<Key>&, std::uint32_t); \
  template bool OffloadDesk::take<Key>(flows::FlowTable<Key>&, const offload::Answer&, Nanos)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
