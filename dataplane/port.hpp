// SPDX-License-Identifier: BSD-3-Clause
// A DPDK port: opened, configured and started at the daemon's start, closed at its end. The control
// thread does that; workers only poll the queues that they were given.
#pragma once

#include "flows/base/mac.hpp"
#include "flows/base/result.hpp"

#include <cstdint>

struct rte_mempool;

namespace gannet::dataplane {

/// What to open. The strings live as long as the call.
struct PortConfig {
  const char* name = "";    // For people.
  const char* device = "";  // Devargs of a device to probe, or the name of an ethdev that exists.
  std::uint16_t mtu = 0;    // 0: leave the device's.
  bool is_uplink = false;
  bool is_on_card = false;  // A representor of the card that rules are for.
};

/// Packets that a device has received and could not give to a worker.
struct PortLosses {
  std::uint64_t missed_packets = 0;     // Its queue was full.
  std::uint64_t error_packets = 0;      // They were damaged.
  std::uint64_t no_buffer_packets = 0;  // The driver had no buffer for them.
  std::uint64_t wire_tx_failures = 0;   // Sent by a card whose wire did not take them.
};

class Port {
 public:
  /// Probes, configures and starts a device with as many queue pairs as it can give workers, at
  /// most `worker_count`. \return one sentence with the fix if it cannot.
  [[nodiscard]] static Result<Port> open(const PortConfig& config, unsigned worker_count,
                                         rte_mempool* pool);

  Port(Port&& other) noexcept;
  Port& operator=(Port&&) = delete;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  /// Stops and closes the device; no worker polls it any more.
  ~Port();

  [[nodiscard]] std::uint16_t ethdev() const { return ethdev_; }
  [[nodiscard]] std::uint16_t queue_count() const { return queue_count_; }
  [[nodiscard]] Mac mac() const { return mac_; }
  /// Operations that the card's flow queue holds, of the template API of rte_flow; 0: there is
  /// none.
  [[nodiscard]] std::uint32_t flow_queue_size() const { return flow_queue_size_; }
  /// What the driver knows of the link. Control thread, at any time.
  [[nodiscard]] bool is_up() const;
  /// As far as the driver counts them. Control thread, at any time.
  [[nodiscard]] PortLosses losses() const;

 private:
  Port(std::uint16_t ethdev, bool is_probed) : ethdev_(ethdev), is_probed_(is_probed) {}

  [[nodiscard]] Result<void> start(const PortConfig& config, unsigned worker_count,
                                   rte_mempool* pool);
  void configure_flow_queue();

  static constexpr std::uint16_t kMoved = 0xffff;
  std::uint16_t ethdev_;
  bool is_probed_;
  std::uint16_t queue_count_ = 0;
  std::uint32_t flow_queue_size_ = 0;
  Mac mac_{};
};

}  // namespace gannet::dataplane
