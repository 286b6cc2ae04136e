// SPDX-License-Identifier: BSD-3-Clause
// Time as the packet path sees it. Nothing below `control` reads a clock: the time comes in as an
// argument, so that a test can stop it and move it.
#pragma once

#include <cstdint>

namespace gannet {

/// Monotonic nanoseconds since an arbitrary start.
using Nanos = std::uint64_t;

inline constexpr Nanos kNanosPerMilli = 1'000'000;
inline constexpr Nanos kNanosPerSecond = 1'000'000'000;

/// Coarse monotonic time in units of 2^20 ns (about 1.05 ms): 32 bits last 52 days, and differences
/// are taken modulo 2^32, so a wrap does no harm to anything that ages faster than 26 days.
using Ticks = std::uint32_t;
inline constexpr unsigned kTickShift = 20;

[[nodiscard]] constexpr Ticks to_ticks(Nanos now) { return static_cast<Ticks>(now >> kTickShift); }
/// A duration, rounded up so that nothing expires early.
[[nodiscard]] constexpr Ticks duration_ticks(Nanos duration) {
  return static_cast<Ticks>((duration + (Nanos{1} << kTickShift) - 1) >> kTickShift);
}
/// Whether `a` is at or after `b`.
[[nodiscard]] constexpr bool reached(Ticks a, Ticks b) {
  return static_cast<std::int32_t>(a - b) >= 0;
}

}  // namespace gannet
