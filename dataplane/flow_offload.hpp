// SPDX-License-Identifier: BSD-3-Clause
// The few bytes that offload keeps in a flow: a clock of its own, and what is to come after a
// refusal. Its worker only.
#pragma once

#include "flows/base/time.hpp"
#include "flows/connection.hpp"
#include "flows/offload/refusal.hpp"

#include <algorithm>
#include <cstdint>

namespace gannet::dataplane {

inline constexpr std::uint8_t kPacketsBeforeRetry = 32;
inline constexpr unsigned kCoarseShift = 24;  // 17 ms; 16 bits last 18 minutes.

inline std::uint16_t coarse(Nanos now) { return static_cast<std::uint16_t>(now >> kCoarseShift); }

inline void start_clock(flows::FlowOffload& flow, Nanos now) {
  flow.since_low = static_cast<std::uint8_t>(coarse(now));
  flow.since_high = static_cast<std::uint8_t>(coarse(now) >> 8);
}

inline std::uint16_t coarse_since(const flows::FlowOffload& flow, Nanos now) {
  const auto since = static_cast<std::uint16_t>(flow.since_low | flow.since_high << 8);
  return static_cast<std::uint16_t>(coarse(now) - since);
}

inline void refuse(flows::FlowOffload& flow, offload::Refusal reason, Nanos now) {
  flow.reason = static_cast<std::uint8_t>(reason);
  if (offload::kind_of(reason) == offload::RefusalKind::kLasting) {
    flow.state = flows::OffloadState::kRefused;
    return;
  }
  flow.state = flows::OffloadState::kWaiting;
  flow.countdown = kPacketsBeforeRetry;
  start_clock(flow, now);
}

// How busy a flow was while it waited.
inline std::uint32_t rate_since(const flows::FlowOffload& flow, Nanos now) {
  const Nanos elapsed = (Nanos{coarse_since(flow, now)} + 1) << kCoarseShift;
  return static_cast<std::uint32_t>(
      std::max<Nanos>(kPacketsBeforeRetry * kNanosPerSecond / elapsed, 1));
}

}  // namespace gannet::dataplane
