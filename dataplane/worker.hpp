// SPDX-License-Identifier: BSD-3-Clause
// A worker: one thread, one core, its own ports, flow tables and counters. The poll loop is written
// once, in poll(): receive and forward, take messages of other workers, send, keep house. Nothing
// in it blocks, locks, allocates or logs; what it must not do itself goes to the control thread by
// ring.
//
// run() is the thread's function; a test calls poll() itself and so decides what happens when.
#pragma once

#include "dataplane/arp_queue.hpp"
#include "dataplane/clock.hpp"
#include "dataplane/connections.hpp"
#include "dataplane/drop_log.hpp"
#include "dataplane/fast_path.hpp"
#include "dataplane/loop_steps.hpp"
#include "dataplane/messages.hpp"
#include "dataplane/neighbors.hpp"
#include "dataplane/news.hpp"
#include "dataplane/offload_desk.hpp"
#include "dataplane/port_context.hpp"
#include "dataplane/slow_path.hpp"
#include "dataplane/slow_stage.hpp"
#include "dataplane/snapshot.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/transmit.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct rte_mempool;
struct rte_rcu_qsbr;
struct rte_ring;

namespace gannet::dataplane {

class Worker;

/// Something that the control thread wants done on a worker, between two bursts. It is given the
/// worker again and again until it says that it is finished, and should do a small piece each time.
class WorkerCommand {
 public:
  virtual ~WorkerCommand() = default;
  /// \return true when there is nothing left to do.
  virtual bool step(Worker& worker) = 0;

  /// Set by the worker (release) when the command is finished; read by the control thread
  /// (acquire).
  std::atomic<bool> is_done{false};
};

enum class Idle : std::uint8_t { kAdaptive, kSpin };

/// What all workers of a dataplane share.
struct Shared {
  std::atomic<const Snapshot*> policy{nullptr};  // Released by the control thread on publishing.
  std::atomic<bool> is_stopping{false};
  rte_rcu_qsbr* rcu = nullptr;
  rte_mempool* pool = nullptr;
  NeighborTable neighbors;
  // Message rings, [to * worker_count + from]: one producer, one consumer each.
  std::vector<rte_ring*> mail;
  std::vector<rte_ring*> notices;  // In the same order.
  unsigned worker_count = 1;
};

/// A worker's way to the others: into the ring that only the sender writes and only the receiver
/// reads.
[[nodiscard]] Mailbox mailbox_of(Shared& shared);

struct WorkerConfig {
  TrackingConfig tracking;
  Ticks fragment_timeout = duration_ticks(2 * kNanosPerSecond);
  unsigned max_fragments = 1'024;  // That may wait for the rest of their packet.
  Idle idle = Idle::kAdaptive;
  const OffloadDeskConfig* offload = nullptr;  // Null: there is no card. Read by create().
  offload::Exchange* exchange = nullptr;       // With the offload thread, if there is a card.
  unsigned core = 0;
};

class Worker final {
 public:
  /// \param ports one for each dataplane port, with ethdev and queue filled in.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> create(const WorkerConfig& config,
                                                              std::span<const PortContext> ports,
                                                              const flows::HashSeed& seed,
                                                              const Clock& clock, Shared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The thread's function: polls until shared.is_stopping.
  void run();
  /// One turn of the loop. \return whether anything moved.
  bool poll();
  /// The same turn, whose steps are measured.
  bool poll(StepCycles& steps);

  /// Hands a command to the worker; it stays the caller's. Any one thread at a time.
  /// \return false if too many are waiting.
  [[nodiscard]] bool submit(WorkerCommand& command);
  /// Goes on with what was submitted, as housekeeping does; for a caller that turns the worker
  /// itself, whose clock may stand still.
  void run_commands();

  // For commands, on the worker's own thread.
  [[nodiscard]] Connections& connections() { return *connections_; }
  [[nodiscard]] SlowPath& slow_path() { return slow_path_; }
  [[nodiscard]] const DropLog& drop_log() const { return drop_log_; }
  [[nodiscard]] const Snapshot* policy() const { return policy_; }
  [[nodiscard]] Nanos now() const { return now_; }
  [[nodiscard]] std::uint16_t id() const { return config_.tracking.worker; }
  /// Shows the worker's packets to a tap from now on; null: to none any more.
  void set_tap(CaptureTap* tap) { transmitter_.set_tap(tap); }
  /// Lets another DPDK device with one queue pair take a port's place; it stays the caller's.
  void replug(std::uint16_t port, std::uint16_t ethdev) { ports_[port].ethdev = ethdev; }
  /// Puts a frame on a port as if the switch had made it; takes ownership.
  void inject(std::uint16_t port, rte_mbuf* packet);
  /// Sends a frame of the switch's own to an address of a VPC, wherever that is: the way there is
  /// put around it. \param tuple of the packet in the frame, which has an Ethernet header. Nothing
  /// is sent if nobody has the address.
  void originate(std::uint16_t vpc, const IpTuple& tuple, std::span<const std::uint8_t> frame);

  /// Takes what the worker has to tell the control thread, which alone may call this.
  /// \return how many have been taken.
  [[nodiscard]] unsigned read_news(std::span<News> news);

  // For everybody.
  [[nodiscard]] const WorkerStats& stats() const { return stats_; }
  /// Generation that all of the worker's connections conform to.
  [[nodiscard]] std::uint32_t conforming_generation() const {
    return conforming_generation_.load(std::memory_order_acquire);
  }

 private:
  static void put_news(void* outlet, const News& news);
  static void lose_news(void* outlet);

  Worker(const WorkerConfig& config, std::span<const PortContext> ports,
         std::unique_ptr<Connections> connections, const Clock& clock, Shared& shared,
         rte_ring* commands, rte_ring* news);

  void take_policy(const Snapshot* in_force);
  void look_at_clock();
  template <typename Steps>
  bool turn(Steps& steps);
  template <typename Steps>
  unsigned receive(Steps& steps);
  // \return the bytes of the packets as they came in.
  template <typename Steps>
  std::uint64_t forward(PortContext& port, rte_mbuf** packets, unsigned count, HandOver came,
                        Steps& steps);
  unsigned read_mail();
  void read_messages(const Message* messages, unsigned count);
  void keep_house();
  void ask_neighbors();
  void idle(bool has_moved);

  WorkerConfig config_;
  Shared& shared_;
  Clock clock_;
  WorkerStats stats_;
  DropLog drop_log_;
  std::vector<PortContext> ports_;
  std::unique_ptr<Connections> connections_;
  std::unique_ptr<OffloadDesk> desk_;  // Null: there is no card.
  Transmitter transmitter_;
  struct NewsOutlet {
    rte_ring* ring;
    Counter& lost;
  };
  NewsOutlet news_;  // The slow path's; before it.
  SlowPath slow_path_;
  ArpQueue arp_queue_;
  FastPath fast_path_;
  SlowStage slow_stage_;

  const Snapshot* policy_ = nullptr;
  std::uint32_t taken_generation_ = 0;
  std::uint32_t marked_generation_ = 0;  // That the offload thread has been told of.
  Nanos now_ = 0;
  Nanos next_housekeeping_ = 0;
  Nanos next_neighbor_run_ = 0;
  Nanos idle_since_ = 0;
  bool is_idle_ = false;
  unsigned idle_turns_ = 0;  // In a row, and the one that is on; 0: the time is not known.
  rte_ring* commands_;
  WorkerCommand* current_command_ = nullptr;
  std::atomic<std::uint32_t> conforming_generation_{0};
};

}  // namespace gannet::dataplane
