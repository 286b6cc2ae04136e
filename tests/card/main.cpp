// SPDX-License-Identifier: BSD-3-Clause
// GoogleTest with DPDK's environment around it.
#include "dataplane/eal.hpp"

#include <cstdio>

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gannet::dataplane::EalConfig config;
  config.program = "card-test";
  config.memory_bytes = std::uint64_t{1} << 30;  // For several switches at once.
  config.huge_pages = gannet::dataplane::HugePages::kNone;
  auto eal = gannet::dataplane::Eal::start(config);
  if (!eal) {
    std::fprintf(stderr, "%s\n", eal.error().message.c_str());
    return 1;
  }
  return RUN_ALL_TESTS();
}
