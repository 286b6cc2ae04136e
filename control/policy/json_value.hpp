// SPDX-License-Identifier: BSD-3-Clause
// The one JSON type of policy, API and command line.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

/// Members keep the order in which they were written.
using Json = nlohmann::ordered_json;

}  // namespace gannet::control
