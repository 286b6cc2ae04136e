// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/asic.hpp"

#include "flows/emudpu/templates.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

#include <pthread.h>
#include <sys/prctl.h>

#include <ethdev_driver.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

namespace gannet::emudpu {
namespace {

constexpr Nanos kHousekeepingInterval = kNanosPerMilli;
// Looked at in one round: a million in some 0.1 s.
constexpr std::uint32_t kAgesPerRound = 8192;
// Empty rounds before the thread starts to sleep, and how long it then sleeps.
constexpr unsigned kPatience = 200;
constexpr long kSleepNs = 50'000;

Nanos read_clock() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<Nanos>(now.tv_sec) * kNanosPerSecond + static_cast<Nanos>(now.tv_nsec);
}

}  // namespace

Asic::Asic(Card& card, rte_mempool* pool)
    : card_(card), pool_(pool), executor_(*this, pool), buffers_(card.ports().size()) {
  if (!card.config().is_manual) now_.store(read_clock(), std::memory_order_relaxed);
}

Asic::~Asic() { stop(); }

void Asic::start() {
  if (card_.config().is_manual || thread_.joinable()) return;
  runs_.store(true);
  thread_ = std::thread([this] { loop(); });
  pthread_setname_np(thread_.native_handle(), "emudpu-asic");
  if (card_.config().core >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(card_.config().core, &cpus);
    pthread_setaffinity_np(thread_.native_handle(), sizeof cpus, &cpus);
  }
}

void Asic::stop() {
  if (!thread_.joinable()) return;
  runs_.store(false);
  thread_.join();
}

