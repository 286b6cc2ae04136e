// SPDX-License-Identifier: BSD-3-Clause
// The rig with the emulated card: worker, offload thread and card run on threads of their own, with
// the real clock; this thread plays the VMs and the network at the ends of the card's wires.
#pragma once

#include "bench/system/frames.hpp"
#include "bench/system/scenario.hpp"
#include "control/controller.hpp"
#include "control/emulated_card.hpp"
#include "control/offload_manager.hpp"
#include "control/policy/host_config.hpp"
#include "dataplane/dataplane.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>

struct rte_mempool;
struct rte_ring;

namespace gannet::bench {

/// The flows of the card's benchmark: those that stay, and those that a change of policy denies.
enum class Kind { kKept, kDenied };

class CardRig final {
 public:
  [[nodiscard]] static Result<std::unique_ptr<CardRig>> create(std::uint32_t connections);
  ~CardRig();
  CardRig(const CardRig&) = delete;
  CardRig& operator=(const CardRig&) = delete;

  /// Puts the policy in force that denies flows of Kind::kDenied, or not. May be called beside
  /// send() and receive(), by another thread.
  [[nodiscard]] Result<void> apply(bool denies);
  /// Workers and card conform to the policy in force.
  [[nodiscard]] bool is_conforming() const;
  void learn_neighbors();

  /// Sends a packet of a flow from the VM; takes what has come out while the wire is full.
  void send(Kind kind, std::uint32_t flow);
  /// Takes what has come out of the uplink.
  void receive();
  /// Receives until nothing more comes.
  void drain();
  [[nodiscard]] std::uint64_t sent(Kind kind) const { return sent_[static_cast<int>(kind)]; }
  [[nodiscard]] std::uint64_t came(Kind kind) const { return came_[static_cast<int>(kind)]; }

  [[nodiscard]] offload::EngineStats stats() { return offload_->status().stats; }
  [[nodiscard]] const dataplane::WorkerStats& worker() const {
    return dataplane_->worker(0).stats();
  }

 private:
  struct Wire {
    std::uint16_t ethdev = 0;
    rte_ring* in = nullptr;  // To the card.
    rte_ring* out = nullptr;
  };

  CardRig() = default;
  [[nodiscard]] Result<void> open(std::uint32_t connections);
  [[nodiscard]] Result<void> open_switch(std::uint32_t connections);
  [[nodiscard]] Result<std::string> add_wire(const std::string& name);

  std::array<Wire, 2> wires_;  // uplink, vm1.
  rte_mempool* pool_ = nullptr;
  control::HostConfig host_;
  std::optional<control::EmulatedCard> card_;
  std::unique_ptr<dataplane::Dataplane> dataplane_;
  std::unique_ptr<control::OffloadManager> offload_;
  std::unique_ptr<control::Controller> controller_;
  std::array<std::uint64_t, 2> sent_{};
  std::array<std::uint64_t, 2> came_{};
};

}  // namespace gannet::bench
