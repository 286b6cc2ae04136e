// SPDX-License-Identifier: BSD-3-Clause
// What one ENI may take of what all share.
#include "dataplane/connections.hpp"

namespace gannet::dataplane {
namespace {

using flows::ZoneKind;

constexpr std::uint32_t kIcmpErrorsPerSecond = 100;  // For each ENI; a guess between Linux's 1,000
                                                     // for a host and OVN's 10 for a port.
// A probe has three answers, and few pools share a backend. Other hosts answer for all of theirs.
constexpr std::uint32_t kProbeAnswersPerSecond = 100;
constexpr std::uint32_t kOutsideProbeAnswersPerSecond = 10'000;
constexpr std::uint32_t kLogEntriesPerSecond = 200;  // Of one ENI's packets; a guess.
constexpr std::uint32_t kOutsideLogEntriesPerSecond = 2'000;

}  // namespace

DropReason Connections::charge(const FirstPacket& first, std::uint16_t eni, Nanos now) {
  if (eni == flows::kNoEni) return DropReason::kNone;
  const Qos& qos = first.policy.enis[eni].qos;
  EniUsage& usage = usage_[eni];
  if (qos.max_flows != 0 && usage.connection_count >= qos.max_flows) {
    return DropReason::eni_connection_limit;
  }
  return usage.new_connections.take(qos.new_flows_per_second, 1, now)
             ? DropReason::kNone
             : DropReason::eni_connection_rate;
}

bool Connections::may_send_icmp_error(flows::Zone zone, Nanos now) {
  TokenBucket& bucket =
      zone.kind == ZoneKind::kEni ? usage_[zone.index].icmp_errors : outside_icmp_errors_;
  return bucket.take(kIcmpErrorsPerSecond, 1, now);
}

bool Connections::may_answer_probe(flows::Zone zone, Nanos now) {
  return zone.kind == ZoneKind::kEni
             ? usage_[zone.index].probe_answers.take(kProbeAnswersPerSecond, 1, now)
             : outside_probe_answers_.take(kOutsideProbeAnswersPerSecond, 1, now);
}

bool Connections::may_log(flows::Zone zone, Nanos now) {
  return zone.kind == ZoneKind::kEni
             ? usage_[zone.index].log_entries.take(kLogEntriesPerSecond, 1, now)
             : outside_log_entries_.take(kOutsideLogEntriesPerSecond, 1, now);
}

}  // namespace gannet::dataplane
