// SPDX-License-Identifier: BSD-3-Clause
// What is said of offload to people and programs: the rows of `show offload`, and where a flow's
// packets go. Control thread.
#pragma once

#include "control/controller.hpp"
#include "control/flow_view.hpp"
#include "flows/connection.hpp"

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

/// The rows of `show offload`: item, value, meaning.
[[nodiscard]] nlohmann::ordered_json show_offload(Controller& controller);

/// `hardware`, `pending` or `software (reason)`.
[[nodiscard]] std::string path_text(const flows::FlowOffload& flow, bool is_established);

/// Flows that have ended, or are to be cut, and whose rule the card does not let go.
[[nodiscard]] std::vector<FlowRecord> stuck_flows(Controller& controller, const FlowFilter& filter);
/// The same in words; empty if all is as it should be.
[[nodiscard]] nlohmann::ordered_json stuck_rules(Controller& controller);

}  // namespace gannet::control
