// SPDX-License-Identifier: BSD-3-Clause
// JSON rows as a table for people. Command line.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

/// A list of objects as aligned columns, headed by the keys of the first; numbers to the right.
/// Lists inside are joined with spaces. Empty: "none".
[[nodiscard]] std::string format_table(const nlohmann::ordered_json& rows);

}  // namespace gannet::control
