// SPDX-License-Identifier: BSD-3-Clause
// What other YAML readers make of a text without quotes. Most of them follow YAML 1.1, where 010 is
// eight, "yes" is true and 52:54:00:12:34:56 a number of base 60. A policy that means one thing to
// us and another to the tool that generates or checks it is worth a warning. Control thread and
// command line; linear in the text.
#pragma once

#include <string_view>

namespace gannet::control {

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether others read the text as a number, a boolean or a date.
[[nodiscard]] bool reads_as_other_type(std::string_view text);

}  // namespace gannet::control
