// SPDX-License-Identifier: BSD-3-Clause
// What a worker has seen that only the control thread can make use of. The worker puts it into a
// ring that it alone writes and the control thread alone reads; if that is full, the news is lost,
// which is counted. Only the slow path has news, and each sender only so much a second.
#pragma once

#include "dataplane/tuple.hpp"
#include "flows/base/time.hpp"
#include "flows/connection.hpp"

#include <cstdint>

namespace gannet::dataplane {

enum class NewsKind : std::uint8_t {
  // A segment that a backend has sent in answer to a probe, or so it seems: the worker knows that
  // the backend is being probed, not which probe is on its way.
  kProbeAnswer,
  // A router of the underlay says that a tunnel packet of this host was too big (G18).
  kPathMtu,
  // A connection's first packet that a rule with `log` has matched.
  kRuleMatch,
};

struct News {
  NewsKind kind = NewsKind::kProbeAnswer;
  std::uint8_t flags = 0;      // Of kProbeAnswer: TCP's.
  bool is_allowed = false;     // Of kRuleMatch: by this rule.
  std::uint16_t vpc = 0;       // Where the packet came in.
  IpTuple tuple;               // Of the packet as it came.
  std::uint32_t sequence = 0;  // The next three of kProbeAnswer.
  std::uint32_t acknowledgment = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t rule = flows::kNoRule;  // The next two of kRuleMatch: the rule's id in a policy.
  std::uint32_t generation = 0;
  std::uint32_t mtu = 0;  // Of kPathMtu, towards tuple.destination.
  Nanos when = 0;
};
static_assert(sizeof(News) % 4 == 0);  // As rte_ring wants it.

/// Ports from which backends are probed begin here (RFC 6335, 6: the dynamic ones).
inline constexpr std::uint16_t kFirstProbePort = 49'152;

/// How the slow path hands news on; what finds no room is counted as lost.
struct NewsBox {
  void* context = nullptr;
  void (*put)(void* context, const News& news) = nullptr;
  void (*lose)(void* context) = nullptr;  // Counts news that its sender had too much of.
};

}  // namespace gannet::dataplane
