// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/rule.hpp"

#include <cstring>

namespace gannet::offload {
namespace {

// The headers of a next hop that end up in a packet.
bool is_same_header(const Rule& a, const Rule& b) {
  constexpr std::size_t kPrivate = offsetof(flows::NextHop, underlay_source);
  return std::memcmp(a.hop.bytes() + kPrivate, b.hop.bytes() + kPrivate,
                     sizeof(flows::NextHop) - kPrivate) == 0;
}

}  // namespace

bool is_same_match(const Rule& a, const Rule& b) {
  return a.in_port == b.in_port && a.protocol == b.protocol && a.source_mac == b.source_mac &&
         a.destination_mac == b.destination_mac &&
         a.has(flows::kDecapsulate) == b.has(flows::kDecapsulate) &&
         (!a.has(flows::kDecapsulate) || a.tunnel == b.tunnel) && a.before == b.before;
}

// No packet chooses what is hashed here: two multiplications will do.
std::uint32_t match_hash(const Rule& rule) {
  constexpr std::uint64_t kOdd = 0x9e37'79b9'7f4a'7c15;
  std::uint64_t hash = std::uint64_t{rule.in_port} << 48 | std::uint64_t{rule.protocol} << 32 |
                       std::uint64_t{rule.before.source_port} << 16 | rule.before.destination_port;
  for (const IpAddress& ip : {rule.before.source, rule.before.destination}) {
    std::uint64_t halves[2];
    std::memcpy(halves, ip.data(), sizeof halves);
    hash = (hash ^ halves[0]) * kOdd;
    hash = (hash ^ halves[1] ^ hash >> 32) * kOdd;
  }
  return static_cast<std::uint32_t>(hash >> 32);
}

bool is_same(const Rule& a, const Rule& b) {
  return is_same_match(a, b) && a.tos == b.tos && a.flags == b.flags && a.out_port == b.out_port &&
         a.max_ip_bytes == b.max_ip_bytes && a.outer_source_port == b.outer_source_port &&
         a.after == b.after && a.neighbor_mac == b.neighbor_mac && a.neighbor == b.neighbor &&
         a.eni == b.eni && is_same_header(a, b);
}

}  // namespace gannet::offload
