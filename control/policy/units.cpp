// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/units.hpp"

#include "control/policy/plain_text.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <span>

#include <fmt/format.h>

namespace gannet::control {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;  // In the smallest unit.
};

// Largest first. What is printed uses the first that divides the value, so units of which people do
// not think together (KiB and kB) are in two tables for printing.
constexpr auto kDurations = std::to_array<Unit>({{"h", 3'600'000'000'000},
                                                 {"m", 60'000'000'000},
                                                 {"s", 1'000'000'000},
                                                 {"ms", 1'000'000},
                                                 {"us", 1'000},
                                                 {"ns", 1}});
constexpr auto kBandwidths = std::to_array<Unit>(
    {{"Gbps", 1'000'000'000}, {"Mbps", 1'000'000}, {"kbps", 1'000}, {"bps", 1}});
constexpr auto kSizes = std::to_array<Unit>({{"GiB", 1U << 30},
                                             {"MiB", 1U << 20},
                                             {"KiB", 1U << 10},
                                             {"B", 1},
                                             {"GB", 1'000'000'000},
                                             {"MB", 1'000'000},
                                             {"kB", 1'000}});
constexpr std::size_t kPrintedSizes = 4;

constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();

std::string_view take_while(std::string_view& text, auto&& predicate) {
  std::size_t n = 0;
  while (n < text.size() && predicate(text[n])) ++n;
  const auto head = text.substr(0, n);
  text.remove_prefix(n);
  return head;
}

// `whole`.`fraction` times `factor`, exactly.
Result<std::uint64_t, QuantityError> scale(std::string_view whole, std::string_view fraction,
                                           std::uint64_t factor) {
  constexpr std::size_t kMaxDigits = 18;  // Of which any number fits in 63 bits.
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  if (fraction.size() > kMaxDigits) return tl::unexpected(QuantityError::kTooFine);
  std::uint64_t value = 0;
  if (std::from_chars(whole.data(), whole.data() + whole.size(), value).ec != std::errc{}) {
    return tl::unexpected(QuantityError::kTooLarge);
  }
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  for (const char digit : fraction) {
    numerator = numerator * 10 + static_cast<std::uint64_t>(digit - '0');
    denominator *= 10;
  }
  // 63 bits of a fraction below 1 times 42 bits of the largest factor.
  const auto part = static_cast<unsigned __int128>(numerator) * factor;
  if (part % denominator != 0) return tl::unexpected(QuantityError::kTooFine);
  const auto total = static_cast<unsigned __int128>(value) * factor + part / denominator;
  if (total > kMax) return tl::unexpected(QuantityError::kTooLarge);
  return static_cast<std::uint64_t>(total);
}

/// Reads one number and its unit off the front. `units` is cut to what may still follow.
Result<std::uint64_t, QuantityError> take_term(std::string_view& text,
                                               std::span<const Unit>& units) {
  const auto whole = take_while(text, is_digit);
  if (whole.empty()) return tl::unexpected(QuantityError::kNotAQuantity);
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = take_while(text, is_digit);
    if (fraction.empty()) return tl::unexpected(QuantityError::kNotAQuantity);
  }
  const auto name = take_while(text, [](char c) { return !is_digit(c); });
  if (name.empty()) return tl::unexpected(QuantityError::kNoUnit);
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i].name != name) continue;
    const std::uint64_t factor = units[i].factor;
    units = units.subspan(i + 1);
    return scale(whole, fraction, factor);
  }
  return tl::unexpected(QuantityError::kUnknownUnit);
}

Result<std::uint64_t, QuantityError> parse_quantity(std::string_view text,
                                                    std::span<const Unit> units, bool is_compound) {
  std::uint64_t total = 0;
  do {
    const auto term = take_term(text, units);
    if (!term) return term;
    if (*term > kMax - total) return tl::unexpected(QuantityError::kTooLarge);
    total += *term;
  } while (is_compound && !text.empty());
  if (!text.empty()) return tl::unexpected(QuantityError::kNotAQuantity);
  return total;
}

std::string print(std::uint64_t value, std::span<const Unit> units) {
  for (const auto& [name, factor] : units) {
    if (value >= factor && value % factor == 0) return fmt::format("{}{}", value / factor, name);
  }
  return fmt::format("{}{}", value, units.back().name);
}

}  // namespace

Result<Duration, QuantityError> parse_duration(std::string_view text) {
  return parse_quantity(text, kDurations, true).map([](std::uint64_t ns) {
    return Duration(static_cast<std::int64_t>(ns));
  });
}

Result<Bandwidth, QuantityError> parse_bandwidth(std::string_view text) {
  return parse_quantity(text, kBandwidths, false).map([](std::uint64_t bits) {
    return Bandwidth{bits};
  });
}

Result<ByteSize, QuantityError> parse_byte_size(std::string_view text) {
  return parse_quantity(text, kSizes, false).map([](std::uint64_t bytes) {
    return ByteSize{bytes};
  });
}

std::string to_string(Duration duration) {
  return print(static_cast<std::uint64_t>(duration.count()), kDurations);
}

std::string to_string(Bandwidth bandwidth) { return print(bandwidth.bits_per_second, kBandwidths); }

std::string to_string(ByteSize size) {
  return print(size.bytes, std::span(kSizes).first(kPrintedSizes));
}

}  // namespace gannet::control
