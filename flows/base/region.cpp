// SPDX-License-Identifier: BSD-3-Clause
#include "flows/base/region.hpp"

#include <string>

#include <sys/mman.h>

namespace gannet {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

void* map_pages(std::size_t size, int extra_flags) {
  void* const p =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | extra_flags, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

}  // namespace

Result<Region> Region::map(std::size_t bytes, bool use_huge_pages) {
  const std::size_t size = (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  void* p = use_huge_pages ? map_pages(size, MAP_HUGETLB | MAP_POPULATE) : nullptr;
  if (p == nullptr) {
    p = map_pages(size, MAP_NORESERVE);
    if (p != nullptr) madvise(p, size, MADV_HUGEPAGE);  // A wish: failing changes only the speed.
  }
  if (p == nullptr) {
    return fail("cannot map " + std::to_string(size >> 20) +
                " MiB of memory: lower capacity.connections or free memory");
  }
  return Region(static_cast<std::byte*>(p), size);
}

Region::~Region() {
  if (address_ != nullptr) munmap(address_, size_);
}

}  // namespace gannet
