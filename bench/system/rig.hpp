// SPDX-License-Identifier: BSD-3-Clause
// The rig: a real switch with a real policy, whose ports are rings while its connections are made
// and capture files that repeat for ever while it is measured. The worker is polled by the thread
// that measures; nothing of it is left out.
#pragma once

#include "bench/system/frames.hpp"
#include "bench/system/scenario.hpp"
#include "control/controller.hpp"
#include "control/policy/host_config.hpp"
#include "dataplane/dataplane.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct rte_ring;

namespace gannet::bench {

struct RigConfig {
  Scenario scenario;
  std::uint32_t flow_count = 1'000;
  unsigned frame_bytes = 64;
  bool is_imix = false;  // Frames of many sizes instead.
  PolicyShape policy;
  bool has_huge_pages = true;
  std::string folder;                         // For the capture files.
  std::uint32_t capacity = 0;                 // Connections of the table; 0: what the flows need.
  std::uint32_t ring_slots = 1'024;           // Of each port and way.
  std::uint32_t buffer_count = 0;             // Of the rig; 0: what the capture files need.
  const std::atomic<Nanos>* clock = nullptr;  // The worker's time; null: the TSC.
  // Whether the worker is to have a thread of its own, on core 1, from dataplane().start() on.
  bool has_own_thread = false;
};

/// What the worker did in a while.
struct Measured {
  std::uint64_t packets = 0;  // Received.
  std::uint64_t fast = 0;     // Forwarded by the flow table.
  std::uint64_t slow = 0;
  std::uint64_t drops = 0;
  std::uint64_t cycles = 0;  // Of the time-stamp counter.
  double seconds = 0;
};

class Rig final {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Rig>> create(const RigConfig& config);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  /// Opens every connection with a first packet and its answer, and keeps both for measuring.
  [[nodiscard]] Result<void> connect();
  /// Writes the kept packets in random order to capture files and plugs those in.
  [[nodiscard]] Result<void> plug_captures();
  /// Plugs another virtual device in where a port was.
  [[nodiscard]] Result<void> plug_device(const std::string& port, const std::string& device,
                                         const std::string& args);
  /// Capture files by direction: there, back; empty if the scenario does not measure it.
  [[nodiscard]] const std::string& there_file() const { return there_file_; }
  [[nodiscard]] const std::string& back_file() const { return back_file_; }
  [[nodiscard]] std::uint32_t buffer_count() const { return buffer_count_; }

  /// \param steps null: those of the worker's turns are not measured.
  [[nodiscard]] Measured measure(double seconds, dataplane::StepCycles* steps = nullptr);
  [[nodiscard]] std::uint64_t connection_count() const;

  // For benchmarks that do something else with it.
  struct RigPort {
    std::string name;
    std::string device;
    rte_ring* rx = nullptr;  // Of one producer and one consumer, as tx.
    rte_ring* tx = nullptr;
  };
  [[nodiscard]] dataplane::Dataplane& dataplane() { return *dataplane_; }
  /// Puts another policy of the same shape in force, whose rules but the last are others with every
  /// call: through the decoder, as an operator's.
  [[nodiscard]] Result<void> swap_rules();
  /// Every connection conforms to the policy in force.
  [[nodiscard]] bool is_conforming() const {
    return dataplane_->conforming_generation() == controller_->generation();
  }
  [[nodiscard]] const RigPort& port(std::string_view name) const;
  /// Puts a frame where the port receives; there must be room and a buffer.
  void send(const RigPort& port, const Frame& frame);
  /// What the port has sent, but for questions by ARP.
  [[nodiscard]] std::vector<Frame> take(const RigPort& port);
  /// Nobody answers the switch's questions here: the neighbours are there for as long as we say.
  void confirm_neighbors();

 private:
  explicit Rig(const RigConfig& config) : config_(config) {}
  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> apply(const std::string& policy);
  [[nodiscard]] Result<void> add_port(const std::string& name);
  [[nodiscard]] Result<std::string> plug(const std::string& port, std::vector<Frame>& frames);
  void settle();
  [[nodiscard]] Measured counters() const;
  [[nodiscard]] std::uint16_t index_of(const std::string& port) const;

  RigConfig config_;
  control::HostConfig host_;
  std::vector<RigPort> ports_;
  std::vector<std::uint16_t> captures_;  // Ethdevs.
  std::unique_ptr<dataplane::Dataplane> dataplane_;
  std::unique_ptr<control::Controller> controller_;
  unsigned swap_count_ = 0;
  struct rte_mempool* pool_ = nullptr;  // Of packets that the rig makes, and of the capture files.
  std::uint32_t buffer_count_ = 0;
  std::vector<Frame> there_, back_;
  std::string there_file_, back_file_;
};

}  // namespace gannet::bench
