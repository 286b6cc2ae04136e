// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/program.hpp"

#include <iostream>

#include <fmt/format.h>
#include <pthread.h>

namespace gannet::bench {

void pin_to(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void print(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump());
  std::fflush(stdout);
}

int failed(const std::string& why) {
  fmt::print(stderr, "gannet-bench: {}\n", why);
  return 1;
}

bool is_asked() {
  std::string line;
  return static_cast<bool>(std::getline(std::cin, line));
}

}  // namespace gannet::bench
