// SPDX-License-Identifier: BSD-3-Clause
// A VXLAN network identifier (RFC 7348, 5): 24 bits, all values legal. Any thread.
#pragma once

#include <compare>
#include <cstdint>

namespace gannet {

struct Vni {
  static constexpr std::uint32_t kMax = 0xff'ffff;
  std::uint32_t value = 0;
  friend constexpr auto operator<=>(const Vni&, const Vni&) = default;
};

}  // namespace gannet
