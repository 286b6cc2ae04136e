// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/policy_text.hpp"

#include "tests/packet/words.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace gannet::test {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(path + ": cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<std::string> changed(std::string text, std::string_view change) {
  auto sides = split(change, "=>");
  if (sides.size() != 2) return fail("a change is OLD => NEW");
  const std::string_view old = trim(sides[0]);
  std::string fresh(trim(sides[1]));
  for (auto at = fresh.find("\\n"); at != std::string::npos; at = fresh.find("\\n")) {
    fresh.replace(at, 2, "\n");
  }
  std::size_t at = text.find(old);
  if (at == std::string::npos) return fail(fmt::format("the policy has no '{}'", old));
  for (; at != std::string::npos; at = text.find(old, at + fresh.size())) {
    text.replace(at, old.size(), fresh);
  }
  return text;
}

std::vector<std::string> ports_of(const std::string& policy) {
  std::vector<std::string> ports;
  const std::string_view key = "port: ";
  std::istringstream stream(policy);
  for (std::string line; std::getline(stream, line);) {
    // Both ways to write an ENI: "port: vm1" on a line of its own, or inside braces.
    const auto at = line.find(key);
    const bool is_word = at != std::string::npos && (at == 0 || line[at - 1] == ' ');
    if (!is_word) continue;
    const auto from = at + key.size();
    const std::string name = line.substr(from, line.find_first_of(",}", from) - from);
    const bool is_port = !name.empty() && std::isalpha(static_cast<unsigned char>(name[0])) != 0;
    if (is_port && std::find(ports.begin(), ports.end(), name) == ports.end())
      ports.push_back(name);
  }
  return ports;
}

}  // namespace gannet::test
