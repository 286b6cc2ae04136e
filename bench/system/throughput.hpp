// SPDX-License-Identifier: BSD-3-Clause
// Packets a second of established connections.
#pragma once

#include "bench/system/rig.hpp"

namespace gannet::bench {

/// Makes the connections, says so, and measures once for each line of standard input, so that a
/// script can alternate it with others on the same core. \return exit status.
[[nodiscard]] int run_throughput(const RigConfig& config, double seconds, unsigned core);

}  // namespace gannet::bench
