// SPDX-License-Identifier: BSD-3-Clause
// Policies as text: read, and changed by replacing words.
#pragma once

#include "flows/base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace gannet::test {

[[nodiscard]] Result<std::string> read_file(const std::string& path);

/// The text with every OLD of the change "OLD => NEW" replaced; a change that finds nothing is a
/// mistake.
/// `\n` in NEW begins a line.
[[nodiscard]] Result<std::string> changed(std::string text, std::string_view change);

/// The ports that a policy's ENIs name, in order.
[[nodiscard]] std::vector<std::string> ports_of(const std::string& policy);

}  // namespace gannet::test
