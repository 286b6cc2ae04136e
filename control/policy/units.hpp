// SPDX-License-Identifier: BSD-3-Clause
// Quantities as people write them: "1m30s", "10Gbps", "512MiB". One parser for all of them; a
// number without its unit is refused, because nobody can know what was meant. Any thread; values.
#pragma once

#include "flows/base/result.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace gannet::control {

using Duration = std::chrono::nanoseconds;

struct Bandwidth {
  std::uint64_t bits_per_second = 0;
  [[nodiscard]] constexpr std::uint64_t bytes_per_second() const { return bits_per_second / 8; }
  friend constexpr auto operator<=>(const Bandwidth&, const Bandwidth&) = default;
};

struct ByteSize {
  std::uint64_t bytes = 0;
  friend constexpr auto operator<=>(const ByteSize&, const ByteSize&) = default;
};

enum class QuantityError : std::uint8_t {
  kNotAQuantity,
  kNoUnit,  // A bare number.
  kUnknownUnit,
  kTooLarge,  // Does not fit in 63 bits of the smallest unit.
  kTooFine,   // A fraction of the smallest unit.
};

/// Units ns, us, ms, s, m, h; several in falling order ("1m30s"); decimals ("1.5s").
[[nodiscard]] Result<Duration, QuantityError> parse_duration(std::string_view text);
/// Units bps, kbps, Mbps, Gbps: powers of 1000, bits.
[[nodiscard]] Result<Bandwidth, QuantityError> parse_bandwidth(std::string_view text);
/// Units B, KiB, MiB, GiB (powers of 1024), kB, MB, GB (powers of 1000).
[[nodiscard]] Result<ByteSize, QuantityError> parse_byte_size(std::string_view text);

/// In the largest unit that needs no fraction; reads back as the same value.
[[nodiscard]] std::string to_string(Duration duration);
[[nodiscard]] std::string to_string(Bandwidth bandwidth);
[[nodiscard]] std::string to_string(ByteSize size);

}  // namespace gannet::control
