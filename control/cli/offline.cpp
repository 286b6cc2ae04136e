// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/offline.hpp"

#include "control/cli/exit_status.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/load.hpp"
#include "control/policy/validate.hpp"
#include "control/rehearsal.hpp"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

std::string subject_of(const OfflineOptions& options) {
  return options.files.size() == 1 ? options.files.front()
                                   : fmt::format("{} files", options.files.size());
}

// Results go to stdout, diagnostics to stderr; formats for programs are results.
int report(const OfflineOptions& options, const Diagnostics& diagnostics) {
  const std::string text = render(options.format, diagnostics, subject_of(options));
  fmt::print(options.format == Format::kText ? stderr : stdout, "{}", text);
  if (diagnostics.has_errors()) return kFailed;
  if (options.format == Format::kText) fmt::print("{}: valid\n", subject_of(options));
  return kDone;
}

std::optional<Loaded> load(const OfflineOptions& options, Diagnostics& diagnostics) {
  const auto sources = open_sources(options.files, diagnostics);
  auto loaded = sources ? load_any(*sources, diagnostics) : std::nullopt;
  if (loaded && !options.host.empty()) {
    const auto host = open_sources(std::vector{options.host}, diagnostics);
    if (host) loaded->host = load_host_config(*host, diagnostics);
  }
  return loaded;
}

void validate_loaded(const Loaded& loaded, Diagnostics& diagnostics) {
  const HostConfig* const host = loaded.host ? &*loaded.host : nullptr;
  if (host != nullptr) validate(*host, diagnostics);
  if (!loaded.policy) return;
  validate(*loaded.policy, host, diagnostics);
  for (const PolicyTest& test : loaded.tests) validate(test, *loaded.policy, diagnostics);
}

// What a case says instead of what it should say; empty if it is right.
std::string judge_case(const TestCase& test, const CompiledPolicy& compiled, std::string& verdict) {
  const auto result = rehearse(test.packet, *compiled.snapshot, compiled.names);
  if (!result) return result.error().message;
  verdict = result->is_allowed() ? "allow" : "deny";
  const std::string rule = result->rule.empty() ? "-" : result->rule;
  const std::string reason(dataplane::name_of(result->reason));
  const std::string got = fmt::format("got {} by {} ({})", verdict, rule, reason);
  const Expectation& expect = test.expect;
  if (result->is_allowed() != (expect.verdict == Action::kAllow)) return got;
  if (expect.rule.is_given && *expect.rule != result->rule) return got;
  if (expect.reason.is_given && *expect.reason != reason) return got;
  return {};
}

}  // namespace

int validate_files(const OfflineOptions& options) {
  Diagnostics diagnostics;
  if (const auto loaded = load(options, diagnostics)) validate_loaded(*loaded, diagnostics);
  return report(options, diagnostics);
}

int lint_files(const OfflineOptions& options) {
  Diagnostics diagnostics;
  if (const auto loaded = load(options, diagnostics)) {
    validate_loaded(*loaded, diagnostics);
    if (loaded->policy && !diagnostics.has_errors()) lint(*loaded->policy, diagnostics);
  }
  return report(options, diagnostics);
}

int test_files(const OfflineOptions& options) {
  Diagnostics diagnostics;
  const auto loaded = load(options, diagnostics);
  if (loaded) validate_loaded(*loaded, diagnostics);
  if (!loaded || diagnostics.has_errors()) return report(options, diagnostics);
  if (!loaded->policy || loaded->tests.empty()) {
    fmt::print(stderr, "gannetctl: {} holds {}: give a policy and its tests\n", subject_of(options),
               loaded->policy ? "no PolicyTest" : "no Policy");
    return kFailed;
  }
  Identities identities;
  const auto compiled =
      compile(*loaded->policy, imagined_host(*loaded->policy), {}, 1, 0, identities);
  if (!compiled) {
    fmt::print(stderr, "gannetctl: {}\n", compiled.error().message);
    return kFailed;
  }
  unsigned failed = 0;
  unsigned passed = 0;
  Json rows = Json::array();
  for (const PolicyTest& test : loaded->tests) {
    for (const TestCase& one : test.cases) {
      std::string verdict = "-";
      const std::string wrong = judge_case(one, *compiled, verdict);
      ++(wrong.empty() ? passed : failed);
      rows.push_back({{"case", one.name},
                      {"result", wrong.empty() ? "pass" : "fail"},
                      {"verdict", verdict},
                      {"detail", wrong.empty() ? "-" : wrong}});
      if (!options.is_json) {
        fmt::print("{}  {}{}{}\n", wrong.empty() ? "pass" : "FAIL", one.name,
                   wrong.empty() ? "" : ": ", wrong);
      }
    }
  }
  if (options.is_json) {
    fmt::print("{}\n", rows.dump(2));
  } else {
    fmt::print("{} passed, {} failed\n", passed, failed);
  }
  return failed == 0 ? kDone : kFailed;
}

}  // namespace gannet::control
