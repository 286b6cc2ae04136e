// SPDX-License-Identifier: BSD-3-Clause
// What is to become of a packet: the slow path says it, the worker does it. Free of DPDK.
#pragma once

#include "dataplane/drops.hpp"
#include "dataplane/messages.hpp"
#include "dataplane/snapshot.hpp"
#include "dataplane/tuple.hpp"
#include "flows/connection.hpp"
#include "flows/flow_table.hpp"

#include <cstdint>

namespace gannet::dataplane {

enum class Disposition : std::uint8_t {
  kDrop,
  kForward,   // Apply the flow's action.
  kReturn,    // The frame is an answer: back where the question came from.
  kHandOver,  // To another worker.
  kCollect,   // A fragment: to be held until its packet is whole.
};

struct Outcome {
  Disposition disposition = Disposition::kDrop;
  DropReason reason = DropReason::kNone;  // Of kDrop; of kReturn if the answer reports a drop.
  Family family = Family::kIpv4;          // Of `flow`.
  flows::FlowRef flow;                    // Of kForward.
  bool is_translated = false;             // The tuple has been rewritten already (ICMP errors).
  bool is_first = false;                  // Opened a connection.
  HandOver how = HandOver::kNone;         // Of kHandOver, as `worker`.
  std::uint16_t worker = kNoIndex;
  std::uint32_t rule = flows::kNoRule;  // That denied.
  IpTuple tuple;                        // As received, if the packet got so far.

  static Outcome drop(DropReason reason, std::uint32_t rule = flows::kNoRule) {
    Outcome outcome;
    outcome.reason = reason;
    outcome.rule = rule;
    return outcome;
  }
  /// An answer if the layer gave one, else a drop with the layer's reason.
  static Outcome answer_or_drop(DropReason reason) {
    Outcome outcome = drop(reason);
    if (reason == DropReason::kNone) outcome.disposition = Disposition::kReturn;
    return outcome;
  }
  /// Of kNone it is a packet that must not be handed on, and is dropped.
  static Outcome hand_over(std::uint16_t worker, HandOver how) {
    if (how == HandOver::kNone) return drop(DropReason::loop);
    Outcome outcome;
    outcome.disposition = Disposition::kHandOver;
    outcome.worker = worker;
    outcome.how = how;
    return outcome;
  }
  static Outcome collect() {
    Outcome outcome;
    outcome.disposition = Disposition::kCollect;
    return outcome;
  }
  template <typename Key>
  static Outcome forward_by(flows::FlowRef ref) {
    Outcome outcome;
    outcome.disposition = Disposition::kForward;
    outcome.family = sizeof(Key) == sizeof(flows::Ip4Key) ? Family::kIpv4 : Family::kIpv6;
    outcome.flow = ref;
    return outcome;
  }
};

}  // namespace gannet::dataplane
