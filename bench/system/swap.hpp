// SPDX-License-Identifier: BSD-3-Clause
// A policy of as many other rules comes into force under full load: the worker runs its own loop on
// its own thread, this one reads, compiles and publishes the policy as the daemon's does.
#pragma once

#include "bench/system/rig.hpp"

namespace gannet::bench {

/// For each line of standard input a swap. \return exit status.
[[nodiscard]] int run_swap(RigConfig config, unsigned control_core);

}  // namespace gannet::bench
