// SPDX-License-Identifier: BSD-3-Clause
// Prints what is generated from the tables of fields: for the build, which installs the schemas,
// and to bring docs/policy.md up to date.
#include "control/policy/schema.hpp"

#include <cstdio>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

int main(int argc, char** argv) {
  using gannet::control::Kind;
  const std::string_view what = argc == 2 ? argv[1] : "";
  std::string text;
  if (what == "markdown") text = gannet::control::reference_markdown();
  for (const Kind kind : {Kind::kHostConfig, Kind::kPolicy, Kind::kPolicyTest}) {
    if (what == gannet::control::to_string(kind))
      text = gannet::control::json_schema(kind).dump(2) + "\n";
  }
  if (text.empty()) {
    std::fputs("usage: gannet-schema markdown|HostConfig|Policy|PolicyTest\n", stderr);
    return 64;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
