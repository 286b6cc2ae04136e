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
  // All three are read-modify-writes of one word, so they have an order: either the writer's comes
  // first, and the ASIC thread's acquires what was unlinked before it, or the writer sees the odd
  // number.

  /// ASIC thread: from here on, rules and tables found stay valid until leave().
  void enter() { sequence_.fetch_add(1, std::memory_order_acq_rel); }
  void leave() { sequence_.fetch_add(1, std::memory_order_acq_rel); }

  /// Control threads, after unlinking something: returns when the ASIC thread can no longer hold
  /// it. Must not be called by the ASIC thread inside of enter() and leave().
  void wait_for_reader() {
    const std::uint64_t seen = sequence_.fetch_add(0, std::memory_order_acq_rel);
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
