// SPDX-License-Identifier: BSD-3-Clause
// Turns the item list of a VXLAN_ENCAP action into the bytes that go in front. Control threads.
#pragma once

#include <cstdint>

#include <rte_flow.h>

namespace gannet::emudpu {

inline constexpr unsigned kMaxHeadBytes = 128;

/// \return the number of bytes written to `out` (kMaxHeadBytes of room), or a negative errno.
[[nodiscard]] int flatten_tunnel(const rte_flow_item* items, std::uint8_t* out);

}  // namespace gannet::emudpu
