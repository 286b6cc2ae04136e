// SPDX-License-Identifier: BSD-3-Clause
// Whether the ports' links are up. DPDK's drivers of kernel interfaces say "up" for ever, also of
// an interface that has been deleted: those are looked at here, as the kernel has them. Control
// thread; a look takes some microseconds.
#pragma once

#include "control/policy/host_config.hpp"
#include "dataplane/dataplane.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace gannet::control {

inline constexpr const char* kLinkUp = "up";

class PortWatch {
 public:
  /// Remembers which interfaces the ports have opened; both arguments outlive the watch.
  PortWatch(const HostConfig& host, const dataplane::Dataplane& dataplane);

  /// "up"; or "gone" (its interface was deleted), "replaced" (by another one of the same name),
  /// "down", "no carrier", "no peer" (nobody is connected to its socket), or "mtu 1400" where the
  /// underlay needs more.
  [[nodiscard]] std::string link(std::size_t port) const;

  /// Says on stderr which links have changed since the last call.
  void run();

 private:
  [[nodiscard]] std::string look_at_interface(const HostPort& port, unsigned index) const;

  const HostConfig& host_;
  const dataplane::Dataplane& dataplane_;
  std::vector<unsigned> interfaces_;      // By port: the kernel's number of the interface, or 0.
  std::vector<std::string> descriptors_;  // Or where the kernel tells about a tap's queue.
  std::vector<std::string> last_;
};

}  // namespace gannet::control
