// SPDX-License-Identifier: BSD-3-Clause
// A whole switch on the bench: the real controller, the real dataplane and its workers, on ports
// made of rings, with a clock that moves only when told to. Nothing happens by itself: run() lets
// all workers turn until none of them has anything left to do.
#pragma once

#include "control/controller.hpp"
#include "control/emulated_card.hpp"
#include "control/offload_manager.hpp"
#include "control/upkeep.hpp"
#include "dataplane/dataplane.hpp"
#include "tests/support/packet_builder.hpp"

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct rte_ring;

namespace gannet::test {

struct BenchConfig {
  unsigned worker_count = 1;
  std::vector<std::string> vm_ports;
  std::string host_yaml;  // Sections to add to the host configuration (timers, tracking, ...).
  std::uint16_t mtu = 1'600;
  std::string underlay;  // Fields to add to the underlay's.
  std::uint32_t connections = 1'000;
  bool is_live = false;  // The workers are threads of their own and the clock is the real one.
  // The ports are the wires of an emulated card with these devargs ("profile=unlimited"); empty:
  // there is no card.
  std::string card;
  Nanos look_round = 0;                            // Of the audit at all slots; 0: as ever.
  std::optional<flows::HashSeed> seed;             // The same in two switches: the same NAT ports.
  std::chrono::milliseconds card_patience{5'000};  // Of the switch with its card when it leaves it.
};

/// How a frame lies in memory, and what the card says of it.
struct FrameForm {
  unsigned segment_bytes = 0;  // In buffers of so many bytes each; 0: in one.
  bool has_bad_l4_checksum = false;
  bool has_bad_ip_checksum = false;
  bool has_bad_outer_ip_checksum = false;
};

class BenchSwitch final {
 public:
  [[nodiscard]] static Result<std::unique_ptr<BenchSwitch>> create(const BenchConfig& config);
  ~BenchSwitch();
  BenchSwitch(const BenchSwitch&) = delete;
  BenchSwitch& operator=(const BenchSwitch&) = delete;

  /// Puts a policy in force. Without `sweeps` the workers have not yet judged their connections
  /// again: the next packets do. \return its diagnostics if it is refused.
  [[nodiscard]] Result<void> apply(const std::string& name, const std::string& text,
                                   bool sweeps = true);
  /// Says that a host on the underlay has this MAC; questions about it are answered from then on.
  void set_neighbor(Ip4 ip, const Mac& mac) { neighbors_[ip] = mac; }

  /// What a health check has found out about a backend.
  [[nodiscard]] Result<void> report_backend(const control::BackendId& id, bool is_healthy);

  /// Lays a frame before a port; it is received with the next run(). \return false if there is no
  /// such port.
  bool send(const std::string& port, const Bytes& frame, const FrameForm& form = {});
  /// Lets the workers turn until nothing moves, and moves nothing else.
  void run();
  /// Moves the clock and runs.
  void advance(Nanos by);

  /// Frames that came out of each port since the last call, in order.
  [[nodiscard]] std::map<std::string, std::vector<Bytes>> take_output();
  /// Drops by reason, of all ports and workers, since the start. Answers that the switch was
  /// waiting for
  /// ("consumed") are none.
  [[nodiscard]] std::map<std::string, std::uint64_t> drops() const;
  [[nodiscard]] std::uint64_t connection_count() const;
  [[nodiscard]] std::uint64_t mapping_count() const;
  [[nodiscard]] std::uint64_t fast_count() const;
  /// Packets that the card has carried by itself, as far as its counters have been read.
  [[nodiscard]] std::uint64_t card_count() const;
  /// What differs between the frames on the wires and the counters of workers and card together, or
  /// between what the two sides of offload know of its rules; empty if nothing does. Takes all
  /// rules from the card first, so that every counter has been read (O7).
  [[nodiscard]] std::string miscounted();
  /// Sets a fault of the card.
  void set_card_fault(const std::string& name, const std::string& value);
  void reset_card();
  [[nodiscard]] bool has_card() const { return card_.has_value(); }
  /// What does not add up: packets in = packets out + drops, for each port, and the drops of TCP
  /// tracking among the last drops; empty if all does.
  [[nodiscard]] std::string unbalanced() const;
  [[nodiscard]] Mac uplink_mac() const;

  /// Stops the switch, which can do nothing afterwards. \return buffers of received frames that it
  /// has lost.
  [[nodiscard]] unsigned close();

  [[nodiscard]] control::Controller& controller() { return *controller_; }
  [[nodiscard]] dataplane::Dataplane& dataplane() { return *dataplane_; }
  [[nodiscard]] control::OffloadManager* offload() { return offload_.get(); }
  /// While held the offload thread does nothing by itself: the test turns it.
  void hold_offload(bool is_held) { is_offload_held_ = is_held; }
  [[nodiscard]] const std::string& card_name() const { return card_->name(); }
  /// One turn of everything, at the present time. \return whether anything moved.
  bool turn() { return poll_all(); }
  void set_time(Nanos now) { clock_.store(now); }
  [[nodiscard]] Nanos time() const { return clock_.load(); }

 private:
  struct BenchPort {
    std::string name;
    std::string device;
    std::uint16_t ethdev;
    rte_ring* rx;
    rte_ring* tx;
    std::uint64_t sent = 0;      // Frames laid before it,
    std::uint64_t received = 0;  // and taken from it.
  };

  BenchSwitch() = default;
  [[nodiscard]] Result<void> open(const BenchConfig& config);
  [[nodiscard]] Result<void> open_card(const BenchConfig& config);
  [[nodiscard]] Result<void> open_dataplane(const BenchConfig& config);
  [[nodiscard]] Result<void> add_port(const std::string& name);
  void settle_policy();
  [[nodiscard]] std::string unlogged() const;
  bool answer_question(const Bytes& frame);
  bool poll_workers();
  bool poll_all();

  std::vector<BenchPort> ports_;
  std::map<Ip4, Mac> neighbors_;
  std::map<std::string, std::vector<Bytes>> output_;
  std::atomic<Nanos> clock_{kNanosPerSecond};
  bool is_live_ = false;
  bool is_offload_held_ = false;
  control::HostConfig host_;
  std::optional<control::EmulatedCard> card_;
  std::unique_ptr<dataplane::Dataplane> dataplane_;
  std::unique_ptr<control::OffloadManager> offload_;
  std::unique_ptr<control::Controller> controller_;
  std::unique_ptr<control::Upkeep> upkeep_;
  struct rte_mempool* pool_ = nullptr;  // Of the frames that come from outside.
};

}  // namespace gannet::test
