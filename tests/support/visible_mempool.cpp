// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/visible_mempool.hpp"

#include "flows/base/check.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>

#include <rte_ethdev.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_ring.h>

namespace gannet::test {
namespace {

constexpr const char* kName = "visible_ring";

// Everybody adds before handing over and loads after taking over: since additions form a release
// sequence, a load orders what it follows behind every addition that it sees.
std::atomic<std::uint64_t> handed_over{0};

rte_ring* ring_of(const rte_mempool* pool) { return static_cast<rte_ring*>(pool->pool_data); }

// Relaxed tails: the tests have more threads than cores, and in a plain ring all others spin while
// one is preempted within an operation.
int allocate(rte_mempool* pool) {
  rte_ring* const ring = rte_ring_create(pool->name, rte_align32pow2(pool->size + 1),
                                         pool->socket_id, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
  if (ring == nullptr) return -rte_errno;
  pool->pool_data = ring;
  return 0;
}

void release(rte_mempool* pool) { rte_ring_free(ring_of(pool)); }

int enqueue(rte_mempool* pool, void* const* objects, unsigned count) {
  before_enqueue();
  return rte_ring_enqueue_bulk(ring_of(pool), objects, count, nullptr) == 0 ? -ENOBUFS : 0;
}

int dequeue(rte_mempool* pool, void** objects, unsigned count) {
  const unsigned taken = rte_ring_dequeue_bulk(ring_of(pool), objects, count, nullptr);
  after_dequeue();
  return taken == 0 ? -ENOBUFS : 0;
}

unsigned count_of(const rte_mempool* pool) { return rte_ring_count(ring_of(pool)); }

std::uint16_t on_receive(std::uint16_t, std::uint16_t, rte_mbuf**, std::uint16_t count,
                         std::uint16_t, void*) {
  after_dequeue();
  return count;
}

std::uint16_t on_transmit(std::uint16_t, std::uint16_t, rte_mbuf**, std::uint16_t count, void*) {
  before_enqueue();
  return count;
}

}  // namespace

void before_enqueue() { handed_over.fetch_add(1, std::memory_order_acq_rel); }
void after_dequeue() { (void)handed_over.load(std::memory_order_acquire); }

void use_visible_mempool() {
  rte_mempool_ops ops{};
  std::strncpy(ops.name, kName, sizeof ops.name - 1);
  ops.alloc = allocate;
  ops.free = release;
  ops.enqueue = enqueue;
  ops.dequeue = dequeue;
  ops.get_count = count_of;
  GANNET_CHECK(rte_mempool_register_ops(&ops) >= 0);
  GANNET_CHECK(rte_mbuf_set_user_mempool_ops(kName) == 0);
}

void make_port_visible(std::uint16_t ethdev) {
  GANNET_CHECK(rte_eth_add_rx_callback(ethdev, 0, on_receive, nullptr) != nullptr);
  GANNET_CHECK(rte_eth_add_tx_callback(ethdev, 0, on_transmit, nullptr) != nullptr);
}

}  // namespace gannet::test
