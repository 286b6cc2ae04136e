// SPDX-License-Identifier: BSD-3-Clause
// Packets as a line of text, for packet tests: layers from the outside in, separated by " / ":
//
//   eth vm1 > gw / ip 10.10.1.11 > 10.10.2.20 ttl=64 / udp 1000 > 53 / data 16
//
// Lengths, protocol numbers and checksums follow by themselves. docs/testing.md lists the layers.
// A `$name` stands for a number that is not known beforehand: the first packet that is compared
// gives it its value, all later uses must agree. `*` is any number.
#pragma once

#include "flows/base/result.hpp"
#include "tests/support/packet_builder.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace gannet::test {

/// What names stand for.
struct Vocabulary {
  std::map<std::string, std::string, std::less<>> words;      // `let`: MACs, addresses.
  std::map<std::string, std::uint32_t, std::less<>> numbers;  // `$name`, once bound.
};

/// Builds a packet. A `$name` that is not bound is an error.
[[nodiscard]] Result<Bytes> build_packet(std::string_view text, const Vocabulary& vocabulary);

/// Compares a packet that came out with what was expected; names that are not bound take their
/// value from it. \return where they differ, for people.
[[nodiscard]] Result<void> match_packet(std::string_view text, const Bytes& actual,
                                        Vocabulary& vocabulary);

/// A frame in one line, as far as it can be read.
[[nodiscard]] std::string describe_packet(const Bytes& frame);

}  // namespace gannet::test
