// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/table.hpp"

#include "control/policy/json_value.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

std::string cell(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_null()) return "-";
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& item : value) text += (text.empty() ? "" : " ") + cell(item);
  return text.empty() ? "-" : text;
}

struct Column {
  std::string key;
  std::size_t width;
  bool is_number;
};

}  // namespace

std::string format_table(const Json& rows) {
  if (!rows.is_array() || rows.empty()) return "none\n";
  std::vector<Column> columns;
  for (const auto& [key, value] : rows.front().items()) {
    columns.push_back({key, key.size(), value.is_number()});
  }
  std::vector<std::vector<std::string>> cells;
  for (const Json& row : rows) {
    auto& line = cells.emplace_back();
    for (Column& column : columns) {
      line.push_back(row.contains(column.key) ? cell(row[column.key]) : "-");
      column.width = std::max(column.width, line.back().size());
    }
  }
  std::string out;
  const auto add_line = [&](const auto& text_of) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Column& c = columns[i];
      line += c.is_number ? fmt::format("{:>{}}", text_of(i), c.width)
                          : fmt::format("{:<{}}", text_of(i), c.width);
      if (i + 1 < columns.size()) line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t i) {
    std::string head = columns[i].key;
    std::transform(head.begin(), head.end(), head.begin(),
                   [](char c) { return static_cast<char>(c == '_' ? ' ' : std::toupper(c)); });
    return head;
  });
  for (const auto& line : cells) {
    add_line([&](std::size_t i) -> const std::string& { return line[i]; });
  }
  return out;
}

}  // namespace gannet::control
