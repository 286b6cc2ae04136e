// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/parameters.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace gannet::control {
namespace {

struct Parameter {
  std::string_view name;
  std::string_view values;  // With a bar between them; empty: read by whom it is for.
};

// The parameters that each request knows.
struct Parameters {
  std::string_view method;
  std::string_view path;
  std::vector<Parameter> known;
};
constexpr std::string_view kFormats = "text|json|sarif|github";
constexpr std::string_view kWaits = "sw|hw";
const std::vector<Parameters>& all_parameters() {
  static const std::vector<Parameters> all{
      {"GET", "/v1/flows", {{"filter", ""}, {"limit", ""}}},
      {"GET", "/v1/explain", {{"flow", ""}}},
      {"GET", "/v1/top", {{"limit", ""}}},
      {"GET",
       "/v1/capture",
       {{"port", ""}, {"eni", ""}, {"filter", ""}, {"count", ""}, {"seconds", ""}, {"snap", ""}}},
      {"POST", "/v1/flush", {{"filter", ""}}},
      {"POST", "/v1/plan", {{"format", kFormats}, {"subject", ""}}},
      {"POST",
       "/v1/apply",
       {{"wait", kWaits}, {"expect", ""}, {"confirm", ""}, {"format", kFormats}, {"subject", ""}}},
      {"POST",
       "/v1/rollback",
       {{"revision", ""}, {"wait", kWaits}, {"format", kFormats}, {"subject", ""}}},
      {"POST", "/v1/offload", {{"mode", "auto|disabled"}}},
  };
  return all;
}

bool is_one_of(std::string_view value, std::string_view values) {
  while (!values.empty()) {
    const auto bar = values.find('|');
    if (value == values.substr(0, bar)) return true;
    values.remove_prefix(bar == values.npos ? values.size() : bar + 1);
  }
  return false;
}

}  // namespace

std::string flaw_of_query(const ApiRequest& request) {
  static const std::vector<Parameter> kNone;
  const auto& all = all_parameters();
  const auto row = std::find_if(all.begin(), all.end(), [&request](const Parameters& p) {
    return p.method == request.method && p.path == request.path;
  });
  const std::vector<Parameter>& known = row == all.end() ? kNone : row->known;
  for (const auto& [key, value] : request.query) {
    const auto at = std::find_if(known.begin(), known.end(),
                                 [&key = key](const Parameter& p) { return p.name == key; });
    if (at == known.end()) {
      std::vector<std::string_view> names;
      for (const Parameter& p : known) names.push_back(p.name);
      return names.empty()
                 ? fmt::format("{} takes no parameters, and so no '{}'", request.path, key)
                 : fmt::format("{} takes no parameter '{}': there are {}", request.path, key,
                               fmt::join(names, ", "));
    }
    if (!value.empty() && !at->values.empty() && !is_one_of(value, at->values)) {
      return fmt::format("{} is one of {}, not '{}'", key, at->values, value);
    }
  }
  return {};
}

}  // namespace gannet::control
