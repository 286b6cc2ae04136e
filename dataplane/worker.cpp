// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.hpp"

#include <algorithm>
#include <ctime>
#include <string>

#include <rte_ethdev.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring_elem.h>

namespace gannet::dataplane {
namespace {

constexpr unsigned kMessagesPerTurn = FastPath::kBurst;
// A look at the clock takes as long as that at a port: turns that find nothing do without, mostly.
constexpr unsigned kIdleTurnsPerLook = 8;
constexpr unsigned kCommandSlots = 64;
constexpr unsigned kNewsSlots = 1'024;
constexpr Nanos kHousekeepingEvery = 100'000;  // Between two turns of age and sweep.
constexpr Nanos kNeighborRunEvery = 100 * kNanosPerMilli;
// Of each housekeeping turn, so that packets never wait for more than some 20 us.
constexpr unsigned kAnswerBudget = 256;  // Of the offload thread, each turn of the loop.
constexpr unsigned kAgeBudget = 256;
constexpr unsigned kSweepBudget = 512;
constexpr std::uint32_t kNeighborBudget = 256;
constexpr unsigned kCheckBudget = 4;  // A million connections in half a minute.
// Adaptive idling: pause, then sleep a little, then longer. Waking up costs the kernel's timer
// slack.
constexpr Nanos kSpinBeforeSleep = 50'000;
constexpr Nanos kShortSleepUntil = 10 * kNanosPerMilli;
constexpr long kShortSleepNs = 10'000;
constexpr long kLongSleepNs = 250'000;

bool send_mail(void* context, std::uint16_t to, const Message& message) {
  auto& shared = *static_cast<Shared*>(context);
  rte_ring* const ring = shared.mail[to * shared.worker_count + message.from];
  return rte_ring_sp_enqueue_elem(ring, const_cast<Message*>(&message), sizeof message) == 0;
}

bool send_notice(void* context, std::uint16_t to, const Notice& notice) {
  auto& shared = *static_cast<Shared*>(context);
  rte_ring* const ring = shared.notices[to * shared.worker_count + notice.from];
  return rte_ring_sp_enqueue_elem(ring, const_cast<Notice*>(&notice), sizeof notice) == 0;
}

unsigned take_notices(void* context, std::uint16_t worker, std::uint16_t from, Notice* notices,
                      unsigned most) {
  auto& shared = *static_cast<Shared*>(context);
  rte_ring* const ring = shared.notices[worker * shared.worker_count + from];
  return rte_ring_sc_dequeue_burst_elem(ring, notices, sizeof(Notice), most, nullptr);
}

void sleep_ns(long ns) {
  const timespec duration{0, ns};
  nanosleep(&duration, nullptr);
}

}  // namespace

Mailbox mailbox_of(Shared& shared) { return {&shared, &send_mail, &send_notice, &take_notices}; }

Result<std::unique_ptr<Worker>> Worker::create(const WorkerConfig& config,
                                               std::span<const PortContext> ports,
                                               const flows::HashSeed& seed, const Clock& clock,
                                               Shared& shared) {
  auto connections = Connections::create(config.tracking, seed, clock.now(), mailbox_of(shared));
  if (!connections) return tl::unexpected(connections.error());
  static std::atomic<unsigned> count{
      0};  // DPDK's names are for the process, which may have several.
  const std::string number = std::to_string(count.fetch_add(1));
  rte_ring* const commands = rte_ring_create(("commands" + number).c_str(), kCommandSlots,
                                             SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  rte_ring* const news = rte_ring_create_elem(("news" + number).c_str(), sizeof(News), kNewsSlots,
                                              SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (commands == nullptr || news == nullptr) {
    rte_ring_free(commands);
    rte_ring_free(news);
    return fail("no memory for a worker's rings: raise memory.size");
  }
  return std::unique_ptr<Worker>(
      new Worker(config, ports, std::move(*connections), clock, shared, commands, news));
}

Worker::Worker(const WorkerConfig& config, std::span<const PortContext> ports,
               std::unique_ptr<Connections> connections, const Clock& clock, Shared& shared,
               rte_ring* commands, rte_ring* news)
    : config_(config),
      shared_(shared),
      clock_(clock),
      stats_(ports.size()),
      ports_(ports.begin(), ports.end()),
      connections_(std::move(connections)),
      transmitter_(ports_, config.tracking.worker, mailbox_of(shared)),
      news_{news, stats_.path.lost_news},
      slow_path_(*connections_, shared.neighbors, {&news_, &put_news, &lose_news}),
      arp_queue_(ports.size()),
      fast_path_(*connections_, shared.neighbors, arp_queue_, transmitter_, stats_.path, drop_log_),
      slow_stage_({config.tracking.worker, config.tracking.worker_count, config.fragment_timeout,
                   config.max_fragments, shared.pool},
                  slow_path_, shared.neighbors, arp_queue_, ports_, transmitter_, stats_.path,
                  drop_log_),
      commands_(commands) {
  for (PortContext& port : ports_) port.counters = &stats_.ports[port.index];
  if (config.offload != nullptr) {
    desk_ =
        std::make_unique<OffloadDesk>(*config.offload, *config.exchange, shared.neighbors, stats_);
    connections_->set_offload(desk_.get());
  }
  config_.offload = nullptr;
  stats_.connection_capacity.store(connections_->v4().capacity(), std::memory_order_relaxed);
}

Worker::~Worker() {
  rte_ring_free(commands_);
  rte_ring_free(news_.ring);
}

void Worker::run() {
  rte_rcu_qsbr_thread_register(shared_.rcu, id());
  rte_rcu_qsbr_thread_online(shared_.rcu, id());
  while (!shared_.is_stopping.load(std::memory_order_relaxed)) {
    const bool has_moved = poll();
    rte_rcu_qsbr_quiescent(shared_.rcu, id());
    if (config_.idle == Idle::kAdaptive) idle(has_moved);
  }
  rte_rcu_qsbr_thread_offline(shared_.rcu, id());
  rte_rcu_qsbr_thread_unregister(shared_.rcu, id());
}

template <typename Steps>
std::uint64_t Worker::forward(PortContext& port, rte_mbuf** packets, unsigned count, HandOver came,
                              Steps& steps) {
  return fast_path_.process(
      {port, packets, count, came, *policy_, now_}, steps,
      [&](rte_mbuf* packet) { slow_stage_.process(port.index, packet, came, *policy_, now_); });
}

template <typename Steps>
[[gnu::always_inline]] inline unsigned Worker::receive(Steps& steps) {
  unsigned total = 0;
  for (PortContext& port : ports_) {
    if (!port.has_queue) continue;
    rte_mbuf* packets[FastPath::kBurst];
    const unsigned count = rte_eth_rx_burst(port.ethdev, port.queue, packets, FastPath::kBurst);
    if (count == 0) continue;
    // While the packets are on their way from another core it costs nothing.
    if (total == 0) look_at_clock();
    total += count;
    if (transmitter_.tap() != nullptr) [[unlikely]] {
      transmitter_.tap()->see(port.index, CaptureSide::kReceived, packets, count, now_);
    }
    steps.end(LoopStep::kReceive);
    port.counters->rx_packets.add(count);
    port.counters->rx_bytes.add(forward(port, packets, count, HandOver::kNone, steps));
    transmitter_.flush();
    steps.end(LoopStep::kTransmit);
  }
  return total;
}

template <typename Steps>
[[gnu::always_inline]] inline bool Worker::turn(Steps& steps) {
  if (idle_turns_ % kIdleTurnsPerLook == 0 || clock_.is_manual()) look_at_clock();
  const Snapshot* const in_force = shared_.policy.load(std::memory_order_acquire);
  if (in_force == nullptr) return false;
  // The address alone would not do: a freed snapshot's may be used again.
  if (policy_ != in_force || taken_generation_ != in_force->generation) take_policy(in_force);
  if (slow_stage_.has_work()) slow_stage_.run(*policy_, now_);
  steps.end(LoopStep::kRest);
  unsigned received = receive(steps);
  if (shared_.worker_count > 1) received += read_mail();
  transmitter_.flush();
  const unsigned answers =
      desk_ == nullptr ? 0 : connections_->read_offload_answers(now_, kAnswerBudget);
  if (now_ >= next_housekeeping_) keep_house();
  stats_.path.polls.add(1);
  if (received == 0) {
    stats_.path.empty_polls.add(1);
    ++idle_turns_;
  } else {
    idle_turns_ = 1;  // Packets of the next turn look for themselves.
  }
  return received + answers != 0;
}

void Worker::look_at_clock() {
  now_ = clock_.now();
  transmitter_.set_time(now_);
}

bool Worker::poll() {
  NoSteps steps;
  return turn(steps);
}

bool Worker::poll(StepCycles& steps) { return turn(steps); }

// Readies the port contexts for a new snapshot.
void Worker::take_policy(const Snapshot* in_force) {
  policy_ = in_force;
  taken_generation_ = in_force->generation;
  for (PortContext& port : ports_) {
    const PortBinding& binding = policy_->ports[port.index];
    port.role = binding.role;
    port.zone = {};
    port.vpc = kNoIndex;
    port.bytes_per_second = 0;
    port.mac = ~std::uint64_t{0};  // No frame's.
    if (binding.role == PortRole::kUplink) {
      port.zone = {flows::ZoneKind::kUplink, 0};
      port.mac = policy_->underlay.mac.raw();
    } else if (const Eni* const eni = policy_->find_eni(binding.eni)) {
      port.zone = {flows::ZoneKind::kEni, binding.eni};
      port.vpc = eni->vpc;
      port.mac = eni->mac.raw();
      port.bytes_per_second = eni->qos.bytes_per_second;
      port.bandwidth_burst = bandwidth_burst(port.bytes_per_second);
    } else {
      port.role = PortRole::kNone;
      port.refusal = binding.is_down ? DropReason::eni_down : DropReason::port_has_no_eni;
    }
  }
}

unsigned Worker::read_mail() {
  const unsigned notices = connections_->read_notices(to_ticks(now_));
  unsigned total = 0;
  for (unsigned from = 0; from < shared_.worker_count; ++from) {
    if (from == id()) continue;
    rte_ring* const ring = shared_.mail[id() * shared_.worker_count + from];
    Message messages[kMessagesPerTurn];
    const unsigned count =
        rte_ring_sc_dequeue_burst_elem(ring, messages, sizeof(Message), kMessagesPerTurn, nullptr);
    if (count != 0 && total == 0) look_at_clock();
    // Whoever sent these may have said something of their connections before.
    if (count != 0) connections_->read_notices(to_ticks(now_));
    read_messages(messages, count);
    total += count;
  }
  return notices + total;
}

// In order; packets that came in by one port, and on to here in one way, are worked on together.
void Worker::read_messages(const Message* messages, unsigned count) {
  for (unsigned i = 0; i < count;) {
    if (messages[i].kind != MessageKind::kIngress) {
      const Message& m = messages[i++];
      transmitter_.send(m.port, m.packet, m.ingress_port, now_);
      continue;
    }
    const std::uint16_t port = messages[i].ingress_port;
    const HandOver came = messages[i].came;
    rte_mbuf* packets[FastPath::kBurst];
    unsigned packet_count = 0;
    while (i < count && messages[i].kind == MessageKind::kIngress &&
           messages[i].ingress_port == port && messages[i].came == came) {
      packets[packet_count++] = messages[i++].packet;
    }
    ports_[port].counters->taken_over_packets.add(packet_count);
    NoSteps steps;
    forward(ports_[port], packets, packet_count, came, steps);
  }
}

void Worker::keep_house() {
  next_housekeeping_ = now_ + kHousekeepingEvery;
  const Ticks ticks = to_ticks(now_);
  connections_->age(ticks, kAgeBudget);
  if (connections_->sweep(*policy_, ticks, kSweepBudget)) {
    conforming_generation_.store(policy_->generation, std::memory_order_release);
    const bool is_news = desk_ != nullptr && marked_generation_ != policy_->generation;
    if (is_news && desk_->mark_generation(policy_->generation)) {
      marked_generation_ = policy_->generation;
    }
  }
  if (desk_ != nullptr) connections_->check_offload(kCheckBudget);
  run_commands();
  if (id() == 0 && now_ >= next_neighbor_run_) ask_neighbors();
  const auto& v4 = connections_->v4();
  const auto& v6 = connections_->v6();
  stats_.connections.store(connections_->connection_total(), std::memory_order_relaxed);
  stats_.connection_high_water.store(v4.high_water() + v6.high_water(), std::memory_order_relaxed);
  stats_.evicted.store(connections_->evicted_count(), std::memory_order_relaxed);
  stats_.reevaluated.store(connections_->reevaluated_count(), std::memory_order_relaxed);
  stats_.adopted.store(connections_->adopted_count(), std::memory_order_relaxed);
  stats_.nat_mappings.store(connections_->mappings().used_count(), std::memory_order_relaxed);
}

void Worker::ask_neighbors() {
  const Underlay& underlay = policy_->underlay;
  if (underlay.port == kNoIndex) return;
  const bool is_round_over =
      shared_.neighbors.run(to_ticks(now_), kNeighborBudget, [&](Ip4 ip, const Mac& known) {
        rte_mbuf* const packet = rte_pktmbuf_alloc(shared_.pool);
        if (packet == nullptr) return;
        constexpr std::size_t kBytes = sizeof(packet::EthernetHeader) + sizeof(packet::ArpHeader);
        auto* const frame = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(packet, kBytes));
        auto& ethernet = packet::header_at<packet::EthernetHeader>(frame);
        auto& arp = packet::header_at<packet::ArpHeader>(frame + sizeof ethernet);
        ethernet = {known.is_zero() ? kBroadcastMac : known, underlay.mac,
                    Be16(packet::kEtherTypeArp)};
        arp = {Be16(packet::kArpEthernet),
               Be16(packet::kEtherTypeIpv4),
               6,
               4,
               Be16(packet::kArpRequest),
               underlay.mac,
               underlay.vtep,
               known,
               ip};
        inject(underlay.port, packet);
      });
  if (is_round_over) next_neighbor_run_ = now_ + kNeighborRunEvery;
  transmitter_.flush();
}

void Worker::inject(std::uint16_t port, rte_mbuf* packet) {
  ports_[port].counters->originated_packets.add(1);
  transmitter_.send(port, packet, port, now_);
}

void Worker::originate(std::uint16_t vpc, const IpTuple& tuple,
                       std::span<const std::uint8_t> frame) {
  rte_mbuf* const packet = rte_pktmbuf_alloc(shared_.pool);
  if (packet == nullptr) return;
  char* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
  std::copy(frame.begin(), frame.end(), room);
  slow_stage_.originate(vpc, tuple, packet, *policy_, now_);
  transmitter_.flush();
}

void Worker::put_news(void* outlet, const News& news) {
  const auto& to = *static_cast<NewsOutlet*>(outlet);
  if (rte_ring_sp_enqueue_elem(to.ring, const_cast<News*>(&news), sizeof news) != 0) to.lost.add(1);
}

void Worker::lose_news(void* outlet) { static_cast<NewsOutlet*>(outlet)->lost.add(1); }

unsigned Worker::read_news(std::span<News> news) {
  return rte_ring_sc_dequeue_burst_elem(news_.ring, news.data(), sizeof(News),
                                        static_cast<unsigned>(news.size()), nullptr);
}

bool Worker::submit(WorkerCommand& command) {
  return rte_ring_sp_enqueue(commands_, &command) == 0;
}

void Worker::run_commands() {
  if (current_command_ == nullptr) {
    void* next = nullptr;
    if (rte_ring_sc_dequeue(commands_, &next) != 0) return;
    current_command_ = static_cast<WorkerCommand*>(next);
  }
  if (!current_command_->step(*this)) return;
  // The command may be gone the moment this is seen.
  WorkerCommand* const done = std::exchange(current_command_, nullptr);
  done->is_done.store(true, std::memory_order_release);
}

void Worker::idle(bool has_moved) {
  if (has_moved) {
    is_idle_ = false;
    return;
  }
  if (!is_idle_) {
    is_idle_ = true;
    idle_since_ = now_;
  }
  const Nanos idle_for = now_ - idle_since_;
  if (idle_for < kSpinBeforeSleep) {
    rte_pause();
  } else {
    sleep_ns(idle_for < kShortSleepUntil ? kShortSleepNs : kLongSleepNs);
    idle_turns_ = 0;
  }
}

}  // namespace gannet::dataplane
