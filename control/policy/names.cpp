// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/names.hpp"

#include <algorithm>

namespace gannet::control {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace

const char* name_flaw(std::string_view name) {
  if (name.empty()) return "a name cannot be empty";
  if (name.size() > kMaxNameLength) return "a name has at most 63 characters";
  if (name == "main") return "the name 'main' is reserved";
  if (!is_alphanumeric(name[0])) return "a name begins with a letter or a digit";
  const bool is_good = std::all_of(name.begin(), name.end(), [](char c) {
    return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
  return is_good ? nullptr : "a name consists of letters, digits, '_', '.' and '-'";
}

}  // namespace gannet::control
