// SPDX-License-Identifier: BSD-3-Clause
// What objects may be called (P10). Names stand in URLs, metric labels, file names and paths such
// as web-frontend/ingress/https, so they hold nothing that means something there. Control thread
// and command line.
#pragma once

#include <cstddef>
#include <string_view>

namespace gannet::control {

inline constexpr std::size_t kMaxNameLength = 63;
inline constexpr const char* kNamePattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$";

/// Why a text cannot be a name: null if it can.
[[nodiscard]] const char* name_flaw(std::string_view name);

}  // namespace gannet::control
