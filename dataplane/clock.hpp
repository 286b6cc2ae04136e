// SPDX-License-Identifier: BSD-3-Clause
// Where a worker's time comes from: the TSC, or a number that a test sets. Any thread; a few
// nanoseconds.
#pragma once

#include "flows/base/time.hpp"

#include <atomic>
#include <cstdint>

#include <rte_cycles.h>

namespace gannet::dataplane {

class Clock {
 public:
  /// Monotonic time from the TSC.
  Clock()
      : nanos_per_cycle_(static_cast<double>(kNanosPerSecond) /
                         static_cast<double>(rte_get_tsc_hz())) {}
  /// Time is what `*manual` says.
  explicit Clock(const std::atomic<Nanos>* manual) : manual_(manual) {}

  [[nodiscard]] Nanos now() const {
    if (manual_ != nullptr) return manual_->load(std::memory_order_relaxed);
    // Signed, which the processor converts in one step.
    const auto cycles = static_cast<double>(static_cast<std::int64_t>(rte_rdtsc()));
    return static_cast<Nanos>(static_cast<std::int64_t>(cycles * nanos_per_cycle_));
  }
  [[nodiscard]] bool is_manual() const { return manual_ != nullptr; }

 private:
  double nanos_per_cycle_ = 0;
  const std::atomic<Nanos>* manual_ = nullptr;
};

}  // namespace gannet::dataplane
