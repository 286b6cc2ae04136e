// SPDX-License-Identifier: BSD-3-Clause
// Memory for the large tables: zeroed, page-aligned, on huge pages where there are any. Taken at
// start, released at the end, never grown. The owner decides which thread uses it.
#pragma once

#include "flows/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace gannet {

class Region {
 public:
  Region() = default;
  /// Maps `bytes` (rounded up to 2 MiB). With huge pages unavailable the memory comes from ordinary
  /// pages, for which the kernel is asked to find large ones later.
  /// \return an error sentence if the kernel has not so much memory.
  [[nodiscard]] static Result<Region> map(std::size_t bytes, bool use_huge_pages);

  Region(Region&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Region& operator=(Region&& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
    return *this;
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region();

  [[nodiscard]] std::byte* data() const { return address_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  Region(std::byte* address, std::size_t size) : address_(address), size_(size) {}

  std::byte* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gannet
