// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/dataplane.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>

#include <pthread.h>
#include <sys/random.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring_elem.h>

namespace gannet::dataplane {
namespace {

constexpr unsigned kMailSlots = 4'096;
constexpr unsigned kPoolCache = 256;
constexpr unsigned kFragmentShare = 4;  // Of the buffers: as many may wait for their packet.

flows::HashSeed random_seed() {
  flows::HashSeed seed{};
  GANNET_CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

// DPDK's names are for the process, which may have several dataplanes.
std::string unique_name(const char* stem) {
  static std::atomic<unsigned> count{0};
  return stem + std::to_string(count.fetch_add(1));
}

void pin_to(std::thread& thread, unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

}  // namespace

Result<std::unique_ptr<Dataplane>> Dataplane::create(const DataplaneConfig& config) {
  std::unique_ptr<Dataplane> dataplane(new Dataplane(config));
  if (const auto pool = dataplane->make_pool(); !pool) return tl::unexpected(pool.error());
  for (const PortConfig& port : config.ports) {
    auto opened =
        Port::open(port, static_cast<unsigned>(config.cores.size()), dataplane->shared_.pool);
    if (!opened) return tl::unexpected(opened.error());
    dataplane->ports_.push_back(std::move(*opened));
    dataplane->is_on_card_.push_back(port.is_on_card);
  }
  dataplane->assign_homes();
  if (const auto rings = dataplane->make_rings(); !rings) return tl::unexpected(rings.error());
  if (const auto made = dataplane->make_workers(); !made) return tl::unexpected(made.error());
  return dataplane;
}

Result<void> Dataplane::make_pool() {
  const unsigned room =
      std::max<unsigned>(RTE_MBUF_DEFAULT_DATAROOM,
                         config_.max_mtu + unsigned{packet::kVxlanOverIpv4Bytes} + 64) +
      RTE_PKTMBUF_HEADROOM;
  shared_.pool =
      rte_pktmbuf_pool_create(unique_name("packets").c_str(), config_.buffer_count, kPoolCache, 0,
                              static_cast<std::uint16_t>(room), SOCKET_ID_ANY);
  if (shared_.pool != nullptr) return {};
  return fail("no memory for " + std::to_string(config_.buffer_count) +
              " packet buffers: raise memory.size");
}

// Ports with one queue pair go round the workers; the uplink, which every VM shares, to the first.
void Dataplane::assign_homes() {
  const auto count = static_cast<std::uint16_t>(config_.cores.size());
  std::uint16_t next = 0;
  for (const PortConfig& port : config_.ports) {
    home_.push_back(port.is_uplink ? std::uint16_t{0} : static_cast<std::uint16_t>(next++ % count));
  }
}

Result<void> Dataplane::make_rings() {
  const auto count = static_cast<unsigned>(config_.cores.size());
  shared_.worker_count = count;
  shared_.rcu = static_cast<rte_rcu_qsbr*>(
      rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(count), RTE_CACHE_LINE_SIZE));
  if (shared_.rcu == nullptr) return fail("no memory for the RCU state: raise memory.size");
  rte_rcu_qsbr_init(shared_.rcu, count);
  const auto add_ring = [](std::vector<rte_ring*>& rings, std::size_t bytes, unsigned slots) {
    rte_ring* const ring =
        rte_ring_create_elem(unique_name("mail").c_str(), static_cast<unsigned>(bytes), slots,
                             SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring != nullptr) rings.push_back(ring);
    return ring != nullptr;
  };
  for (unsigned i = 0; i < count * count; ++i) {
    if (!add_ring(shared_.mail, sizeof(Message), kMailSlots) ||
        !add_ring(shared_.notices, sizeof(Notice), kNoticeSlots)) {
      return fail("no memory for the workers' rings: raise memory.size");
    }
  }
  return {};
}

std::vector<PortContext> Dataplane::contexts_of(unsigned worker) const {
  std::vector<PortContext> contexts(ports_.size());
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    PortContext& context = contexts[i];
    const bool is_shared = ports_[i].queue_count() > 1;
    context.index = static_cast<std::uint16_t>(i);
    context.ethdev = ports_[i].ethdev();
    context.has_queue = is_shared ? worker < ports_[i].queue_count() : worker == home_[i];
    context.queue = static_cast<std::uint16_t>(is_shared ? worker : 0);
    context.tx_worker =
        is_shared ? static_cast<std::uint16_t>(worker % ports_[i].queue_count()) : home_[i];
  }
  return contexts;
}

Result<void> Dataplane::make_workers() {
  const flows::HashSeed seed = config_.seed ? *config_.seed : random_seed();
  const auto count = static_cast<std::uint32_t>(config_.cores.size());
  for (std::uint16_t i = 0; i < count; ++i) {
    WorkerConfig config;
    config.tracking = config_.tracking;
    config.tracking.worker = i;
    config.tracking.worker_count = static_cast<std::uint16_t>(count);
    config.tracking.ip4_capacity =
        std::max((config_.tracking.ip4_capacity + count - 1) / count, 1u);
    config.tracking.ip6_capacity =
        std::max((config_.tracking.ip6_capacity + count - 1) / count, 1u);
    config.fragment_timeout = config_.fragment_timeout;
    config.max_fragments = std::max(config_.buffer_count / kFragmentShare / count, 1u);
    config.idle = config_.idle;
    config.core = config_.cores[i];
    OffloadDeskConfig desk;
    if (config_.offload) {
      const std::uint32_t share = std::max(config_.offload->max_rules / count, 1u);
      // A connection has two flows.
      const std::uint32_t most = 2 * (config.tracking.ip4_capacity + config.tracking.ip6_capacity);
      auto exchange = offload::Exchange::create(std::min(share, most));
      if (!exchange) return tl::unexpected(exchange.error());
      exchanges_.push_back(std::move(*exchange));
      desk = desk_config_of(config);
      config.offload = &desk;
      config.exchange = exchanges_.back().get();
    }
    auto worker = Worker::create(config, contexts_of(i), seed, config_.clock, shared_);
    if (!worker) return tl::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
  }
  return {};
}

OffloadDeskConfig Dataplane::desk_config_of(const WorkerConfig& worker) const {
  OffloadDeskConfig desk;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    desk.ethdevs.push_back(is_on_card_[i] ? ports_[i].ethdev() : OffloadDeskConfig::kNotOnCard);
  }
  desk.min_packets = config_.offload->min_packets;
  desk.is_strict_tcp = config_.offload->is_strict_tcp;
  desk.guard_ip_bytes = config_.offload->guard_ip_bytes;
  desk.ip4_capacity = worker.tracking.ip4_capacity;
  desk.ip6_capacity = worker.tracking.ip6_capacity;
  return desk;
}

