// SPDX-License-Identifier: BSD-3-Clause
// What the daemon shows of itself, as JSON: a list of objects with the same keys each, so that any
// of them can be printed as a table without knowing what it is. Control thread.
#pragma once

#include "control/controller.hpp"

#include <optional>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

/// The rows of `show WHAT`; nothing if there is no such thing.
[[nodiscard]] std::optional<nlohmann::ordered_json> show(std::string_view what,
                                                         Controller& controller);

/// All words that show() knows.
[[nodiscard]] std::vector<std::string_view> showable();

/// The last drops that the slow paths saw, newest last: what, why, by which rule.
/// The rule log, oldest first.
[[nodiscard]] nlohmann::ordered_json rule_log(Controller& controller);
[[nodiscard]] nlohmann::ordered_json recent_drops(Controller& controller);

}  // namespace gannet::control
