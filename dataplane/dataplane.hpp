// SPDX-License-Identifier: BSD-3-Clause
// The dataplane as the control thread sees it: made from a configuration, given policies, asked for
// counters, told to stop. Owns ports, packet memory, rings and workers. One thread calls it.
#pragma once

#include "dataplane/port.hpp"
#include "dataplane/worker.hpp"

#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

namespace gannet::dataplane {

/// What flows need to go to a card; the ports that hang on it are marked in their PortConfig.
struct OffloadSettings {
  std::uint32_t min_packets = 1;
  bool is_strict_tcp = false;
  std::uint32_t max_rules = 262'144;      // Of all workers: memory for their slots.
  std::uint16_t guard_ip_bytes = 0xffff;  // Longer packets always come to software.
};

struct DataplaneConfig {
  std::span<const PortConfig> ports;  // Read by create() alone. Their place is their port id.
  std::vector<unsigned> cores;        // One worker each.
  Idle idle = Idle::kAdaptive;
  TrackingConfig tracking;  // Capacities are those of the whole dataplane.
  Ticks fragment_timeout = duration_ticks(2 * kNanosPerSecond);
  std::uint32_t buffer_count = 16'384;  // Packet buffers.
  std::uint16_t max_mtu = 1'500;        // Of any port; a frame is never in pieces.
  bool has_own_threads = true;          // False: a test calls poll() of the workers.
  // Of hashes and port choice: random, but for tests that compare two dataplanes.
  std::optional<flows::HashSeed> seed;
  std::optional<OffloadSettings> offload;  // None: there is no card.
  Clock clock{};
};

class Dataplane final {
 public:
  /// Opens all ports and makes the workers. They do nothing until start() and a first policy.
  /// \return one sentence with the fix if something cannot be had; nothing is left open then.
  [[nodiscard]] static Result<std::unique_ptr<Dataplane>> create(const DataplaneConfig& config);
  ~Dataplane();
  Dataplane(const Dataplane&) = delete;
  Dataplane& operator=(const Dataplane&) = delete;

  void start();

  /// Puts a policy in force and waits until no worker reads the one before.
  /// \return the one before, null the first time.
  std::unique_ptr<const Snapshot> publish(std::unique_ptr<const Snapshot> policy);
  [[nodiscard]] const Snapshot* policy() const { return policy_.get(); }

  /// Runs a command on a worker and waits until it is finished.
  void execute(unsigned worker, WorkerCommand& command);

  [[nodiscard]] unsigned worker_count() const { return static_cast<unsigned>(workers_.size()); }
  [[nodiscard]] Worker& worker(unsigned index) { return *workers_[index]; }
  [[nodiscard]] const std::vector<Port>& ports() const { return ports_; }
  /// Which worker receives from a port, and so owns the connections of its ENI.
  [[nodiscard]] std::uint16_t worker_of_port(std::uint16_t port) const { return home_[port]; }
  [[nodiscard]] NeighborTable& neighbors() { return shared_.neighbors; }
  /// The workers' ends of offload, for the offload thread; empty if there is no card.
  [[nodiscard]] std::vector<offload::Exchange*> exchanges() const;
  [[nodiscard]] const Clock& clock() const { return config_.clock; }
  /// Generation that every connection of every worker conforms to.
  [[nodiscard]] std::uint32_t conforming_generation() const;

 private:
  explicit Dataplane(const DataplaneConfig& config) : config_(config) {}

  [[nodiscard]] Result<void> make_pool();
  [[nodiscard]] Result<void> make_rings();
  [[nodiscard]] Result<void> make_workers();
  void assign_homes();
  [[nodiscard]] OffloadDeskConfig desk_config_of(const WorkerConfig& worker) const;
  [[nodiscard]] std::vector<PortContext> contexts_of(unsigned worker) const;
  void stop();

  DataplaneConfig config_;
  Shared shared_;
  std::vector<Port> ports_;
  std::vector<bool> is_on_card_;     // By port.
  std::vector<std::uint16_t> home_;  // By port: worker of a port with one queue.
  std::vector<std::unique_ptr<offload::Exchange>> exchanges_;  // By worker.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<const Snapshot> policy_;
};

}  // namespace gannet::dataplane
