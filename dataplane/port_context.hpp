// SPDX-License-Identifier: BSD-3-Clause
// What one worker needs to know of one port, in one place and ready to compare. Filled in at start
// and again for every snapshot. Owned by the worker.
#pragma once

#include "dataplane/first_packet.hpp"
#include "dataplane/snapshot.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/token_bucket.hpp"

#include <algorithm>
#include <cstdint>

namespace gannet::dataplane {

struct alignas(64) PortContext {
  std::uint16_t index = 0;      // Dataplane port id.
  std::uint16_t ethdev = 0;     // DPDK port id.
  std::uint16_t queue = 0;      // Of this worker, if it has one.
  bool has_queue = false;       // This worker receives from the port and sends to it.
  std::uint16_t tx_worker = 0;  // Otherwise: who sends.

  PortRole role = PortRole::kNone;                   // kNone: everything is dropped,
  DropReason refusal = DropReason::port_has_no_eni;  // for this reason.
  flows::Zone zone;                                  // Of frames that are not from a tunnel.
  std::uint16_t vpc = kNoIndex;                      // Of a VM.
  std::uint64_t mac = 0;  // Mac::raw(): of a VM the only source, of the uplink the destination.
  std::uint64_t bytes_per_second = 0;  // Of the ENI, each way; 0: no limit.
  Nanos bandwidth_burst = 0;           // How much of that may be saved up.
  TokenBucket rx_bucket;
  TokenBucket tx_bucket;
  PortCounters* counters = nullptr;  // This worker's.
};

/// How much of an ENI's bandwidth, in bytes a second, may be saved up: enough for a TCP window's
/// burst, too little to be felt by others; but always two of the largest packets, which would else
/// never go.
[[nodiscard]] inline Nanos bandwidth_burst(std::uint64_t bytes_per_second) {
  constexpr Nanos kBurst = 20 * kNanosPerMilli;
  constexpr std::uint64_t kLargePackets = 2 * 9'216;
  if (bytes_per_second == 0) return kBurst;
  return std::max(kBurst, kLargePackets * kNanosPerSecond / bytes_per_second);
}

}  // namespace gannet::dataplane
