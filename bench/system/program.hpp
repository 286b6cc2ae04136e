// SPDX-License-Identifier: BSD-3-Clause
// What the subcommands of gannet-bench share.
#pragma once

#include "flows/base/result.hpp"

#include <string>

#include <nlohmann/json.hpp>

namespace gannet::bench {

/// Keeps the calling thread on one core.
void pin_to(unsigned core);

/// Prints one line of JSON for the script that reads it.
void print(const nlohmann::ordered_json& json);

/// Says why on standard error. \return the exit status.
[[nodiscard]] int failed(const std::string& why);

/// Waits for the script to ask for another measurement. \return false when it wants no more.
[[nodiscard]] bool is_asked();

}  // namespace gannet::bench
