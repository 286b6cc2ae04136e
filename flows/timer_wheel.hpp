// SPDX-License-Identifier: BSD-3-Clause
// A hierarchical timer wheel (Varghese and Lauck 1987, scheme 7) over records that are named by an
// index and carry their own links. Arming and disarming are O(1). It is meant to be used lazily: a
// record that is used again is not moved; when its slot comes due, the owner looks whether it has
// really expired and arms it anew if not.
// Owned by one worker.
#pragma once

#include "flows/base/time.hpp"
#include "flows/connection.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace gannet::flows {

/// Where a record hangs; lives in the record.
struct TimerPlace {
  Links& links;
  std::uint8_t& level;
  std::uint16_t& slot;
};

/// `Store` gives the record's place: `TimerPlace timer_place(std::uint32_t index)`.
template <typename Store>
class TimerWheel {
 public:
  TimerWheel(Store& store, Ticks now) : store_(store), now_(now / kTicksPerUnit) {
    for (auto& level : heads_) level.fill(kNoConnection);
  }

  /// Hangs record `index` so that it comes due at `deadline` or up to 9 ms later. What lies more
  /// than two seconds ahead comes due up to a slot of its level (2.1 s, 9.2 minutes) too early,
  /// what lies more than 39 hours ahead at the wheel's end; the lazy owner puts that right.
  void arm(std::uint32_t index, Ticks deadline) {
    // Modulo arithmetic on ticks first: units do not wrap at a power of two.
    const std::uint32_t now_ticks = static_cast<std::uint32_t>(now_ * kTicksPerUnit);
    const std::uint32_t ahead = reached(now_ticks, deadline) ? 0 : deadline - now_ticks;
    // The present slot has been emptied, or is being.
    const std::uint32_t units = std::max((ahead + kTicksPerUnit - 1) / kTicksPerUnit, 1u);
    hang(index, now_ + units);
  }

  void disarm(std::uint32_t index) {
    const TimerPlace place = store_.timer_place(index);
    if (place.level == kUnarmed) return;
    if (place.links.previous == kNoConnection) {
      heads_[place.level][place.slot] = place.links.next;
    } else {
      store_.timer_place(place.links.previous).links.next = place.links.next;
    }
    if (place.links.next != kNoConnection) {
      store_.timer_place(place.links.next).links.previous = place.links.previous;
    }
    if (place.level == 0) --near_count_;
    place.level = kUnarmed;
  }

  /// Moves time to `now` and calls `on_due(index)` for each record that comes due, disarmed
  /// already, at most `budget` of them; the rest waits for the next call. Records may be armed and
  /// disarmed from within. \return the number of records handled.
  template <typename OnDue>
  unsigned advance(Ticks now, unsigned budget, OnDue&& on_due) {
    const std::uint32_t behind = now - static_cast<std::uint32_t>(now_ * kTicksPerUnit);
    if (static_cast<std::int32_t>(behind) < 0) return 0;
    const std::uint64_t target = now_ + behind / kTicksPerUnit;
    unsigned handled = 0;
    for (;;) {
      while (heads_[0][now_ % kSlots] != kNoConnection) {
        if (handled == budget) return handled;
        const std::uint32_t index = heads_[0][now_ % kSlots];
        disarm(index);
        on_due(index);
        ++handled;
      }
      if (now_ >= target) return handled;
      // Nothing near: go straight to where the next level has something to hand down.
      const std::uint64_t next_cascade = now_ / kSlots * kSlots + kSlots;
      now_ = near_count_ == 0 ? std::min(next_cascade, target) : now_ + 1;
      if (now_ % kSlots == 0) cascade(1);
    }
  }

  static constexpr std::uint8_t kUnarmed = 0xff;

 private:
  static constexpr unsigned kTicksPerUnit = 8;  // 8.4 ms: finer than any timeout needs.
  static constexpr unsigned kSlots = 256;
  static constexpr unsigned kLevels = 3;  // 2.1 s, 9.2 minutes, 39 hours.

  // `due` is the unit in which the record comes due.
  void hang(std::uint32_t index, std::uint64_t due) {
    const std::uint64_t ahead = due - now_;
    std::uint8_t level = 0;
    std::uint64_t unit = due;
    if (ahead >= kSlots) {
      level = ahead < kSlots * kSlots ? 1 : 2;
      const std::uint64_t furthest = now_ + std::uint64_t{kSlots} * kSlots * (kSlots - 1);
      unit = std::min(due, furthest) / (level == 1 ? kSlots : kSlots * kSlots);
    }
    const auto slot = static_cast<std::uint16_t>(unit % kSlots);
    const TimerPlace place = store_.timer_place(index);
    std::uint32_t& head = heads_[level][slot];
    place.links = {head, kNoConnection};
    place.level = level;
    place.slot = slot;
    if (head != kNoConnection) store_.timer_place(head).links.previous = index;
    head = index;
    if (level == 0) ++near_count_;
  }

  // Hands the records of a coarse slot down. Their exact deadline is not kept: they come due at the
  // start of the coarse slot, where the lazy owner arms them again if it is too early.
  void cascade(unsigned level) {
    const std::uint64_t unit = level == 1 ? now_ / kSlots : now_ / (kSlots * kSlots);
    if (level + 1 < kLevels && unit % kSlots == 0) cascade(level + 1);
    std::uint32_t& head = heads_[level][unit % kSlots];
    while (head != kNoConnection) {
      const std::uint32_t index = head;
      disarm(index);
      hang(index, now_);
    }
  }

  Store& store_;
  std::uint64_t now_;  // In units.
  std::uint32_t near_count_ = 0;
  std::array<std::array<std::uint32_t, kSlots>, kLevels> heads_;
};

}  // namespace gannet::flows
