// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/plain_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace gannet::control {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_boolean(std::string_view text) {
  constexpr auto kWords = std::to_array<std::string_view>(
      {"true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes", "YES", "no", "No", "NO",
       "on", "On", "ON", "off", "Off", "OFF"});
  return std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

std::string_view without_sign(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text;
}

// 0x1f, 0o17, 0b101
bool is_prefixed_integer(std::string_view text) {
  if (text.size() < 3 || text[0] != '0' ||
      std::string_view("xob").find(text[1]) == std::string_view::npos) {
    return false;
  }
  return std::all_of(text.begin() + 2, text.end(), [](char c) {
    return c == '_' || std::isxdigit(static_cast<unsigned char>(c)) != 0;
  });
}

// 10, 1_000, 1.5, 1e3, .5
bool is_decimal(std::string_view text) {
  const auto exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos && !all_digits(without_sign(text.substr(exponent + 1)))) {
    return false;
  }
  const auto mantissa = text.substr(0, exponent);
  const auto allowed = [](char c) { return is_digit(c) || c == '_' || c == '.'; };
  return std::all_of(mantissa.begin(), mantissa.end(), allowed) &&
         std::count(mantissa.begin(), mantissa.end(), '.') <= 1 &&
         std::any_of(mantissa.begin(), mantissa.end(), is_digit) && mantissa[0] != '_';
}

// Base 60: 52:54:00:12:34:56, with a fraction in the last place at most.
bool is_sexagesimal(std::string_view text) {
  auto colon = text.find(':');
  if (colon == std::string_view::npos || !all_digits(text.substr(0, colon))) return false;
  while (colon != std::string_view::npos) {
    const auto rest = text.substr(colon + 1);
    colon = rest.find(':');
    auto group = rest.substr(0, colon);
    const auto dot = group.find('.');
    const bool may_have_fraction = colon == std::string_view::npos;
    if (dot != std::string_view::npos) {
      if (!may_have_fraction || (dot + 1 < group.size() && !all_digits(group.substr(dot + 1))))
        return false;
      group = group.substr(0, dot);
    }
    if (!all_digits(group) || group.size() > 2 || (group.size() == 2 && group[0] > '5'))
      return false;
    text = rest;
  }
  return true;
}

// 2001-12-14, with or without a time.
bool is_date(std::string_view text) {
  return text.size() >= 10 && all_digits(text.substr(0, 4)) && text[4] == '-' &&
         all_digits(text.substr(5, 2)) && text[7] == '-' && all_digits(text.substr(8, 2)) &&
         (text.size() == 10 || text[10] == 'T' || text[10] == 't' || text[10] == ' ');
}

}  // namespace

bool reads_as_other_type(std::string_view text) {
  const auto number = without_sign(text);
  if (number.empty()) return false;
  if (!is_digit(number[0]) && number[0] != '.') return is_boolean(text);
  return is_prefixed_integer(number) || is_decimal(number) || is_sexagesimal(number) ||
         is_date(text);
}

}  // namespace gannet::control
