// SPDX-License-Identifier: BSD-3-Clause
// A worker's way out: packets gather by output port and leave together at the end of the burst. A
// port whose queue another worker has is reached through that worker. Counts what was sent and what
// the port refused, for the port that each packet came in by. Owned by one worker.
#pragma once

#include "dataplane/capture.hpp"
#include "dataplane/messages.hpp"
#include "dataplane/port_context.hpp"

#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

namespace gannet::dataplane {

class Transmitter final {
 public:
  static constexpr unsigned kBurst = 64;

  Transmitter(std::vector<PortContext>& ports, std::uint16_t worker, Mailbox mailbox);

  /// Sends a finished frame; takes ownership. `now` is for bandwidth limits.
  [[gnu::always_inline]] void send(std::uint16_t port, rte_mbuf* packet, std::uint16_t ingress_port,
                                   Nanos now) {
    if (is_open(port)) [[likely]] {
      push(port, packet, ingress_port);
    } else {
      send_with_care(port, packet, ingress_port, now);
    }
  }

  /// A port's queue, held open by the fast path while a burst of one port is worked on: in
  /// registers, where stores to packets cannot change it. Has room for `kLaneRoom` packets.
  struct Lane {
    rte_mbuf** end = nullptr;  // Where the next packet goes.
    std::uint32_t bytes = 0;   // Of the packets since it was opened.
    std::uint32_t port = kNoLane;

    void push(rte_mbuf* packet, std::uint32_t packet_bytes) {
      *end++ = packet;
      bytes += packet_bytes;
    }
  };
  static constexpr std::uint32_t kNoLane = 0xffff'ffff;
  static constexpr unsigned kLaneRoom = kBurst / 2;  // At least FastPath::kBurst.

  /// \return none if each packet to the port has to be looked at: send() does that. While a lane is
  /// open nothing else is sent to its port.
  [[nodiscard, gnu::always_inline]] Lane open_lane(std::uint16_t port) {
    if (!is_open(port)) [[unlikely]]
      return {};
    Queue& queue = queues_[port];
    if (queue.count > kBurst - kLaneRoom) [[unlikely]]
      flush_port(port);
    return {queue.packets + queue.count, 0, port};
  }
  /// Closes a lane, whose packets came in by `ingress_port`.
  [[gnu::always_inline]] void close_lane(const Lane& lane, std::uint16_t ingress_port) {
    if (lane.port == kNoLane) [[unlikely]]
      return;
    Queue& queue = queues_[lane.port];
    const auto count = static_cast<unsigned>(lane.end - queue.packets) - queue.count;
    if (count == 0) [[unlikely]]
      return;
    queue.add(count, lane.bytes, ingress_port);
    list(queue, static_cast<std::uint16_t>(lane.port));
  }

  /// Frees a packet and counts why.
  void drop(rte_mbuf* packet, std::uint16_t ingress_port, DropReason reason) {
    ports_[ingress_port].counters->drops[static_cast<std::size_t>(reason)].add(1);
    rte_pktmbuf_free(packet);
  }

  /// Gives a packet, as it was received, to another worker, which is told how; takes ownership.
  void hand_over(rte_mbuf* packet, std::uint16_t ingress_port, std::uint16_t to, HandOver how);

  /// Gives everything gathered to the ports.
  void flush() {
    if (busy_count_ != 0) flush_busy_ports();
  }

  /// Shows what leaves to a tap as well; null: to none. `now` is what the packets are stamped with.
  void set_tap(CaptureTap* tap) { tap_ = tap; }
  [[nodiscard]] CaptureTap* tap() const { return tap_; }
  void set_time(Nanos now) { now_ = now; }

 private:
  // Whether packets go out by a port without further questions.
  [[nodiscard]] bool is_open(std::uint16_t port) const {
    return port < ports_.size() && ports_[port].has_queue && ports_[port].bytes_per_second == 0;
  }

  // Packets in a row that came in by one port.
  struct Run {
    std::uint16_t ingress_port;
    std::uint16_t end;  // In Queue::packets.
  };
  struct Queue {
    unsigned count = 0;
    unsigned run_count = 0;
    std::uint64_t bytes = 0;
    bool is_listed = false;  // In busy_ports_.
    rte_mbuf* packets[kBurst];
    Run runs[kBurst];

    // Takes account of packets that have been put behind the others.
    void add(unsigned packet_count, std::uint64_t packet_bytes, std::uint16_t ingress_port) {
      count += packet_count;
      bytes += packet_bytes;
      if (run_count == 0 || runs[run_count - 1].ingress_port != ingress_port) {
        runs[run_count++].ingress_port = ingress_port;
      }
      runs[run_count - 1].end = static_cast<std::uint16_t>(count);
    }
  };

  [[gnu::always_inline]] void push(std::uint16_t port, rte_mbuf* packet,
                                   std::uint16_t ingress_port) {
    Queue& queue = queues_[port];
    if (queue.count == kBurst) [[unlikely]]
      flush_port(port);
    queue.packets[queue.count] = packet;
    queue.add(1, packet->pkt_len, ingress_port);
    list(queue, port);
  }
  void list(Queue& queue, std::uint16_t port) {
    if (queue.is_listed) return;
    queue.is_listed = true;
    busy_ports_[busy_count_++] = port;
  }
  void send_with_care(std::uint16_t port, rte_mbuf* packet, std::uint16_t ingress_port, Nanos now);
  void flush_busy_ports();
  void flush_port(std::uint16_t port);
  [[gnu::cold, gnu::noinline]] void settle(Queue& queue, unsigned sent);

  std::vector<PortContext>& ports_;
  std::vector<Queue> queues_;              // By port.
  std::vector<std::uint16_t> busy_ports_;  // To be flushed.
  unsigned busy_count_ = 0;
  std::uint16_t worker_;
  Mailbox mailbox_;
  CaptureTap* tap_ = nullptr;
  Nanos now_ = 0;
};

}  // namespace gannet::dataplane
