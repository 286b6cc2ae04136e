// SPDX-License-Identifier: BSD-3-Clause
// What the card is worth: how fast flows get there, what is left for the host, and what a change of
// policy does to flows on the card.
#pragma once

#include "flows/base/result.hpp"

#include <cstdint>

namespace gannet::bench {

struct OffloadOptions {
  std::uint32_t flow_count = 100'000;    // Kept ones, and as many that come and go in each round.
  std::uint32_t insert_count = 600'000;  // Flows whose rules are inserted in one go.
  unsigned rounds = 10;
  double seconds = 2;  // Of steady traffic, and of new flows at an even pace.
};

struct OffloadResult {
  // By the wall's clock, with everything that it takes on the same cores (generator, worker,
  // offload thread, the card's thread): from a flow's packet that earns the rule to the rule in
  // force. The flows are open already.
  double insert_per_second = 0;
  std::uint64_t inserted = 0;
  double insert_seconds = 0;
  double open_and_insert_per_second = 0;  // The same from the flow's very first packet.
  double time_to_offload_p50_us = 0;      // At 10,000 new flows a second.
  double time_to_offload_p99_us = 0;
  double hit_ratio = 0;
  double worker_cycles_per_offloaded_packet = 0;
  double convergence_ms = 0;  // The median of the rounds, and
  double convergence_worst_ms = 0;
  std::uint64_t old_verdict_after_receipt = 0;
  std::uint64_t sent_during_change = 0;
  std::uint64_t lost_during_change = 0;
  double blocked_us = 0;  // Lost packets by the rate meanwhile, of the worst round.
};

[[nodiscard]] Result<OffloadResult> measure_offload(const OffloadOptions& options);

/// Measures and prints. \return the exit status.
[[nodiscard]] int run_offload(const OffloadOptions& options);

}  // namespace gannet::bench
