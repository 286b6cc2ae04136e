// SPDX-License-Identifier: BSD-3-Clause
// The rows of `show` for the objects of the policy in force. Control thread.
#pragma once

#include "control/controller.hpp"

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

[[nodiscard]] nlohmann::ordered_json show_vpcs(Controller& controller);
[[nodiscard]] nlohmann::ordered_json show_enis(Controller& controller);
[[nodiscard]] nlohmann::ordered_json show_groups(Controller& controller);
[[nodiscard]] nlohmann::ordered_json show_routes(Controller& controller);
[[nodiscard]] nlohmann::ordered_json show_mappings(Controller& controller);
[[nodiscard]] nlohmann::ordered_json show_nat(Controller& controller);
[[nodiscard]] nlohmann::ordered_json show_load_balancers(Controller& controller);

}  // namespace gannet::control
