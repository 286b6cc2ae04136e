// SPDX-License-Identifier: BSD-3-Clause
// New connections: what opening one costs the worker, what one takes of memory, what happens when
// the table is full, and whether all are gone once time has passed.
//
// Packets are made in batches and laid into the ports' rings; only the worker's turns that consume
// them are counted, on the same core. The worker's time is that of the TSC, moved on where the
// benchmark wants connections to age.
#pragma once

#include "bench/system/rig.hpp"

#include <cstdint>

namespace gannet::bench {

struct ConnectionsConfig {
  RigConfig rig;
  std::uint32_t connection_count = 60'000;  // Of each round.
  unsigned core = 1;
};

/// A round for each line of standard input: opens the connections (TCP: and closes them), then
/// lets them age. \return exit status.
[[nodiscard]] int run_connections(ConnectionsConfig config);

/// Fills a table of `connection_count` connections, goes on, answers, goes on again, and lets all
/// age. \return exit status.
[[nodiscard]] int run_overflow(ConnectionsConfig config);

}  // namespace gannet::bench
