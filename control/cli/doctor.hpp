// SPDX-License-Identifier: BSD-3-Clause
// `gannetctl doctor`: is this machine fit to run gannetd, and if not, what would make it so?
#pragma once

#include "control/cli/online.hpp"

#include <string>

namespace gannet::control {

/// \param config path of the host configuration to check for; empty: what any would need.
/// \return 0, 2 if something is missing, 1 if the configuration cannot be read.
int examine(const OnlineOptions& options, const std::string& config);

}  // namespace gannet::control
