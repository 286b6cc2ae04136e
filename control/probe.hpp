// SPDX-License-Identifier: BSD-3-Clause
// The segments of a health probe as frames. Control thread; stateless.
#pragma once

#include "dataplane/tuple.hpp"

#include <cstdint>
#include <vector>

namespace gannet::control {

/// One TCP segment without data.
struct ProbeSegment {
  dataplane::IpTuple tuple;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint8_t flags = 0;
};

/// An Ethernet frame with the segment, of either family, checksums included; its MACs are left to
/// the worker, who knows the way.
[[nodiscard]] std::vector<std::uint8_t> probe_frame(const ProbeSegment& segment);

}  // namespace gannet::control
