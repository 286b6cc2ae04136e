// SPDX-License-Identifier: BSD-3-Clause
// Files, directories and the standard input as one policy: the union of their sections. What cannot
// be opened is a diagnostic like any other.
// Control thread and command line; reads files.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/host_config.hpp"
#include "control/policy/model.hpp"
#include "control/policy/policy_test.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gannet::control {

/// A text to load. In a directory documents of all kinds may lie together, of which each reader
/// takes its own; a file that was named must be of the right kind.
struct Source {
  std::shared_ptr<const SourceFile> file;
  bool is_from_directory = false;
};

/// Opens files, directories (their *.yaml and *.yml in order of name; no hidden files, no
/// directories inside) and "-", the standard input. \return what could be read, and nothing at all
/// if any of it could not.
[[nodiscard]] std::optional<std::vector<Source>> open_sources(std::span<const std::string> paths,
                                                              Diagnostics& diagnostics);

// Each of these decodes all that it is given before it returns, and returns nothing only if it
// cannot tell what was meant: a text that is no YAML, an unknown kind, no document of the kind at
// all. If `diagnostics` has errors afterwards, the result is good for nothing but validate(), which
// finds the rest of what is wrong.
[[nodiscard]] std::optional<Policy> load_policy(std::span<const Source> sources,
                                                Diagnostics& diagnostics);
[[nodiscard]] std::optional<HostConfig> load_host_config(std::span<const Source> sources,
                                                         Diagnostics& diagnostics);
[[nodiscard]] std::optional<std::vector<PolicyTest>> load_policy_tests(
    std::span<const Source> sources, Diagnostics& diagnostics);

/// What is to be found in some sources, whatever it is; one document at least.
struct Loaded {
  std::optional<Policy> policy;
  std::optional<HostConfig> host;
  std::vector<PolicyTest> tests;
};
[[nodiscard]] std::optional<Loaded> load_any(std::span<const Source> sources,
                                             Diagnostics& diagnostics);

}  // namespace gannet::control