std::vector<offload::Exchange*> Dataplane::exchanges() const {
  std::vector<offload::Exchange*> all;
  for (const auto& exchange : exchanges_) all.push_back(exchange.get());
  return all;
}

void Dataplane::start() {
  if (!config_.has_own_threads) return;
  for (unsigned i = 0; i < worker_count(); ++i) {
    threads_.emplace_back([worker = workers_[i].get()] {
      rte_thread_register();  // An lcore id of its own, for the buffer pool's cache.
      worker->run();
      rte_thread_unregister();
    });
    pin_to(threads_.back(), config_.cores[i]);
    pthread_setname_np(threads_.back().native_handle(), ("worker-" + std::to_string(i)).c_str());
  }
}

std::unique_ptr<const Snapshot> Dataplane::publish(std::unique_ptr<const Snapshot> policy) {
  shared_.policy.store(policy.get(), std::memory_order_release);
  // Not rte_rcu_qsbr_synchronize(), which does the same where the thread sanitizer does not see it.
  rte_rcu_qsbr_check(shared_.rcu, rte_rcu_qsbr_start(shared_.rcu), true);
  return std::exchange(policy_, std::move(policy));
}

void Dataplane::execute(unsigned worker, WorkerCommand& command) {
  command.is_done.store(false, std::memory_order_relaxed);
  const auto wait = [this, worker] {
    if (config_.has_own_threads) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    } else {
      workers_[worker]->poll();
      workers_[worker]->run_commands();
    }
  };
  while (!workers_[worker]->submit(command)) wait();
  while (!command.is_done.load(std::memory_order_acquire)) wait();
}

std::uint32_t Dataplane::conforming_generation() const {
  std::uint32_t lowest = ~std::uint32_t{0};
  for (const auto& worker : workers_) lowest = std::min(lowest, worker->conforming_generation());
  return lowest;
}

void Dataplane::stop() {
  shared_.is_stopping.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Dataplane::~Dataplane() {
  stop();
  // Packets on their way between workers have no other owner.
  for (rte_ring* const ring : shared_.mail) {
    Message message;
    while (rte_ring_sc_dequeue_elem(ring, &message, sizeof message) == 0) {
      rte_pktmbuf_free(message.packet);
    }
    rte_ring_free(ring);
  }
  for (rte_ring* const ring : shared_.notices) rte_ring_free(ring);
  workers_.clear();
  ports_.clear();
  rte_free(shared_.rcu);
  rte_mempool_free(shared_.pool);
}

}  // namespace gannet::dataplane
