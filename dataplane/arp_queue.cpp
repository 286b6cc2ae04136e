// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/arp_queue.hpp"

#include <algorithm>
#include <numeric>

namespace gannet::dataplane {

ArpQueue::ArpQueue(std::size_t port_count)
    : of_port_(port_count),
      of_neighbor_(std::make_unique<std::uint16_t[]>(NeighborTable::kCapacity)) {
  std::iota(order_.begin(), order_.end(), std::uint16_t{0});
  tags_.fill(kFree);
}

std::optional<ArpQueue::Entry> ArpQueue::push(const Entry& entry) {
  const std::uint32_t neighbor = entry.hop.neighbor;
  const std::uint64_t tag = tag_of(entry.ingress_port, neighbor);
  if (of_port_[entry.ingress_port] >= kMaxPerPort) return entry;
  const bool may_be_full = of_neighbor_[neighbor] >= kMaxPerNeighbor;
  if (may_be_full && std::count(tags_.begin(), tags_.end(), tag) >= kMaxPerNeighbor) return entry;
  std::optional<Entry> removed;
  if (count_ == kMaxFrames) removed = remove(oldest_of_greediest());
  const std::uint16_t slot = order_[count_++];
  tags_[slot] = tag;
  entries_[slot] = entry;
  ++of_port_[entry.ingress_port];
  ++of_neighbor_[neighbor];
  return removed;
}

std::optional<ArpQueue::Entry> ArpQueue::pop_late(Ticks now) {
  if (count_ == 0 || !reached(now, entries_[order_[0]].deadline)) return std::nullopt;
  return remove(0);
}

void ArpQueue::forget(std::uint16_t slot) {
  --of_port_[port_of(tags_[slot])];
  --of_neighbor_[neighbor_of(tags_[slot])];
  tags_[slot] = kFree;
}

ArpQueue::Entry ArpQueue::remove(unsigned place) {
  const std::uint16_t slot = order_[place];
  forget(slot);
  std::copy(order_.begin() + place + 1, order_.begin() + count_, order_.begin() + place);
  order_[--count_] = slot;
  return entries_[slot];
}

unsigned ArpQueue::oldest_of_greediest() const {
  const auto most = std::max_element(of_port_.begin(), of_port_.end());
  const auto port = static_cast<std::uint16_t>(most - of_port_.begin());
  unsigned place = 0;
  while (port_of(tags_[order_[place]]) != port) ++place;
  return place;
}

}  // namespace gannet::dataplane
