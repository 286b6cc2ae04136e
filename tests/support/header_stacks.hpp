// SPDX-License-Identifier: BSD-3-Clause
// One frame of every header stack that the parser knows: for truncation at every length, for
// comparing the parsers with each other, and as seeds of the fuzzers.
#pragma once

#include "tests/support/packet_builder.hpp"

#include <string>
#include <vector>

namespace gannet::test {

struct HeaderStack {
  std::string name;
  Bytes frame;
};

[[nodiscard]] std::vector<HeaderStack> all_header_stacks();

}  // namespace gannet::test
