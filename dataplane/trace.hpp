// SPDX-License-Identifier: BSD-3-Clause
// What happened to a packet, step by step, for people. A trace is filled only when somebody asked
// for it; a layer writes a step with `trace.add(...)`, which does nothing when no trace is wanted.
// Steps hold numbers; the control thread puts names to them. One trace belongs to one thread.
#pragma once

#include "dataplane/drops.hpp"
#include "dataplane/tuple.hpp"

#include <array>
#include <cstdint>

namespace gannet::dataplane {

/// The steps that a packet can take; the order is that of the way through the switch.
enum class Step : std::uint8_t {
  kReceive,      // value: port.
  kDecapsulate,  // value: VPC.
  kFlowHit,      // value: connection. The packet took the flow's action.
  kFlowMiss,
  kReevaluate,      // value: generation of the connection's last decision.
  kTcp,             // value: state << 8 | verdict.
  kAntiSpoof,       // value: ENI.
  kAnswer,          // value: Answer.
  kEgressGroups,    // value: deciding rule.
  kLoadBalancer,    // value: index of the backend in its pool.
  kRoute,           // value: RouteKind.
  kSourceNat,       // tuple: after translation.
  kDestinationNat,  // tuple: after translation.
  kIngressGroups,   // value: deciding rule.
  kDeliver,         // value: output port.
  kEncapsulate,     // value: next hop.
  kDrop,            // reason.
};

struct TraceStep {
  Step step = Step::kReceive;
  DropReason reason = DropReason::kNone;
  std::uint32_t value = 0;
  IpTuple tuple;  // As it stands after the step.
};

class Trace {
 public:
  void add(Step step, const IpTuple& tuple, std::uint32_t value = 0,
           DropReason reason = DropReason::kNone) {
    if (count_ < steps_.size()) steps_[count_++] = {step, reason, value, tuple};
  }
  [[nodiscard]] const TraceStep* begin() const { return steps_.data(); }
  [[nodiscard]] const TraceStep* end() const { return steps_.data() + count_; }

 private:
  std::array<TraceStep, 24> steps_;
  std::size_t count_ = 0;
};

}  // namespace gannet::dataplane
