// SPDX-License-Identifier: BSD-3-Clause
// The thread that plays the silicon: takes packets from the wires and from the representors, has
// the executor work on them, and hands them on in bursts. It may block only when idle, and it takes
// no lock but the ageing lists' (ages.hpp). With a manual card there is no thread and a test calls
// poll().
#pragma once

#include "flows/emudpu/card.hpp"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace gannet::emudpu {

class Asic final : public Outputs {
 public:
  Asic(Card& card, rte_mempool* pool);
  ~Asic() override;
  Asic(const Asic&) = delete;
  Asic& operator=(const Asic&) = delete;

  void start();
  void stop();

  /// One round over all ports. \return the number of packets taken in
  unsigned poll(Nanos now);
  [[nodiscard]] Nanos now() const { return now_.load(std::memory_order_relaxed); }
  [[nodiscard]] rte_mempool* pool() const { return pool_; }
  [[nodiscard]] VxlanPorts& vxlan_ports() { return executor_.vxlan_ports(); }

  /// Runs `change` while the thread touches neither queues nor port settings. Control threads.
  template <typename F>
  void while_paused(F change) {
    const std::lock_guard guard(pause_lock_);
    pause();
    change();
    resume();
  }

  // Outputs.
  void to_wire(std::uint16_t port, rte_mbuf* packet) override;
  void to_program(std::uint16_t port, int queue, rte_mbuf* packet,
                  const ParsedPacket& parsed) override;
  void drop(std::uint16_t port, DropCause cause, rte_mbuf* packet) override;

 private:
  static constexpr unsigned kBurst = 32;

  struct WireBuffer {
    unsigned count = 0;
    rte_mbuf* packets[kBurst];
  };

  void loop();
  void pause();
  void resume();
  unsigned poll_wires();
  unsigned poll_representors();
  void process(rte_mbuf** packets, unsigned count, Source source);
  void flush(std::uint16_t port);
  void keep_house(Nanos now);
  [[nodiscard]] rte_mbuf* copy_for(const RxQueue& queue, const rte_mbuf* packet) const;

  Card& card_;
  rte_mempool* pool_;
  Executor executor_;
  std::vector<WireBuffer> buffers_;
  ParsedPacket parsed_[kBurst];
  Nanos next_housekeeping_ = 0;
  std::atomic<Nanos> now_{0};
  std::atomic<bool> runs_{false};
  // Control threads ask, the ASIC thread agrees.
  std::atomic<bool> pause_wanted_{false};
  std::atomic<bool> is_paused_{false};
  std::mutex pause_lock_;
  std::thread thread_;
};

}  // namespace gannet::emudpu
