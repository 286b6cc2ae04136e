// SPDX-License-Identifier: BSD-3-Clause
// Small readers of text that packets and scripts share. Mistakes in a test's text are thrown as
// TextError and caught where the text came in.
#pragma once

#include "tests/support/packet_builder.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gannet::test {

struct TextError {
  std::string message;
};

using Words = std::vector<std::string_view>;

[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::vector<std::string_view> split(std::string_view text,
                                                  std::string_view separator);
/// The words between blanks.
[[nodiscard]] Words words_of(std::string_view text);

/// Decimal, or hexadecimal behind "0x"; nothing if it is no number.
[[nodiscard]] std::optional<std::uint64_t> read_number(std::string_view text);
[[nodiscard]] Bytes from_hex(std::string_view text);

/// The value of a word "key=value", taken out of `words`.
[[nodiscard]] std::optional<std::string_view> take(Words& words, std::string_view key);
/// Whether `flag` is among the words; it is taken out.
[[nodiscard]] bool take_flag(Words& words, std::string_view flag);
/// The first word, taken out; an error that says what is missing if there is none.
[[nodiscard]] std::string_view take_first(Words& words, std::string_view what);

/// Replaces each `{name}` whose name is known by its value. A numeric value may be calculated with
/// and written in hexadecimal: `{n+1}`, `{n*8+20}`, `{n:04x}`, `{n+1:02x}`. Other braces stay.
[[nodiscard]] std::string expand(std::string_view text,
                                 const std::map<std::string, std::string, std::less<>>& values);

}  // namespace gannet::test
