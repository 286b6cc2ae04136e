// SPDX-License-Identifier: BSD-3-Clause
// The worker's side of the slow path: makes a Frame of an mbuf, asks SlowPath what is to become of
// it, and does it — sends, answers, hands over, holds, cuts into fragments, or drops and counts.
// Also keeps the packets that wait: for a neighbour's MAC, and for their other fragments. Owned by
// one worker.
//
//   slow_stage            a packet's way through the stage
//   slow_stage_departure  what is forwarded: rewritten, cut, sent or kept for want of a MAC
//   slow_stage_fragments  fragments that wait for the rest of their packet
#pragma once

#include "dataplane/arp_queue.hpp"
#include "dataplane/drop_log.hpp"
#include "dataplane/fragments.hpp"
#include "dataplane/messages.hpp"
#include "dataplane/port_context.hpp"
#include "dataplane/slow_path.hpp"
#include "dataplane/transmit.hpp"

#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

namespace gannet::dataplane {

class SlowStage final {
 public:
  struct Config {
    std::uint16_t worker = 0;
    std::uint16_t worker_count = 1;
    Ticks fragment_timeout = duration_ticks(2 * kNanosPerSecond);
    unsigned max_fragments = 1'024;  // That may be held at once: buffers of the pool.
    rte_mempool* pool = nullptr;
  };

  SlowStage(const Config& config, SlowPath& slow_path, NeighborTable& neighbors,
            ArpQueue& arp_queue, std::vector<PortContext>& ports, Transmitter& transmitter,
            PathCounters& counters, DropLog& drops);
  ~SlowStage();
  SlowStage(const SlowStage&) = delete;
  SlowStage& operator=(const SlowStage&) = delete;

  /// Deals with a packet that came in by `port`; takes ownership.
  void process(std::uint16_t port, rte_mbuf* packet, HandOver came, const Snapshot& policy,
               Nanos now);

  /// Sends a frame of the switch's own to an address of a VPC; takes ownership. It is counted for
  /// the port by which it leaves.
  void originate(std::uint16_t vpc, const IpTuple& tuple, rte_mbuf* packet, const Snapshot& policy,
                 Nanos now);

  /// Sends what waited for a MAC that is known now, and drops what has waited too long.
  void run(const Snapshot& policy, Nanos now);
  /// Whether there is anything for run() to do, now or later.
  [[nodiscard]] bool has_work() const {
    return !arp_queue_.is_empty() || fragments_.used_count() != 0;
  }

 private:
  // A packet on its way through the stage.
  struct Job {
    PortContext& port;
    rte_mbuf* packet;
    const Snapshot& policy;
    Nanos now;
    HandOver came = HandOver::kNone;
    std::uint32_t whole_bytes = 0;  // Of a fragment of a packet that is whole; else 0.
    std::uint16_t fragment_id = 0;  // With whole_bytes: the packet's number if it gets a new one.
    Frame frame{};
    Ingress in{};
    packet::Parsed parsed{};
    Family family = Family::kIpv4;  // Of the flow by which it is forwarded.
    flows::FlowRef flow{};
  };
  [[nodiscard]] DropReason receive(Job& job) const;
  [[nodiscard]] DropReason read_again(Job& job) const;
  [[nodiscard]] Outcome decide(Job& job);
  void act(Job& job, Outcome& outcome);
  void act_on_whole(Fragments::Result& whole, const Job& first);
  void forward(Job& job, Outcome& outcome);
  template <typename Key>
  void emit(Job& job, flows::FlowRef flow, bool is_translated);
  void emit_fragments(Job& job, const flows::NextHop& hop, std::uint16_t flags, Be16 source_port,
                      std::uint16_t max_ip_bytes);
  void finish(Job& job, rte_mbuf* packet, Frame& frame, const flows::NextHop& hop,
              std::uint16_t flags, Be16 source_port, std::uint8_t tos);
  void leave(const Job& job, const flows::NextHop& hop, rte_mbuf* packet, std::uint64_t mac);
  [[nodiscard]] Judgement judgement_of(const Job& job);
  void hold(const Job& job, const flows::NextHop& hop, rte_mbuf* packet);
  void release(const ArpQueue::Entry& entry, const Snapshot& policy, Nanos now);
  void send_back(Job& job, const Outcome& outcome);
  void collect(Job& job);
  [[nodiscard]] std::uint16_t take_fragment_id();
  void drop_all(const Fragments::Result& result);
  void drop(Job& job, const Outcome& outcome);

  Config config_;
  SlowPath& slow_path_;
  NeighborTable& neighbors_;
  ArpQueue& arp_queue_;
  std::vector<PortContext>& ports_;
  Transmitter& transmitter_;
  PathCounters& counters_;
  DropLog& drops_;
  Fragments fragments_;
  std::uint16_t next_fragment_id_;
  std::uint32_t seen_changes_ = 0;  // Of MACs.
};

}  // namespace gannet::dataplane
