// SPDX-License-Identifier: BSD-3-Clause
// Tables of mistakes: each spoils a sample in one place and says, by marks, what must be found.
#pragma once

#include <ostream>
#include <span>
#include <string_view>

namespace gannet::control {

struct Mistake {
  std::string_view name;
  std::string_view from;       // Part of the sample, there once; empty: `to` is the whole text.
  std::string_view to;         // With marks.
  std::string_view says = "";  // Must be in the text that people see.
  // A second place, for mistakes that lie in two together.
  std::string_view also_from = "";
  std::string_view also_to = "";
};

inline void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

[[nodiscard]] std::span<const Mistake> yaml_mistakes();    // Whole texts.
[[nodiscard]] std::span<const Mistake> value_mistakes();   // Of kSamplePolicy: fields and values.
[[nodiscard]] std::span<const Mistake> policy_mistakes();  // Of kSamplePolicy: what it means.
[[nodiscard]] std::span<const Mistake> host_mistakes();    // Of kSampleHost.
[[nodiscard]] std::span<const Mistake> test_mistakes();    // Of kSamplePolicy and kSampleTest.

}  // namespace gannet::control
