// SPDX-License-Identifier: BSD-3-Clause
// `gannetctl capture`: packets of a port as pcapng, into a file or a pipe.
#pragma once

#include "control/cli/online.hpp"

#include <cstdint>
#include <string>

namespace gannet::control {

struct CaptureOptions {
  std::string port;  // Of these two at most one; neither: all ports.
  std::string eni;
  std::string filter;  // As tcpdump has it.
  std::string file = "-";
  std::uint64_t count = 0;  // 0: until interrupted.
  double seconds = 0;
  unsigned snap_bytes = 0;  // 0: the daemon's default.
};

/// Captures until a limit or SIGINT; says at the end how many packets there were. \return exit
/// status.
int capture_packets(const OnlineOptions& options, const CaptureOptions& capture);

}  // namespace gannet::control
