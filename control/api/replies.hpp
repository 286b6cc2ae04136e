// SPDX-License-Identifier: BSD-3-Clause
// What all routes need: answers of JSON, and what a request's query says. Any thread.
#pragma once

#include "control/api/server.hpp"
#include "control/policy/json_value.hpp"
#include "flows/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace gannet::control {

[[nodiscard]] ApiResponse answer(const Json& json, int status = 200);
/// {"error": message}
[[nodiscard]] ApiResponse refuse(std::string message, int status = 400);
[[nodiscard]] std::string query(const ApiRequest& request, const std::string& key,
                                std::string_view otherwise = "");
/// A number of the query; an absent or empty one is `otherwise`.
[[nodiscard]] Result<std::uint64_t> number(const ApiRequest& request, const std::string& key,
                                           std::uint64_t otherwise);

}  // namespace gannet::control
