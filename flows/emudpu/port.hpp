// SPDX-License-Identifier: BSD-3-Clause
// One port of the card: the wire (another ethdev that the card has taken over) and the representor
// that the program sees. Their queues are rings between the program's threads and the ASIC thread.
#pragma once

#include "flows/emudpu/executor.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_ring.h>

namespace gannet::emudpu {

class Card;

inline constexpr std::uint16_t kMaxQueues = 16;
inline constexpr std::uint16_t kNoPort = RTE_MAX_ETHPORTS;
/// The uplink and 31 VFs.
inline constexpr std::uint16_t kMaxPorts = 32;

/// ASIC to program: one writer, one reader.
struct RxQueue {
  rte_ring* ring = nullptr;
  rte_mempool* pool = nullptr;
  std::uint16_t port_id = 0;
  // Written by the program's thread.
  Counter received;
  // Written by the ASIC thread: no room in the ring, or no buffer in the pool.
  std::atomic<std::uint64_t> missed{0};
  std::atomic<std::uint64_t> without_buffer{0};
};

/// Program to ASIC: one writer, one reader.
struct TxQueue {
  rte_ring* ring = nullptr;
  Counter sent;
};

/// What passed a wire and what became of it; written by the ASIC thread alone.
struct WireCounters {
  Counter received;
  Counter sent;
  std::atomic<std::uint64_t> send_failures{0};
  Counter forwarded;                      // Taken by a rule of the card.
  Counter to_software;                    // Given to the representor.
  std::atomic<std::uint64_t> unheard{0};  // The representor was not started.
  std::array<std::atomic<std::uint64_t>, kDropCauseCount> drops{};
};

struct Port {
  Card* card = nullptr;
  std::uint16_t index = 0;
  std::uint16_t port_id = kNoPort;  // Of the representor.
  std::uint16_t wire_id = kNoPort;  // Of the ethdev below; kNoPort: no cable.
  std::string wire_name;
  std::uint64_t owner_id = 0;  // With which the card owns the wire.
  // Published by control threads while the ASIC thread is paused.
  std::array<RxQueue*, kMaxQueues> rx{};
  std::array<TxQueue*, kMaxQueues> tx{};
  std::uint16_t rx_count = 0;
  std::uint16_t tx_count = 0;
  bool is_started = false;
  WireCounters counters;
  // Control threads, under the card's lock.
  Rule* rules = nullptr;
  Rule* gone_rules = nullptr;  // Wiped by a reset: records of handles that have not been destroyed.
  std::uint32_t rule_count = 0;
  // Bases that a reset of the statistics leaves behind.
  rte_eth_stats stats_base{};
};

}  // namespace gannet::emudpu
