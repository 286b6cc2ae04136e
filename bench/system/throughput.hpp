// SPDX-License-Identifier: BSD-3-Clause
// Packets a second of established connections, and where the worker's cycles go.
#pragma once

#include "bench/system/rig.hpp"

#include <memory>

namespace gannet::bench {

struct ThroughputOptions {
  double seconds = 1;
  unsigned core = 1;
  bool has_steps = false;  // Measures again, with the steps of the worker's loop apart.
};

/// A rig with its connections made and answered, and captures plugged in.
[[nodiscard]] Result<std::unique_ptr<Rig>> make_loaded_rig(const RigConfig& config);

/// Makes the connections, says so, and measures once for each line of standard input, so that a
/// script can alternate it with others on the same core. \return exit status.
[[nodiscard]] int run_throughput(const RigConfig& config, const ThroughputOptions& options);

}  // namespace gannet::bench
