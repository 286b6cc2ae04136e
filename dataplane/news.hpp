// SPDX-License-Identifier: BSD-3-Clause
// What a worker has seen that only the control thread can make use of. The worker puts it into a
// ring that it alone writes and the control thread alone reads; if that is full, the news is lost,
// and whoever waits for it asks again. Only the slow path has news.
#pragma once

#include "flows/base/ip.hpp"

#include <cstdint>

namespace gannet::dataplane {

/// A segment that a backend has sent in answer to a probe, or so it seems: the worker knows that
/// the backend is being probed, not which probe is on its way.
struct ProbeAnswer {
  IpAddress source;
  IpAddress destination;
  std::uint16_t vpc = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t flags = 0;  // Of TCP.
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint32_t payload_bytes = 0;
};
static_assert(sizeof(ProbeAnswer) % 4 == 0);  // As rte_ring wants it.

/// Ports from which backends are probed begin here (RFC 6335, 6: the dynamic ones).
inline constexpr std::uint16_t kFirstProbePort = 49'152;

/// How the slow path hands news on. `put` returns false if the ring is full.
struct NewsBox {
  void* context = nullptr;
  bool (*put)(void* context, const ProbeAnswer& answer) = nullptr;
};

}  // namespace gannet::dataplane
