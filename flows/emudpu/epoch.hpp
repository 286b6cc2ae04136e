// SPDX-License-Identifier: BSD-3-Clause
// Lets control threads take rules away under the ASIC thread. The ASIC thread is a reader only
// while it works on a burst; outside of that nobody waits for it, so that an idle or sleeping card
// costs a destroy nothing.
#pragma once

#include <atomic>
#include <cstdint>

#include <sched.h>

namespace gannet::emudpu {

class Epoch {
 public:
  /// ASIC thread: from here on, rules and tables found stay valid until leave().
  void enter() {
    sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    // Partner of the fence in wait_for_reader(): either the writer sees the odd number, or this
    // thread sees what the writer unlinked before.
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void leave() {
    sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// Control threads, after unlinking something: returns when the ASIC thread can no longer hold
  /// it. Must not be called by the ASIC thread inside of enter() and leave().
  void wait_for_reader() const {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint64_t seen = sequence_.load(std::memory_order_acquire);
    if (seen % 2 == 0) return;
    for (unsigned spins = 0; sequence_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < 200) {
        __builtin_ia32_pause();
      } else {
        sched_yield();  // The two may share a core.
      }
    }
  }

 private:
  alignas(64) std::atomic<std::uint64_t> sequence_{0};  // Odd: inside.
};

}  // namespace gannet::emudpu
