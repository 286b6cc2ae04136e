// SPDX-License-Identifier: BSD-3-Clause
// Faults on demand, by devargs and at run time. Each is a number; 0 switches it off. Control
// threads set and use them under the card's lock, but for lost ageing events, which the ASIC thread
// asks for.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace gannet::emudpu {

class Faults {
 public:
  /// Sets one by name: full (0/1), insert_every (each Nth), insert_percent, errno (number or name),
  /// slow_us, destroy_every, destroy_percent, lost_aged_percent, wrong (how many of the next rules
  /// are silently wrong), wrong_after (how many before these are right), seed. \return false if
  /// there is no such name or value
  [[nodiscard]] bool set(std::string_view name, std::string_view value);
  void clear();

  /// What an insertion fails with, or 0.
  [[nodiscard]] int insertion();
  [[nodiscard]] int destruction();
  [[nodiscard]] bool is_full() const { return full_ != 0; }
  [[nodiscard]] bool is_next_rule_wrong();
  [[nodiscard]] bool loses_aged();
  [[nodiscard]] std::uint64_t slow_ns() const { return std::uint64_t{slow_us_} * 1000; }

  [[nodiscard]] std::uint64_t injected() const { return injected_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] static bool draw(std::uint64_t& state, unsigned percent);

  unsigned full_ = 0;
  unsigned insert_every_ = 0;
  unsigned insert_percent_ = 0;
  unsigned errno_ = 0;
  unsigned slow_us_ = 0;
  unsigned destroy_every_ = 0;
  unsigned destroy_percent_ = 0;
  unsigned wrong_ = 0;
  unsigned wrong_after_ = 0;
  unsigned inserts_ = 0;
  unsigned destroys_ = 0;
  std::uint64_t random_ = 1;
  std::uint64_t asic_random_ = 1;  // ASIC thread only.
  std::atomic<unsigned> lost_aged_percent_{0};
  std::atomic<std::uint64_t> injected_{0};
};

}  // namespace gannet::emudpu
