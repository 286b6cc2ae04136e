// SPDX-License-Identifier: BSD-3-Clause
// The connections of all workers, read by each worker itself a few hundred at a time between two
// bursts, so that no packet waits for somebody who wants to look. Control thread.
#pragma once

#include "control/compile/names.hpp"
#include "dataplane/dataplane.hpp"
#include "flows/base/result.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

class PathTexts;

/// A copy of what a connection record says.
struct FlowRecord {
  std::uint16_t worker = 0;
  std::uint32_t index = 0;
  Family family = Family::kIpv4;
  dataplane::IpTuple original;  // As the first packet came in,
  dataplane::IpTuple leaving;   // and as it left.
  flows::Zone in;
  flows::Zone out;
  flows::TcpState tcp_state = flows::TcpState::kNone;
  flows::TimeoutClass timeout_class = flows::TimeoutClass::kOther;
  std::uint8_t flags = 0;
  std::uint16_t eni = flows::kNoEni;
  flows::FlowCounters counters[2]{};
  Ticks age = 0;
  Ticks idle = 0;
  std::uint32_t generation = 0;
  flows::FlowOffload offload[2]{};  // By direction.
  std::uint32_t egress_rule = flows::kNoRule;
  std::uint32_t ingress_rule = flows::kNoRule;
  bool is_stuck_on_card = false;  // No connection any more: a rule that the card does not let go.
};

/// Which connections somebody wants to see: all conditions must hold.
struct FlowFilter {
  int protocol = -1;
  int port = -1;               // Either port, before or after translation.
  std::vector<IpAddress> ips;  // Each is one of the four addresses.
  int eni = -1;                // Charged to, sent by or delivered to.
  int worker = -1;             // These three together are the id of one connection.
  int family = -1;
  int index = -1;

  /// Reads "proto=tcp port=443 ip=10.0.0.1 eni=vm-web-1 id=0:4:17" (worker, family, number).
  [[nodiscard]] static Result<FlowFilter> parse(std::string_view text, const SnapshotNames& names);
  [[nodiscard]] bool matches(const FlowRecord& record) const;
};

/// Calls `visit` for every connection, on the thread of its worker: it must neither block nor
/// allocate.
void walk_flows(dataplane::Dataplane& dataplane,
                const std::function<void(const FlowRecord&)>& visit);

/// A little more than how many there are now.
[[nodiscard]] std::size_t count_flows(dataplane::Dataplane& dataplane);

struct FlowList {
  std::vector<FlowRecord> records;
  std::uint64_t matched = 0;  // Of which at most `limit` were kept.
};
[[nodiscard]] FlowList list_flows(dataplane::Dataplane& dataplane, const FlowFilter& filter,
                                  std::size_t limit);

/// Ends the flows that a filter matches, on a card too. \return how many.
std::uint64_t flush_flows(dataplane::Dataplane& dataplane, const FlowFilter& filter);

/// "eni vm-web-1", "tunnel shop", "internet".
[[nodiscard]] std::string zone_name(flows::Zone zone, const SnapshotNames& names);
[[nodiscard]] nlohmann::ordered_json to_json(const FlowRecord& record, const SnapshotNames& names,
                                             const PathTexts& paths);

}  // namespace gannet::control
