// SPDX-License-Identifier: BSD-3-Clause
// gannetd: the daemon. Reads the host configuration and, if given, a first policy; then runs in the
// foreground until it is told to stop.
#include "control/daemon.hpp"
#include "control/machine.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using namespace gannet::control;

constexpr int kFailed = 1;
constexpr int kUsage = 64;

// Prints what was found. \return whether there are errors.
bool report(const Diagnostics& diagnostics, const std::string& subject) {
  fmt::print(stderr, "{}", render(Format::kText, diagnostics, subject));
  return diagnostics.has_errors();
}

std::optional<HostConfig> read_host(const std::string& path) {
  Diagnostics diagnostics;
  std::optional<HostConfig> host;
  if (const auto sources = open_sources(std::vector{path}, diagnostics)) {
    host = load_host_config(*sources, diagnostics);
    if (host) validate(*host, diagnostics);
  }
  if (report(diagnostics, path)) return std::nullopt;
  return host;
}

// The texts of a policy that is right for this host.
std::optional<std::vector<PolicyText>> read_policy(const std::string& path,
                                                   const HostConfig& host) {
  Diagnostics diagnostics;
  std::optional<std::vector<PolicyText>> texts;
  if (const auto sources = open_sources(std::vector{path}, diagnostics)) {
    const auto policy = load_policy(*sources, diagnostics);
    if (policy) validate(*policy, &host, diagnostics);
    texts.emplace();
    for (const Source& source : *sources) {
      texts->push_back({source.file->name(), std::string(source.file->text())});
    }
  }
  if (report(diagnostics, path)) return std::nullopt;
  return texts;
}

int serve(const HostConfig& host, std::optional<std::vector<PolicyText>> policy) {
  auto daemon = Daemon::create(host);
  if (!daemon) {
    fmt::print(stderr, "gannetd: {}\n", daemon.error().message);
    return kFailed;
  }
  if (policy) {
    Diagnostics diagnostics;
    const ApplyResult result = (*daemon)->controller().apply(std::move(*policy), diagnostics);
    if (!result.is_applied) {
      report(diagnostics, "policy");
      fmt::print(stderr, "gannetd: {}\n", result.error);
      return kFailed;
    }
  }
  return (*daemon)->run();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("gannetd: the Gannet virtual switch");
  std::string config;
  std::string policy;
  bool only_checks = false;
  app.set_version_flag("--version", "gannetd " GANNET_VERSION, "which version this is");
  app.add_option("--config", config, "host configuration (kind: HostConfig)")->required();
  app.add_option("--policy", policy, "policy to start with: a file or a directory");
  app.add_flag("--check", only_checks, "only validate, then exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  const auto host = read_host(config);
  if (!host) return kFailed;
  std::optional<std::vector<PolicyText>> texts;
  if (!policy.empty()) {
    texts = read_policy(policy, *host);
    if (!texts) return kFailed;
  }
  if (const auto core = check_card_core(*host); only_checks && !core) {
    fmt::print(stderr, "{}: {}\n", config, core.error().message);
    return kFailed;
  }
  if (only_checks) {
    fmt::print("{}{}{}: valid\n", config, policy.empty() ? "" : " and ", policy);
    return 0;
  }
  return serve(*host, std::move(texts));
}
