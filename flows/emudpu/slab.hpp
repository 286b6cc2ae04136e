// SPDX-License-Identifier: BSD-3-Clause
// Memory for rules: blocks of a few sizes from chunks that are never given back while the card
// lives, so that a stale handle can be recognised instead of crashing, and so that inserting a rule
// never asks the kernel more than once in a while. Used under the card's lock.
#pragma once

#include "flows/base/region.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gannet::emudpu {

class Slab {
 public:
  static constexpr std::size_t kStep = 64;
  static constexpr std::size_t kMaxBytes = 4096;

  /// A block of at least `bytes` (at most kMaxBytes), aligned to 64; null if memory is short. A
  /// block that was used before still holds what it held.
  [[nodiscard]] void* take(std::size_t bytes) {
    std::vector<void*>& free = free_[class_of(bytes)];
    if (!free.empty()) {
      void* const block = free.back();
      free.pop_back();
      return block;
    }
    return carve(round_up(bytes));
  }

  void give_back(void* block, std::size_t bytes) { free_[class_of(bytes)].push_back(block); }

 private:
  static constexpr std::size_t kChunkBytes = 4 << 20;

  [[nodiscard]] static std::size_t class_of(std::size_t bytes) { return (bytes - 1) / kStep; }
  [[nodiscard]] static std::size_t round_up(std::size_t bytes) {
    return (class_of(bytes) + 1) * kStep;
  }

  [[nodiscard]] void* carve(std::size_t bytes) {
    if (left_ < bytes) {
      Result<Region> chunk = Region::map(kChunkBytes, false);
      if (!chunk) return nullptr;
      next_ = chunk->data();
      left_ = chunk->size();
      chunks_.push_back(std::move(*chunk));
    }
    void* const block = next_;
    next_ += bytes;
    left_ -= bytes;
    return block;
  }

  std::array<std::vector<void*>, kMaxBytes / kStep> free_;
  std::vector<Region> chunks_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace gannet::emudpu
