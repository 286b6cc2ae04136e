// SPDX-License-Identifier: BSD-3-Clause
// Diagnostics as people, programs and code hosts read them. Command line; costs are those of text.
#pragma once

#include "control/policy/diagnostic.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gannet::control {

enum class Format : std::uint8_t { kText, kJson, kSarif, kGithub };

/// Reads "text", "json", "sarif" or "github".
[[nodiscard]] std::optional<Format> parse_format(std::string_view word);

/// "1 change", "2 changes".
[[nodiscard]] std::string plural(std::size_t count, std::string_view noun);

/// Findings beyond this number are counted at the end instead of shown.
inline constexpr std::size_t kMaxShown = 100;

/// All findings, sorted, with a line end after the last one. Text is empty if there are none; the
/// other formats then say so. \param subject what was read, for the last line: a file, a directory.
[[nodiscard]] std::string render(Format format, const Diagnostics& diagnostics,
                                 std::string_view subject);

}  // namespace gannet::control
