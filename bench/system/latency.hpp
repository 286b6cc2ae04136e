// SPDX-License-Identifier: BSD-3-Clause
// Latency: a generator on one core, a switch in a process of its own on another one, and between
// them two ports of shared memory (memif). The generator neither knows nor cares what the switch
// is: Gannet's worker, or testpmd.
//
// Each packet carries the time-stamp counter's value at which it was handed to the port in the
// last bytes of its payload, with its complement, so that no checksum changes.
#pragma once

#include "bench/system/rig.hpp"

#include <string>

namespace gannet::bench {

struct LatencyConfig {
  RigConfig rig;
  std::string socket;  // Of both memif ports: 0 is the VM's, 1 the other one.
  std::string there;   // Capture files of what the generator sends, by direction.
  std::string back;
  unsigned core = 1;
  unsigned switch_core = 1;  // As the generator has to know it.
};

/// The switch: opens the connections, writes the capture files, plugs in the memif ports as client
/// and forwards until standard input ends. \return exit status.
[[nodiscard]] int run_latency_switch(const LatencyConfig& config);

/// The generator. For each line of standard input, which is a rate in packets a second of both
/// directions together, or 0 for as many as possible, and for how many seconds, sends so and prints
/// what came back. Its packets are evenly spaced, and what it was too late for is not sent. For a
/// line "distance", while the switch stands still, prints how far its core is.
/// \return exit status.
[[nodiscard]] int run_latency_generator(const LatencyConfig& config);

}  // namespace gannet::bench