void Asic::loop() {
  // An id of its own gives the thread caches in the mempools; without one it works, more slowly.
  const bool is_registered = rte_thread_register() == 0;
  prctl(PR_SET_TIMERSLACK, 1'000);
  unsigned idle_rounds = 0;
  while (runs_.load(std::memory_order_relaxed)) {
    if (pause_wanted_.load(std::memory_order_acquire)) {
      is_paused_.store(true, std::memory_order_release);
      const timespec nap{0, 20'000};
      nanosleep(&nap, nullptr);
      continue;
    }
    idle_rounds = poll(read_clock()) != 0 ? 0 : idle_rounds + 1;
    if (card_.config().spins || idle_rounds < kPatience) continue;
    const timespec nap{0, kSleepNs};
    nanosleep(&nap, nullptr);
  }
  is_paused_.store(true, std::memory_order_release);
  if (is_registered) rte_thread_unregister();
}

void Asic::pause() {
  // From a callback on the thread itself there is nothing to wait for.
  if (!thread_.joinable() || std::this_thread::get_id() == thread_.get_id()) return;
  is_paused_.store(false, std::memory_order_relaxed);
  pause_wanted_.store(true, std::memory_order_release);
  while (!is_paused_.load(std::memory_order_acquire)) {
    const timespec nap{0, 20'000};
    nanosleep(&nap, nullptr);
  }
}

void Asic::resume() {
  if (!thread_.joinable()) return;
  pause_wanted_.store(false, std::memory_order_release);
}

unsigned Asic::poll(Nanos now) {
  now_.store(now, std::memory_order_relaxed);
  executor_.set_time(now);
  const unsigned count = poll_wires() + poll_representors();
  const auto port_count = static_cast<std::uint16_t>(buffers_.size());
  for (std::uint16_t port = 0; port < port_count; ++port) flush(port);
  if (now >= next_housekeeping_ || card_.config().is_manual) keep_house(now);
  return count;
}

unsigned Asic::poll_wires() {
  unsigned total = 0;
  for (const auto& port : card_.ports()) {
    if (port->wire_id == kNoPort) continue;
    rte_mbuf* packets[kBurst];
    const unsigned count = rte_eth_rx_burst(port->wire_id, 0, packets, kBurst);
    if (count == 0) continue;
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < count; ++i) bytes += packets[i]->pkt_len;
    port->counters.received.add(count, bytes);
    process(packets, count, port->index);
    total += count;
  }
  return total;
}

unsigned Asic::poll_representors() {
  unsigned total = 0;
  for (const auto& port : card_.ports()) {
    if (!port->is_started) continue;
    for (unsigned i = 0; i < port->tx_count; ++i) {
      rte_mbuf* packets[kBurst];
      const unsigned count = rte_ring_sc_dequeue_burst(
          port->tx[i]->ring, reinterpret_cast<void**>(packets), kBurst, nullptr);
      if (count == 0) continue;
      process(packets, count, static_cast<Source>(port->index | kFromProgram));
      total += count;
    }
  }
  return total;
}

void Asic::process(rte_mbuf** packets, unsigned count, Source source) {
  for (unsigned i = 0; i < count; ++i) rte_prefetch0(rte_pktmbuf_mtod(packets[i], void*));
  Epoch& epoch = card_.epoch();
  epoch.enter();
  const GroupTable& root = card_.transfer_root();
  const bool is_quiet = root.is_empty() && (source & kFromProgram) != 0;
  for (unsigned i = 0; i < count; ++i) {
    ParsedPacket& parsed = parsed_[i];
    parsed.key.source = source;
    parse_packet(rte_pktmbuf_mtod(packets[i], const std::uint8_t*), packets[i]->data_len,
                 packets[i]->pkt_len, executor_.vxlan_ports(), parsed);
    note_checksums(*packets[i], parsed);
    if (!is_quiet) root.prefetch(parsed.key);
  }
  WireCounters& counters = card_.ports()[source & ~kFromProgram]->counters;
  std::uint64_t forwarded = 0;
  std::uint64_t forwarded_bytes = 0;
  for (unsigned i = 0; i < count; ++i) {
    const std::uint32_t bytes = packets[i]->pkt_len;
    if (!executor_.run(packets[i], parsed_[i], root, card_.port_tables().data())) continue;
    ++forwarded;
    forwarded_bytes += bytes;
  }
  epoch.leave();
  if (forwarded != 0) counters.forwarded.add(forwarded, forwarded_bytes);
}

void Asic::to_wire(std::uint16_t port, rte_mbuf* packet) {
  WireBuffer& buffer = buffers_[port];
  if (buffer.count == kBurst) flush(port);
  buffer.packets[buffer.count++] = packet;
}

void Asic::flush(std::uint16_t port) {
  WireBuffer& buffer = buffers_[port];
  if (buffer.count == 0) return;
  Port& to = *card_.ports()[port];
  std::uint32_t sizes[kBurst];
  for (unsigned i = 0; i < buffer.count; ++i) sizes[i] = buffer.packets[i]->pkt_len;
  const unsigned sent = to.wire_id == kNoPort
                            ? 0
                            : rte_eth_tx_burst(to.wire_id, 0, buffer.packets,
                                               static_cast<std::uint16_t>(buffer.count));
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < sent; ++i) bytes += sizes[i];
  to.counters.sent.add(sent, bytes);
  if (sent < buffer.count) {
    to.counters.send_failures.fetch_add(buffer.count - sent, std::memory_order_relaxed);
    rte_pktmbuf_free_bulk(buffer.packets + sent, buffer.count - sent);
  }
  buffer.count = 0;
}

// The program's buffers have a layout of their own (private area, headroom): the packet is copied
// to one, as a card's DMA does.
rte_mbuf* Asic::copy_for(const RxQueue& queue, const rte_mbuf* packet) const {
  rte_mbuf* copy = rte_pktmbuf_alloc(queue.pool);
  if (copy == nullptr) return nullptr;
  if (packet->nb_segs == 1 && packet->data_len <= rte_pktmbuf_tailroom(copy)) {
    std::memcpy(rte_pktmbuf_mtod(copy, void*), rte_pktmbuf_mtod(packet, const void*),
                packet->data_len);
    copy->data_len = packet->data_len;
    copy->pkt_len = packet->data_len;
  } else {
    rte_pktmbuf_free(copy);
    copy = rte_pktmbuf_copy(packet, queue.pool, 0, UINT32_MAX);
    if (copy == nullptr) return nullptr;
  }
  copy->ol_flags =
      packet->ol_flags & (RTE_MBUF_F_RX_FDIR | RTE_MBUF_F_RX_FDIR_ID | RTE_MBUF_F_RX_IP_CKSUM_MASK |
                          RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD |
                          RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK);
  copy->hash.fdir.hi = packet->hash.fdir.hi;
  copy->port = queue.port_id;
  return copy;
}

void Asic::to_program(std::uint16_t port, int queue, rte_mbuf* packet, const ParsedPacket& parsed) {
  Port& to = *card_.ports()[port];
  to.counters.to_software.add(1, packet->pkt_len);
  if (!to.is_started || to.rx_count == 0) {
    to.counters.unheard.fetch_add(1, std::memory_order_relaxed);
    rte_pktmbuf_free(packet);
    return;
  }
  const std::uint32_t hash = to.rx_count > 1 ? hash_flow(parsed) : 0;
  RxQueue& receiver =
      *to.rx[queue == kAnyQueue ? hash % to.rx_count : static_cast<unsigned>(queue)];
  rte_mbuf* const copy = copy_for(receiver, packet);
  rte_pktmbuf_free(packet);
  if (copy == nullptr) {
    receiver.without_buffer.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (to.rx_count > 1) {
    copy->hash.rss = hash;
    copy->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
  }
  if (rte_ring_sp_enqueue(receiver.ring, copy) != 0) {
    receiver.missed.fetch_add(1, std::memory_order_relaxed);
    rte_pktmbuf_free(copy);
  }
}

void Asic::drop(std::uint16_t port, DropCause cause, rte_mbuf* packet) {
  card_.ports()[port]->counters.drops[static_cast<unsigned>(cause)].fetch_add(
      1, std::memory_order_relaxed);
  rte_pktmbuf_free(packet);
}

void Asic::keep_house(Nanos now) {
  next_housekeeping_ = now + kHousekeepingInterval;
  const std::uint32_t limit = card_.config().is_manual ? ~0u : kAgesPerRound;
  Faults& faults = card_.faults();
  std::uint64_t told = card_.ages().scan(now, limit, [&faults] { return faults.loses_aged(); });
  for (; told != 0; told &= told - 1) {
    const auto index = static_cast<std::size_t>(std::countr_zero(told));
    rte_eth_dev_callback_process(&rte_eth_devices[card_.ports()[index]->port_id],
                                 RTE_ETH_EVENT_FLOW_AGED, nullptr);
  }
  if (card_.lock().try_lock()) {
    card_.templates().run_due(now);
    card_.lock().unlock();
  }
}

}  // namespace gannet::emudpu
