// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum as RFC 1071 describes it, word by word, and a walk over a frame that checks
// each one in it: IPv4, TCP, UDP, ICMP, inside a VXLAN tunnel, and in the packet that an ICMP error
// quotes. Slow and plain on purpose: it judges the code that is fast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace gannet::test {

/// The one's complement sum of big-endian words, folded, in host order.
[[nodiscard]] std::uint16_t model_sum(std::span<const std::uint8_t> bytes, std::uint32_t start = 0);

/// Says which checksum of an untagged frame is wrong; empty if all are right.
[[nodiscard]] std::string find_wrong_checksum(std::span<const std::uint8_t> frame);

}  // namespace gannet::test
