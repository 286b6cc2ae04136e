// SPDX-License-Identifier: BSD-3-Clause
// Where a turn of the poll loop spends its time. The loop says at the end of each step that it is
// over; in the loop of every day that is nothing, in the one of the benchmarks a look at the
// time-stamp counter, once a burst. Processors overlap neighbouring steps: a few cycles may be
// counted for the next one. Owned by one worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <rte_cycles.h>

namespace gannet::dataplane {

enum class LoopStep : std::uint8_t { kReceive, kParse, kLookUp, kApply, kTransmit, kRest };
inline constexpr std::size_t kLoopStepCount = 6;

/// Measures nothing and costs nothing.
struct NoSteps {
  void end(LoopStep /*step*/) const {}
};

class StepCycles final {
 public:
  /// What was since the end of the step before was this one.
  void end(LoopStep step) {
    const std::uint64_t now = rte_rdtsc();
    cycles_[static_cast<std::size_t>(step)] += now - last_;
    last_ = now;
    ++looks_;
  }
  [[nodiscard]] std::uint64_t of(LoopStep step) const {
    return cycles_[static_cast<std::size_t>(step)];
  }
  /// How often the counter has been looked at.
  [[nodiscard]] std::uint64_t looks() const { return looks_; }

 private:
  std::array<std::uint64_t, kLoopStepCount> cycles_{};
  std::uint64_t last_ = rte_rdtsc();
  std::uint64_t looks_ = 0;
};

}  // namespace gannet::dataplane
