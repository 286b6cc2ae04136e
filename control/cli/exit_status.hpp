// SPDX-License-Identifier: BSD-3-Clause
// What gannetctl's commands return.
#pragma once

namespace gannet::control {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kChanges = 2;    // plan, diff.
inline constexpr int kUnhealthy = 2;  // doctor.

}  // namespace gannet::control
