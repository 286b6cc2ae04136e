// SPDX-License-Identifier: BSD-3-Clause
// "What if": the judge's answer to a packet that nobody has sent. The same layers decide as for
// real packets, on the same snapshot, but nothing is opened, held or counted. For `trace`, for
// policy tests. Any thread that may read the snapshot.
#pragma once

#include "control/compile/compiler.hpp"
#include "control/policy/policy_test.hpp"
#include "dataplane/snapshot.hpp"
#include "dataplane/trace.hpp"
#include "flows/base/result.hpp"

#include <string>
#include <vector>

namespace gannet::control {

struct RehearsalResult {
  dataplane::DropReason reason = dataplane::DropReason::kNone;
  std::string rule;  // That decided: the receiver's if it was asked, else the sender's.
  dataplane::IpTuple original;
  dataplane::IpTuple leaving;  // As it leaves, if it may.
  std::string goes_to;         // "eni vm-web-1", "host 192.0.2.12 (vni 5001)", "internet".
  dataplane::Trace trace;

  [[nodiscard]] bool is_allowed() const { return reason == dataplane::DropReason::kNone; }
};

/// \return the answer, or why the packet cannot be (an unknown ENI, mixed families).
[[nodiscard]] Result<RehearsalResult> rehearse(const TestPacket& packet,
                                               const dataplane::Snapshot& snapshot,
                                               const SnapshotNames& names);

/// The same for a packet with this tuple from this zone, as it would be the first of its
/// connection.
[[nodiscard]] RehearsalResult rehearse(const dataplane::IpTuple& tuple, flows::Zone zone,
                                       const dataplane::Snapshot& snapshot,
                                       const SnapshotNames& names);

/// The steps of a rehearsal as lines for people.
[[nodiscard]] std::vector<std::string> describe(const RehearsalResult& result,
                                                const SnapshotNames& names);

/// A host as it would have to be for a policy: every port that it names, and an uplink. For judging
/// policies offline.
[[nodiscard]] HostFacts imagined_host(const Policy& policy);

/// "tcp 10.0.0.1:1234 -> 10.0.0.2:80", "icmp 10.0.0.1 -> 10.0.0.2 id 7".
[[nodiscard]] std::string to_string(const dataplane::IpTuple& tuple);

}  // namespace gannet::control
