// SPDX-License-Identifier: BSD-3-Clause
// All AGE actions of a card in one array, so that the ASIC thread can look at them in a row, and
// the lists of those that have aged, by port.
#pragma once

#include "flows/emudpu/rule.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace gannet::emudpu {

class AgeStore {
 public:
  explicit AgeStore(std::size_t ports) : aged_(ports) {}

  /// Control threads, under the card's lock. Null if there are too many.
  [[nodiscard]] Age* take(std::uint16_t port, Nanos timeout, Nanos now);
  /// The caller has made sure that the ASIC thread no longer uses it.
  void release(Age* age);
  /// Counts from `now` anew, as if a packet had come.
  void touch(Age* age, Nanos now);

  /// Looks at up to `limit` actions, going on where the last call ended. ASIC thread.
  /// \param loses  asked for each that ages whether its event gets lost
  /// \return a bit for each port that has to be told
  template <typename F>
  [[nodiscard]] std::uint64_t scan(Nanos now, std::uint32_t limit, F loses) {
    std::uint64_t told = 0;
    const std::uint32_t count = high_water_.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < std::min(limit, count); ++i) {
      if (next_ >= count) next_ = 0;
      Age& age = at(next_++);
      if (is_due(age, now)) told |= expire(age, now, loses());
    }
    return told;
  }

  /// rte_flow_get_aged_flows(): contexts of those that aged and were not reported yet; with no
  /// room, only their number.
  [[nodiscard]] int collect(std::uint16_t port, void** contexts, std::uint32_t room, Nanos now);

 private:
  static constexpr std::uint32_t kChunk = 4096;
  static constexpr std::uint32_t kMaxChunks = 4096;

  struct Entry {
    Age* age;
    std::uint32_t serial;
  };
  struct PortList {
    std::deque<Entry> entries;
    bool is_told = false;  // Since the last collect().
  };

  [[nodiscard]] Age& at(std::uint32_t index) {
    return chunks_[index / kChunk].load(std::memory_order_relaxed)[index % kChunk];
  }
  [[nodiscard]] static bool is_idle(const Age& age, Nanos now) {
    const Nanos timeout = age.timeout.load(std::memory_order_relaxed);
    const Nanos last = age.last_hit.load(std::memory_order_relaxed);
    return timeout != 0 && now > last && now - last >= timeout;
  }
  // Armed and idle, or reported and hit since.
  [[nodiscard]] static bool is_due(const Age& age, Nanos now) {
    const AgeStatus status = age.status.load(std::memory_order_relaxed);
    if (status == AgeStatus::kArmed) return is_idle(age, now);
    return (status == AgeStatus::kReported || status == AgeStatus::kLost) && !is_idle(age, now);
  }
  [[nodiscard]] std::uint64_t expire(Age& age, Nanos now, bool is_lost);

  std::array<std::atomic<Age*>, kMaxChunks> chunks_{};
  std::vector<std::unique_ptr<Age[]>> owned_;
  std::vector<Age*> free_;
  std::atomic<std::uint32_t> high_water_{0};
  std::uint32_t next_ = 0;  // ASIC thread only.
  std::mutex lists_;        // Guards `aged_` and changes of status.
  std::vector<PortList> aged_;
};

}  // namespace gannet::emudpu
