// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment layer: started once by the main thread before anything else of DPDK, ended
// last.
#pragma once

#include "flows/base/result.hpp"

#include <cstdint>
#include <span>

namespace gannet::dataplane {

enum class HugePages : std::uint8_t { kAuto, kRequired, kNone };

struct EalConfig {
  const char* program = "gannetd";
  std::uint64_t memory_bytes = std::uint64_t{512}
                               << 20;  // For packet buffers and DPDK's own needs.
  HugePages huge_pages = HugePages::kAuto;
  std::span<const char* const> pci_devices;  // Addresses; all others are left alone.
  std::span<const char* const> plugins;      // Driver files to load.
};

class Eal final {
 public:
  /// Starts the EAL. \return one sentence with the fix if it cannot be started.
  [[nodiscard]] static Result<Eal> start(const EalConfig& config);

  Eal(Eal&& other) noexcept : has_huge_pages_(other.has_huge_pages_) {
    std::swap(is_running_, other.is_running_);
  }
  Eal& operator=(Eal&&) = delete;
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;
  /// Ends it and removes the files that it has made.
  ~Eal();

  [[nodiscard]] bool has_huge_pages() const { return has_huge_pages_; }

 private:
  explicit Eal(bool has_huge_pages) : is_running_(true), has_huge_pages_(has_huge_pages) {}

  bool is_running_ = false;
  bool has_huge_pages_ = false;
};

}  // namespace gannet::dataplane
