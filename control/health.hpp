// SPDX-License-Identifier: BSD-3-Clause
// Health checks: whether the backends of load balancers are up. The switch itself opens and closes
// a TCP connection to each backend from the gateway address of the backend's subnet, straight into
// the VM's port or through the tunnel (docs/decisions/health.md). This is the client side of those
// connections, reduced to what a probe needs: SYN, and FIN with the first acknowledgment. Control
// thread only; workers carry the segments.
#pragma once

#include "control/controller.hpp"
#include "dataplane/bare_segment.hpp"
#include "dataplane/news.hpp"

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

namespace gannet::control {

/// Where a checker's port and sequence numbers begin; each probe takes the next ones. Random, but
/// for tests. Nobody can guess his way into a probe anyhow: only the backend's own address is
/// believed, and no VM can send from another's.
struct ProbeNumbers {
  std::uint16_t port = 0;  // Taken modulo the number of probe ports.
  std::uint32_t sequence = 0;
};

class HealthChecker final {
 public:
  HealthChecker(Controller& controller, ProbeNumbers first);

  /// Takes what a worker has heard from a backend.
  void read(const dataplane::News& answer);
  /// Gives up on probes that have no answer, sends those that are due, and puts what has changed in
  /// force. To be called a few dozen times a second; does nothing if no policy asks.
  void run();

 private:
  struct Target {
    HealthCheck check;
    std::string vpc_name;
    std::uint16_t port = 0;  // That is probed.
    Nanos next_probe = 0;
    // The probe on its way, or the last one, whose connection is being closed.
    bool is_waiting = false;
    bool is_open = false;  // The backend has not closed its side yet.
    std::uint16_t vpc = 0;
    IpAddress gateway;
    std::uint16_t local_port = 0;  // 0: none.
    std::uint32_t sequence = 0;    // Of the SYN.
    std::uint32_t peer_next = 0;   // What is expected of the backend.
    Nanos deadline = 0;
  };
  using Targets = std::map<BackendId, Target>;

  void take_policy();
  void read_open(Targets::value_type& target, const dataplane::News& answer);
  void give_up_late_ones(Nanos now);
  void start_due_ones(Nanos now);
  [[nodiscard]] bool start(Targets::value_type& target, Nanos now);
  void send(const Targets::value_type& target, std::uint8_t flags, std::uint32_t sequence,
            std::uint32_t acknowledgment);
  void conclude(Targets::value_type& target, ProbeResult result);
  void forget(Target& target);
  void send_all();

  Controller& controller_;
  std::uint32_t revision_ = 0;  // That the targets are of.
  Targets targets_;
  std::unordered_map<std::uint16_t, Targets::value_type*> by_port_;  // Of this side.
  BackendId last_started_;
  ProbeNumbers next_;
  bool has_changed_ = false;
  struct Outgoing {
    std::uint16_t vpc;
    dataplane::BareSegment segment;
  };
  std::vector<Outgoing> outgoing_;
};

}  // namespace gannet::control
