// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/snapshot.hpp"

#include <algorithm>

namespace gannet::dataplane {

bool Eni::has_ip(const IpAddress& ip) const {
  return std::find(ips.begin(), ips.end(), ip) != ips.end();
}

const IpAddress* Eni::public_ip(Family family) const {
  const auto it = std::find_if(public_ips.begin(), public_ips.end(),
                               [family](const IpAddress& ip) { return ip.family() == family; });
  return it == public_ips.end() ? nullptr : &*it;
}

std::uint64_t Snapshot::rule_hits(std::uint32_t rule) const {
  std::uint64_t sum = 0;
  for (unsigned worker = 0; worker < worker_count_; ++worker) {
    sum += rule_hits_[worker * rules.size() + rule].load(std::memory_order_relaxed);
  }
  return sum;
}

void Snapshot::prepare_rule_hits(unsigned worker_count) {
  worker_count_ = worker_count;
  rule_hits_ = std::make_unique<std::atomic<std::uint64_t>[]>(worker_count * rules.size());
}

}  // namespace gannet::dataplane
