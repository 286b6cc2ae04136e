// SPDX-License-Identifier: BSD-3-Clause
// Which parameters each request of the API takes. One that nobody reads, or a value that means
// nothing, is a wish that would not be granted, and so it is refused. Control thread.
#pragma once

#include "control/api/server.hpp"

#include <string>

namespace gannet::control {

/// What is wrong with a request's query, as one sentence; empty if nothing is. An empty value is as
/// good as none.
[[nodiscard]] std::string flaw_of_query(const ApiRequest& request);

}  // namespace gannet::control
