// SPDX-License-Identifier: BSD-3-Clause
// Commands that need no daemon: what can be said of files alone. Each returns the exit status.
#pragma once

#include "control/policy/render.hpp"

#include <string>
#include <vector>

namespace gannet::control {

struct OfflineOptions {
  std::vector<std::string> files;
  std::string host;  // Host configuration to check against; empty: none.
  Format format = Format::kText;
  bool is_json = false;
};

/// Is it right?
int validate_files(const OfflineOptions& options);
/// Is it what was meant? Warnings of style and sense.
int lint_files(const OfflineOptions& options);
/// Runs the PolicyTest documents among the files against the Policy documents.
int test_files(const OfflineOptions& options);

}  // namespace gannet::control
