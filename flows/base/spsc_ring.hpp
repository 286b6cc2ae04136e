// SPDX-License-Identifier: BSD-3-Clause
// A bounded queue between two threads, one that puts and one that takes, for code that must not
// know DPDK. Neither side ever waits: a full queue is an answer. Memory is taken once, at the
// start.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace gannet {

template <typename T>
requires std::is_trivially_copyable_v<T>
class SpscRing {
 public:
  /// \param capacity at least; rounded up to a power of two.
  explicit SpscRing(std::size_t capacity)
      : mask_(std::bit_ceil(capacity) - 1),
        items_(std::make_unique_for_overwrite<T[]>(mask_ + 1)) {}

  /// The putting thread only. \return false if the queue is full.
  [[nodiscard]] bool try_push(const T& item) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - known_head_ > mask_) {
      known_head_ = head_.load(std::memory_order_acquire);  // Partner: release in try_pop.
      if (tail - known_head_ > mask_) return false;
    }
    items_[tail & mask_] = item;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// The taking thread only. \return false if the queue is empty.
  [[nodiscard]] bool try_pop(T& item) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == known_tail_) {
      known_tail_ = tail_.load(std::memory_order_acquire);  // Partner: release in try_push.
      if (head == known_tail_) return false;
    }
    item = items_[head & mask_];
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  /// How many items are waiting; exact only if both sides rest.
  [[nodiscard]] std::size_t size() const {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::size_t capacity() const { return mask_ + 1; }

 private:
  const std::size_t mask_;
  std::unique_ptr<T[]> items_;
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t known_head_ = 0;  // Of the putting thread.
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t known_tail_ = 0;  // Of the taking thread.
};

}  // namespace gannet
