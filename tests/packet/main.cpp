// SPDX-License-Identifier: BSD-3-Clause
// Runs packet tests: data files (script.hpp) against a whole switch on rings. `--workers N` says
// how many workers it has; the results must not depend on it.
#include "dataplane/eal.hpp"
#include "tests/packet/script.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace gannet;
using namespace gannet::test;

struct CaseResult {
  std::string name;
  std::string error;  // Empty: passed.
};

std::string xml_escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

void write_junit(const std::string& path, const std::vector<CaseResult>& results) {
  std::ofstream file(path);
  file << "<testsuite name=\"packet\">\n";
  for (const CaseResult& r : results) {
    file << fmt::format("<testcase name=\"{}\">", xml_escape(r.name));
    if (!r.error.empty()) file << fmt::format("<failure message=\"{}\"/>", xml_escape(r.error));
    file << "</testcase>\n";
  }
  file << "</testsuite>\n";
}

std::vector<std::string> find_scripts(const std::vector<std::string>& paths) {
  std::vector<std::string> scripts;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      scripts.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.path().extension() == ".test") scripts.push_back(entry.path());
    }
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("packet tests");
  std::vector<std::string> paths;
  std::string policies;
  std::string junit;
  std::string only;
  ScriptBench on;
  app.add_option("paths", paths, "scripts, or folders of them")->required();
  app.add_option("--policies", policies, "folder of the policies")->required();
  app.add_option("--workers", on.worker_count, "workers of the switch");
  app.add_option("--card", on.card, "devargs of an emulated card under the ports");
  std::vector<unsigned> failing{0};
  app.add_option("--failing-inserts", failing,
                 "of its rules, in percent; of several each case has one")
      ->delimiter(',');
  app.add_option("--only", only, "only cases whose title has this in it");
  app.add_option("--junit", junit, "file for the results");
  CLI11_PARSE(app, argc, argv);

  dataplane::EalConfig config;
  config.program = "packet-tests";
  config.huge_pages = dataplane::HugePages::kNone;
  auto eal = dataplane::Eal::start(config);
  if (!eal) {
    fmt::print(stderr, "{}\n", eal.error().message);
    return 1;
  }
  std::vector<CaseResult> results;
  const auto note = [&results](const std::string& name, const Result<void>& done) {
    results.push_back({name, done ? "" : done.error().message});
    if (!done) fmt::print("FAIL {}\n{}\n", name, done.error().message);
  };
  for (const std::string& path : find_scripts(paths)) {
    const auto scripts = read_scripts(path);
    if (!scripts) {
      note(path, tl::unexpected(scripts.error()));
      continue;
    }
    for (const Script& script : *scripts) {
      if (script.title.find(only) == std::string::npos) continue;
      if (!on.card.empty() && !script.is_for_card) continue;
      on.failing_inserts_percent = failing[results.size() % failing.size()];
      note(script.title, run_script(script, policies, on));
    }
  }
  const auto failed = std::count_if(results.begin(), results.end(),
                                    [](const CaseResult& r) { return !r.error.empty(); });
  fmt::print("{} passed, {} failed\n", static_cast<long>(results.size()) - failed, failed);
  if (!junit.empty()) write_junit(junit, results);
  return failed == 0 ? 0 : 1;
}
