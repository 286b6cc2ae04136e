// SPDX-License-Identifier: BSD-3-Clause
// A text in which the expected findings are marked where they must be: «slug|text» for an error at
// exactly this text, «~slug|text» for a warning. Several at one place are joined with '+'. The
// marks are taken out before the text is read, so that line, column and length follow from them.
#pragma once

#include "control/policy/diagnostic.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gannet::control {

struct MarkedText {
  std::string text;                   // Without the marks.
  std::vector<std::string> findings;  // "error slug 3:14+9", sorted.
};
[[nodiscard]] MarkedText take_marks(std::string_view marked);

/// What was found, in the same form; a finding without a position ends with the file's name.
[[nodiscard]] std::vector<std::string> describe(const Diagnostics& diagnostics);

/// `text` with `from` replaced by `to`; `from` must be there exactly once.
[[nodiscard]] std::string replaced(std::string_view text, std::string_view from,
                                   std::string_view to);

struct Checked {
  Diagnostics diagnostics;
  std::string rendered;  // As text.
};
/// Decodes, validates and, if there is nothing wrong, lints a file of any kinds of document.
[[nodiscard]] std::unique_ptr<Checked> check_text_of(std::string_view text,
                                                     std::string name = "policy.yaml");

}  // namespace gannet::control
