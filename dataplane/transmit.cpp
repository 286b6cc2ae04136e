// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/transmit.hpp"

#include <algorithm>

#include <rte_ethdev.h>

namespace gannet::dataplane {

Transmitter::Transmitter(std::vector<PortContext>& ports, std::uint16_t worker, Mailbox mailbox)
    : ports_(ports),
      queues_(ports.size()),
      busy_ports_(ports.size()),
      worker_(worker),
      mailbox_(mailbox) {}

void Transmitter::send_with_care(std::uint16_t port, rte_mbuf* packet, std::uint16_t ingress_port,
                                 Nanos now) {
  if (port >= ports_.size()) return drop(packet, ingress_port, DropReason::no_output_port);
  PortContext& out = ports_[port];
  if (!out.has_queue) {
    Message message;
    message.kind = MessageKind::kTransmit;
    message.from = worker_;
    message.port = port;
    message.ingress_port = ingress_port;
    message.packet = packet;
    if (!mailbox_.send(mailbox_.context, out.tx_worker, message)) {
      drop(packet, ingress_port, DropReason::handover_full);
    }
    return;
  }
  if (!out.tx_bucket.take(out.bytes_per_second, packet->pkt_len, now, out.bandwidth_burst)) {
    return drop(packet, ingress_port, DropReason::eni_rate_limit);
  }
  push(port, packet, ingress_port);
}

void Transmitter::hand_over(rte_mbuf* packet, std::uint16_t ingress_port, std::uint16_t to,
                            HandOver how) {
  Message message;
  message.kind = MessageKind::kIngress;
  message.came = how;
  message.from = worker_;
  message.ingress_port = ingress_port;
  message.packet = packet;
  if (!mailbox_.send(mailbox_.context, to, message)) {
    return drop(packet, ingress_port, DropReason::handover_full);
  }
  ports_[ingress_port].counters->handed_over_packets.add(1);
}

void Transmitter::flush_busy_ports() {
  for (unsigned i = 0; i < busy_count_; ++i) {
    flush_port(busy_ports_[i]);
    queues_[busy_ports_[i]].is_listed = false;
  }
  busy_count_ = 0;
}

void Transmitter::flush_port(std::uint16_t port) {
  Queue& queue = queues_[port];
  PortContext& out = ports_[port];
  if (queue.count == 0) return;
  if (tap_ != nullptr) [[unlikely]] {
    tap_->see(port, CaptureSide::kSent, queue.packets, queue.count, now_);
  }
  const unsigned sent = rte_eth_tx_burst(out.ethdev, out.queue, queue.packets,
                                         static_cast<std::uint16_t>(queue.count));
  if (queue.run_count == 1 && sent == queue.count) [[likely]] {
    ports_[queue.runs[0].ingress_port].counters->forwarded_packets.add(sent);
  } else {
    settle(queue, sent);
  }
  out.counters->tx_packets.add(sent);
  out.counters->tx_bytes.add(queue.bytes);
  queue.count = 0;
  queue.run_count = 0;
  queue.bytes = 0;
}

// Counts the packets of a queue for the ports that they came in by: those that were sent, the first
// ones, and the others as dropped; the queue's bytes are then those of the former.
void Transmitter::settle(Queue& queue, unsigned sent) {
  unsigned i = 0;
  for (unsigned r = 0; r < queue.run_count; ++r) {
    const auto [ingress_port, end] = queue.runs[r];
    if (i < sent) {
      const unsigned sent_end = std::min<unsigned>(sent, end);
      ports_[ingress_port].counters->forwarded_packets.add(sent_end - i);
      i = sent_end;
    }
    for (; i < end; ++i) {
      queue.bytes -= queue.packets[i]->pkt_len;
      drop(queue.packets[i], ingress_port, DropReason::tx_full);
    }
  }
}

}  // namespace gannet::dataplane
