// SPDX-License-Identifier: BSD-3-Clause
// Longest prefix match: a trie of 16-way nodes, one cache line each, with the values pushed into
// the leaves, so that a look-up never backs up. Built once from a policy, then read by all workers.
// A look-up reads one node for each four bits of the longest prefix on the way: at most 8 for IPv4
// and 32 for IPv6, whatever the number of prefixes. Free of DPDK, so that the policy can be judged
// offline by the same code.
#pragma once

#include "flows/base/ip.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace gannet::dataplane {

class Lpm {
 public:
  static constexpr std::uint32_t kNone = 0x7fff'ffff;

  struct Entry {
    Prefix prefix;
    std::uint32_t value;  // Below kNone.
  };

  Lpm() = default;
  /// Of equal prefixes the last one counts. Both families may be mixed.
  explicit Lpm(std::span<const Entry> entries);

  /// The value of the longest prefix that contains the address, or kNone.
  [[nodiscard]] std::uint32_t find(const IpAddress& ip) const {
    return find(ip.data(), ip.is_v4() ? root_v4_ : root_v6_);
  }
  [[nodiscard]] std::uint32_t find(Ip4 ip) const {
    return find(reinterpret_cast<const std::uint8_t*>(&ip), root_v4_);
  }
  [[nodiscard]] std::uint32_t find(const Ip6& ip) const { return find(ip.bytes.data(), root_v6_); }

 private:
  static constexpr std::uint32_t kChild = 0x8000'0000;  // The rest is a node's index.

  struct alignas(64) Node {
    std::uint32_t slots[16];
  };

  [[nodiscard]] std::uint32_t find(const std::uint8_t* bytes, std::uint32_t slot) const {
    for (unsigned nibble = 0; (slot & kChild) != 0; ++nibble) {
      const unsigned byte = bytes[nibble / 2];
      const unsigned index = nibble % 2 == 0 ? byte >> 4 : byte & 0xf;
      slot = nodes_[slot & ~kChild].slots[index];
    }
    return slot;
  }

  void insert(std::uint32_t& root, const Prefix& prefix, std::uint32_t value);
  void fill(std::uint32_t node, unsigned first, unsigned last, std::uint32_t value);

  std::vector<Node> nodes_;
  std::uint32_t root_v4_ = kNone;
  std::uint32_t root_v6_ = kNone;
};

}  // namespace gannet::dataplane
