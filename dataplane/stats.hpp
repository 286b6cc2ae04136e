// SPDX-License-Identifier: BSD-3-Clause
// Counters. Each worker has its own set, which it alone writes and everybody may read at any time;
// sums are made by the reader. Counters never go back. For every worker and port, at rest:
//
//   received + originated = sent + drops of all reasons
//
// where what is counted as sent or dropped is counted for the port that the packet came in by.
#pragma once

#include "dataplane/drops.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace gannet::dataplane {

/// A counter with one writer. Readers see some recent value, whole (relaxed: nothing is ordered by
/// it).
class Counter {
 public:
  void add(std::uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Of one port, by one worker.
struct PortCounters {
  Counter rx_packets;  // Received on the port.
  Counter rx_bytes;
  Counter tx_packets;  // Given to the port.
  Counter tx_bytes;
  Counter forwarded_packets;    // Received on this port and sent, on whichever port.
  Counter originated_packets;   // Made by the switch on account of a packet of this port.
  Counter handed_over_packets;  // Received here, given to the worker that owns the connection.
  Counter
      card_rx_packets;  // Came in by this port and were dealt with by the card; not in rx_packets.
  Counter card_rx_bytes;
  Counter card_tx_packets;  // Left by this port, sent by the card; not in tx_packets.
  Counter card_tx_bytes;
  Counter taken_over_packets;  // Received on this port by another worker, given to this one.
  std::array<Counter, kDropReasonCount> drops;
};

/// How packets went through a worker.
struct PathCounters {
  Counter fast_packets;   // Took a flow's action straight from the flow table.
  Counter card_packets;   // Carried by the card on behalf of this worker's flows, as far as read.
  Counter slow_packets;   // Looked at by the slow path, whatever became of them.
  Counter first_packets;  // Of these: opened a connection.
  Counter answers;        // Of these: answered by the switch.
  Counter polls;          // Turns of the poll loop, and
  Counter empty_polls;    // those that found nothing to do.
  Counter flows_reevaluated;
  Counter lost_news;  // Entries of the rule log, and answers to probes, that nobody will see.
};

struct WorkerStats {
  explicit WorkerStats(std::size_t port_count) : ports(port_count) {}
  std::vector<PortCounters> ports;  // By dataplane port id.
  PathCounters path;
  // Gauges, written in housekeeping.
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> connection_capacity{0};
  std::atomic<std::uint64_t> connection_high_water{0};
  std::atomic<std::uint64_t> evicted{0};
  std::atomic<std::uint64_t> reevaluated{0};  // Connections judged again after a change of policy.
  std::atomic<std::uint64_t> adopted{0};      // Connections that the change did not concern.
  std::atomic<std::uint64_t> nat_mappings{0};
};

}  // namespace gannet::dataplane
