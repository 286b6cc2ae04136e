// SPDX-License-Identifier: BSD-3-Clause
// From the policy that people wrote to the snapshot that workers read. The policy has passed
// validate(); what can still fail here is only what the daemon runs out of.
// Control thread only; nearly linear in the size of the policy.
#pragma once

#include "control/compile/identities.hpp"
#include "control/compile/names.hpp"
#include "control/policy/model.hpp"
#include "dataplane/snapshot.hpp"
#include "flows/base/result.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace gannet::control {

/// What the compiler must know of this host, as it is, not as it is configured.
struct HostFacts {
  std::vector<std::string> ports;  // Names, by dataplane port id.
  std::vector<std::uint16_t> worker_of_port;
  std::uint16_t uplink = dataplane::kNoIndex;
  Mac uplink_mac{};
  std::vector<InterfaceAddress> underlay_ips;
  std::optional<Ip4> gateway;
  std::uint16_t mtu = 1500;
  std::uint16_t vxlan_port = 4789;
  bool clamps_mss = false;
  std::map<Ip4, std::uint16_t> path_mtus;  // Of the underlay's packets, where less than `mtu`.
  unsigned worker_count = 1;
  std::function<std::uint32_t(Ip4)> neighbor;  // Entry of the neighbour table for an address.
};

/// A backend of a pool, by what it is.
struct BackendId {
  std::string pool;  // "balancer/pool".
  IpAddress ip;
  std::uint16_t port = 0;
  friend auto operator<=>(const BackendId&, const BackendId&) = default;
};

/// What has become of a probe.
enum class ProbeResult : std::uint8_t {
  kAnswered,
  kRefused,   // By a reset.
  kNoAnswer,  // In time.
  kNowhere,   // Nothing was sent: no ENI and no mapping has the address.
};

/// What is known of a backend that is being probed.
struct BackendProbes {
  ProbeResult last = ProbeResult::kNoAnswer;
  std::uint32_t in_a_row = 0;  // Good ones, or failed ones, up to the last; 0: none yet.
};

/// What is known of backends besides the policy.
struct BackendStates {
  std::map<BackendId, BackendProbes> probes;
  std::set<BackendId> unhealthy;
  std::set<BackendId> draining;  // No longer in the policy, but with connections that may go on.
};

/// The address of a backend, which may be written as an ENI's name.
[[nodiscard]] IpAddress backend_address(const Policy& policy, const LoadBalancer& balancer,
                                        const Backend& backend);

struct CompiledPolicy {
  std::unique_ptr<dataplane::Snapshot> snapshot;
  SnapshotNames names;
};

/// \param conforming generation that every connection conforms to: indices freed before are free.
[[nodiscard]] Result<CompiledPolicy> compile(const Policy& policy, const HostFacts& host,
                                             const BackendStates& backends,
                                             std::uint32_t generation, std::uint32_t conforming,
                                             Identities& identities);

}  // namespace gannet::control
