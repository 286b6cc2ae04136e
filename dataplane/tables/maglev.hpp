// SPDX-License-Identifier: BSD-3-Clause
// Consistent hashing for load balancing: the look-up table of Maglev (Eisenbud et al., NSDI
// 2016, 3.4) with weights. Backends enter by their identity (address and port), not by their place
// in a list, and nothing is random: every host with the same backends has the same table (L20), and
// when one backend goes, nearly all entries of the others stay (L2). Immutable once built; a
// look-up is one load.
#pragma once

#include "flows/base/ip.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace gannet::dataplane {

class Maglev {
 public:
  static constexpr std::uint16_t kNone = 0xffff;

  struct Backend {
    IpAddress ip;
    std::uint16_t port;
    std::uint16_t weight;  // 0: gets nothing.
  };

  Maglev() = default;
  /// At most 65,534 backends.
  explicit Maglev(std::span<const Backend> backends);

  /// The index of the backend for a hash, or kNone if no backend has a weight.
  [[nodiscard]] std::uint16_t pick(std::uint64_t hash) const {
    return table_.empty() ? kNone : table_[entry_of(hash, table_.size())];
  }
  [[nodiscard]] std::span<const std::uint16_t> table() const { return table_; }

 private:
  // Primes; the table has at least a hundred entries for each backend, so that shares are even to
  // 1 % (Maglev, 5.3). The steps are few because a pool that grows over one has all its flows
  // moved.
  static constexpr std::uint32_t kTableSizes[] = {4'093, 65'521, 655'357, 6'553'621};

  // hash % size: by constants the compiler multiplies, and a division takes as long as all else.
  [[nodiscard]] static std::size_t entry_of(std::uint64_t hash, std::size_t size) {
    switch (size) {
      case kTableSizes[0]: return hash % kTableSizes[0];
      case kTableSizes[1]: return hash % kTableSizes[1];
      case kTableSizes[2]: return hash % kTableSizes[2];
      default: return hash % kTableSizes[3];
    }
  }

  std::vector<std::uint16_t> table_;
};

/// The hash by which a client is given a backend: the same on every host and after every restart.
/// With `by_source_only`, ports and destination do not count (affinity: source_ip).
[[nodiscard]] std::uint64_t affinity_hash(const IpAddress& source, const IpAddress& destination,
                                          std::uint16_t source_port, std::uint16_t destination_port,
                                          std::uint8_t protocol, bool by_source_only);

}  // namespace gannet::dataplane
