// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/replies.hpp"

#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {

ApiResponse answer(const Json& json, int status) {
  return {
      status, json.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json", {}};
}

ApiResponse refuse(std::string message, int status) {
  return answer({{"error", std::move(message)}}, status);
}

std::string query(const ApiRequest& request, const std::string& key, std::string_view otherwise) {
  const auto found = request.query.find(key);
  return found == request.query.end() ? std::string(otherwise) : found->second;
}

// A number of the query; an absent or empty one is `otherwise`.
Result<std::uint64_t> number(const ApiRequest& request, const std::string& key,
                             std::uint64_t otherwise) {
  const std::string text = query(request, key);
  if (text.empty()) return otherwise;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size()) return value;
  return fail(fmt::format("{} is no number: '{}'", key, text));
}

}  // namespace gannet::control
