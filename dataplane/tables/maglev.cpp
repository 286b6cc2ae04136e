// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tables/maglev.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace gannet::dataplane {
namespace {

constexpr std::uint32_t kEntriesPerBackend = 100;

// splitmix64 (Steele, Lea, Flood 2014): a fixed, good mixing of 64 bits.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::uint64_t mix_address(std::uint64_t seed, const IpAddress& ip) {
  const auto family = static_cast<std::uint64_t>(ip.family());
  return mix(mix(mix(seed ^ load<std::uint64_t>(ip.data())) ^ load<std::uint64_t>(ip.data() + 8)) ^
             family);
}

// A backend's private order of the table's entries: offset, offset + skip, offset + 2 skip, ...
struct Permutation {
  std::uint32_t next;  // Both below the table's size.
  std::uint32_t skip;
  std::uint64_t weight;
  std::uint64_t credit;
  std::uint16_t backend;
};

// Which entries of a table are taken. Towards the end of filling it most of those that are asked
// about are, at places that no cache foresees: one bit each, they at least fit one.
class TakenEntries final {
 public:
  explicit TakenEntries(std::uint32_t size) : words_(size / 64 + 1) {}
  [[nodiscard]] bool has(std::uint32_t entry) const {
    return (words_[entry / 64] >> entry % 64 & 1) != 0;
  }
  void add(std::uint32_t entry) { words_[entry / 64] |= std::uint64_t{1} << entry % 64; }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace

Maglev::Maglev(std::span<const Backend> backends) {
  std::uint64_t heaviest = 0;
  for (const Backend& b : backends) heaviest = std::max<std::uint64_t>(heaviest, b.weight);
  if (heaviest == 0) return;
  std::vector<Permutation> order;
  const auto table_size_for = [](std::uint64_t backend_count) {
    for (const std::uint32_t size : kTableSizes) {
      if (size >= backend_count * kEntriesPerBackend) return size;
    }
    return kTableSizes[std::size(kTableSizes) - 1];
  };
  // Those with a weight of 0 count too: when one is down, the size must stay.
  const std::uint32_t size = table_size_for(backends.size());
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const Backend& b = backends[i];
    if (b.weight == 0) continue;
    const std::uint64_t identity = mix_address(b.port, b.ip);
    order.push_back({static_cast<std::uint32_t>(mix(identity ^ 1) % size),
                     static_cast<std::uint32_t>(mix(identity ^ 2) % (size - 1) + 1), b.weight, 0,
                     static_cast<std::uint16_t>(i)});
  }
  // Turns go by identity, so that the order in the policy does not matter.
  std::sort(order.begin(), order.end(), [](const Permutation& a, const Permutation& b) {
    return std::pair(a.next, a.skip) < std::pair(b.next, b.skip);
  });
  table_.assign(size, kNone);
  TakenEntries taken(size);
  for (std::uint32_t filled = 0;;) {
    for (Permutation& p : order) {
      p.credit += p.weight;
      if (p.credit < heaviest) continue;  // A light backend sits out some rounds.
      p.credit -= heaviest;
      while (taken.has(p.next)) {
        p.next += p.skip;
        if (p.next >= size) p.next -= size;
      }
      taken.add(p.next);
      table_[p.next] = p.backend;
      if (++filled == size) return;
    }
  }
}

std::uint64_t affinity_hash(const IpAddress& source, const IpAddress& destination,
                            std::uint16_t source_port, std::uint16_t destination_port,
                            std::uint8_t protocol, bool by_source_only) {
  const std::uint64_t h = mix_address(0x6761'6e6e'6574, source);
  if (by_source_only) return h;
  const std::uint64_t ports =
      std::uint64_t{protocol} << 32 | std::uint64_t{source_port} << 16 | destination_port;
  return mix(mix_address(h, destination) ^ ports);
}

}  // namespace gannet::dataplane
