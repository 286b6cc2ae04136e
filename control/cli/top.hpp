// SPDX-License-Identifier: BSD-3-Clause
// `gannetctl top`: the busiest ENIs and connections, ports and workers, again and again.
#pragma once

#include "control/cli/online.hpp"

namespace gannet::control {

struct TopOptions {
  double interval_seconds = 1;
  unsigned rounds = 0;  // 0: until interrupted.
  unsigned flows = 15;
};

int top(const OnlineOptions& options, const TopOptions& top);

}  // namespace gannet::control
