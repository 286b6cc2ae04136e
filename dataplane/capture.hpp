// SPDX-License-Identifier: BSD-3-Clause
// A tap: copies of packets for somebody who wants to look, in a ring of fixed size. The worker
// copies what passes a filter and never waits: with the ring full, a packet is counted as missed
// and goes its way. Without a tap a worker pays one comparison a burst. Written by one worker, read
// by the control thread; made and freed by the control thread while no worker has it.
#pragma once

#include "flows/base/time.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct bpf_insn;
struct rte_mbuf;

namespace gannet::dataplane {

enum class CaptureSide : std::uint8_t { kReceived, kSent };

/// What is known of a captured packet; its first `kept_bytes` follow it in the ring.
struct CaptureHead {
  Nanos when = 0;
  std::uint32_t frame_bytes = 0;
  std::uint32_t kept_bytes = 0;
  std::uint16_t port = 0;  // Dataplane port id.
  CaptureSide side = CaptureSide::kReceived;
};

class CaptureTap final {
 public:
  static constexpr std::uint32_t kSlots = 2'048;

  /// \param ports the dataplane ports to look at. \param filter a BPF program as libpcap compiles
  /// it; empty: everything. Both must outlive the tap. \param snap_bytes how much of each packet to
  /// keep.
  CaptureTap(std::span<const std::uint16_t> ports, std::size_t port_count, const bpf_insn* filter,
             std::uint32_t snap_bytes);

  /// Worker: looks at a burst that was received by, or is about to be given to, a port.
  void see(std::uint16_t port, CaptureSide side, rte_mbuf* const* packets, unsigned count,
           Nanos now) {
    if (is_wanted_[port] != 0) copy(port, side, packets, count, now);
  }

  /// Control thread: calls `take(head, bytes)` for each packet in the ring, oldest first, at most
  /// `limit`. \return how many there were.
  template <typename Take>
  std::uint32_t drain(std::uint32_t limit, Take&& take) {
    const std::uint64_t end = written_.load(std::memory_order_acquire);
    std::uint64_t next = read_.load(std::memory_order_relaxed);
    std::uint32_t count = 0;
    for (; next != end && count < limit; ++next, ++count) {
      take(heads_[next % kSlots], bytes_.get() + (next % kSlots) * snap_bytes_);
    }
    read_.store(next, std::memory_order_release);
    return count;
  }

  /// Packets that passed the filter and found no room.
  [[nodiscard]] std::uint64_t missed() const { return missed_.load(std::memory_order_relaxed); }

 private:
  void copy(std::uint16_t port, CaptureSide side, rte_mbuf* const* packets, unsigned count,
            Nanos now);

  std::vector<std::uint8_t> is_wanted_;  // By dataplane port id.
  const bpf_insn* filter_;
  std::uint32_t snap_bytes_;
  std::vector<CaptureHead> heads_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  // Slots used up so far: the worker releases `written_` with the slot's content, the reader
  // releases `read_` when it no longer needs it.
  alignas(64) std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> missed_{0};
  alignas(64) std::atomic<std::uint64_t> read_{0};
};

}  // namespace gannet::dataplane
