// SPDX-License-Identifier: BSD-3-Clause
// Slots that nobody uses: a stack, as what has been used last is in the cache, of which the bottom
// can be reached too, for slots that had better not be used soon. Memory is taken at the start. One
// thread.
#pragma once

#include <cstdint>
#include <vector>

namespace gannet::dataplane {

class FreeSlots {
 public:
  /// \param capacity slots that there are in all.
  explicit FreeSlots(std::uint32_t capacity) : slots_(capacity) {}

  [[nodiscard]] std::uint32_t count() const { return count_; }
  /// The slot to be used next; count() is not 0.
  [[nodiscard]] std::uint32_t top() const { return slots_[place(count_ - 1)]; }
  void pop() { --count_; }
  void push(std::uint32_t slot) { slots_[place(count_++)] = slot; }
  /// Puts a slot below all others.
  void bury(std::uint32_t slot) {
    bottom_ = bottom_ == 0 ? static_cast<std::uint32_t>(slots_.size()) - 1 : bottom_ - 1;
    ++count_;
    slots_[bottom_] = slot;
  }

 private:
  [[nodiscard]] std::size_t place(std::uint32_t height) const {
    const std::size_t at = std::size_t{bottom_} + height;
    return at < slots_.size() ? at : at - slots_.size();
  }

  std::vector<std::uint32_t> slots_;  // A ring.
  std::uint32_t bottom_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace gannet::dataplane
