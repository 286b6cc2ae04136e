// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/core_distance.hpp"

#include "bench/system/program.hpp"

#include <atomic>
#include <thread>

#include <rte_cycles.h>

namespace gannet::bench {
namespace {

constexpr unsigned kWarmUpTrips = 1'000;  // The other thread has to start.
constexpr unsigned kTrips = 10'000;

}  // namespace

double core_round_trip_ns(unsigned other_core) {
  // Even: it is this core's turn; odd: the other one's.
  alignas(128) std::atomic<unsigned> turn{0};
  std::thread other([&turn, other_core] {
    pin_to(other_core);
    for (unsigned mine = 1; mine < 2 * (kWarmUpTrips + kTrips); mine += 2) {
      while (turn.load(std::memory_order_acquire) != mine) {
      }
      turn.store(mine + 1, std::memory_order_release);
    }
  });
  std::uint64_t start = 0;
  for (unsigned trip = 0; trip < kWarmUpTrips + kTrips; ++trip) {
    if (trip == kWarmUpTrips) start = rte_rdtsc();
    turn.store(2 * trip + 1, std::memory_order_release);
    while (turn.load(std::memory_order_acquire) != 2 * trip + 2) {
    }
  }
  const auto cycles = static_cast<double>(rte_rdtsc() - start);
  other.join();
  return cycles * 1e9 / static_cast<double>(rte_get_tsc_hz()) / kTrips;
}

}  // namespace gannet::bench
