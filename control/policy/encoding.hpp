// SPDX-License-Identifier: BSD-3-Clause
// Which bytes may be in a text at all. yaml-cpp takes 0x04 for the end of the file, guesses at
// UTF-16 from a NUL and counts a tab as one column, so all of that is refused before it looks.
// Control thread and command line; linear in the text.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/source.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace gannet::control {

struct TextFlaw {
  std::size_t offset;
  const char* what;
};

/// The first thing that is not valid UTF-8 or that people cannot see: control characters other than
/// tab, line feed and a carriage return before one; byte order marks.
[[nodiscard]] std::optional<TextFlaw> find_flaw(std::string_view text);

/// Reports a flaw of a file, or, if there is none, all lines that are indented with tabs.
/// \return whether the file is text that may be parsed.
[[nodiscard]] bool check_text(const SourceFile& file, Diagnostics& diagnostics);

}  // namespace gannet::control
