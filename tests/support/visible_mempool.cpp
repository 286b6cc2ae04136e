// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/visible_mempool.hpp"

#include "flows/base/check.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>

#include <rte_ethdev.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

namespace gannet::test {
namespace {

constexpr const char* kName = "visible_pool";

// Everybody adds before handing over and loads after taking over: since additions form a release
// sequence, a load orders what it follows behind every addition that it sees.
std::atomic<std::uint64_t> handed_over{0};

// The free objects, oldest first. Behind a lock whose waiters sleep: the tests have more threads
// than cores, and in a ring all others spin while one is preempted within an operation.
struct FreeObjects {
  std::mutex lock;
  std::deque<void*> objects;
};

FreeObjects& objects_of(const rte_mempool* pool) {
  return *static_cast<FreeObjects*>(pool->pool_data);
}

int allocate(rte_mempool* pool) {
  pool->pool_data = new FreeObjects;
  return 0;
}

void release(rte_mempool* pool) { delete &objects_of(pool); }

int enqueue(rte_mempool* pool, void* const* objects, unsigned count) {
  before_enqueue();
  FreeObjects& free = objects_of(pool);
  const std::lock_guard guard(free.lock);
  free.objects.insert(free.objects.end(), objects, objects + count);
  return 0;
}

int dequeue(rte_mempool* pool, void** objects, unsigned count) {
  FreeObjects& free = objects_of(pool);
  const std::lock_guard guard(free.lock);
  after_dequeue();
  if (free.objects.size() < count) return -ENOBUFS;
  const auto end = free.objects.begin() + count;
  std::copy(free.objects.begin(), end, objects);
  free.objects.erase(free.objects.begin(), end);
  return 0;
}

unsigned count_of(const rte_mempool* pool) {
  FreeObjects& free = objects_of(pool);
  const std::lock_guard guard(free.lock);
  return static_cast<unsigned>(free.objects.size());
}

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
