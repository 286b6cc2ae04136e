// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tables/lpm.hpp"

#include <algorithm>

namespace gannet::dataplane {

Lpm::Lpm(std::span<const Entry> entries) {
  // Short prefixes first: each longer one then overwrites its part of the shorter one.
  std::vector<const Entry*> order;
  order.reserve(entries.size());
  for (const Entry& e : entries) order.push_back(&e);
  std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return a->prefix.length < b->prefix.length;
  });
  for (const Entry* e : order) {
    insert(e->prefix.family() == Family::kIpv4 ? root_v4_ : root_v6_, e->prefix, e->value);
  }
}

void Lpm::insert(std::uint32_t& root, const Prefix& prefix, std::uint32_t value) {
  const std::uint8_t* const bytes = prefix.address.data();
  if (prefix.length == 0) {
    root = value;
    return;
  }
  const auto expand = [this](std::uint32_t slot) {
    Node node;
    std::fill(std::begin(node.slots), std::end(node.slots), slot);
    nodes_.push_back(node);
    return static_cast<std::uint32_t>(nodes_.size() - 1) | kChild;
  };
  if ((root & kChild) == 0) root = expand(root);
  std::uint32_t node = root & ~kChild;
  for (unsigned depth = 0;; ++depth) {
    const unsigned byte = bytes[depth / 2];
    const unsigned index = depth % 2 == 0 ? byte >> 4 : byte & 0xf;
    const unsigned left = prefix.length - 4 * depth;
    if (left <= 4) {
      fill(node, index, index + (1u << (4 - left)), value);
      return;
    }
    const std::uint32_t slot = nodes_[node].slots[index];
    const std::uint32_t child = (slot & kChild) != 0 ? slot : expand(slot);
    nodes_[node].slots[index] = child;
    node = child & ~kChild;
  }
}

// Shorter prefixes came first, so a child can only stand here for an equal one given before.
void Lpm::fill(std::uint32_t node, unsigned first, unsigned last, std::uint32_t value) {
  for (unsigned i = first; i < last; ++i) {
    const std::uint32_t slot = nodes_[node].slots[i];
    if ((slot & kChild) != 0) {
      fill(slot & ~kChild, 0, 16, value);
    } else {
      nodes_[node].slots[i] = value;
    }
  }
}

}  // namespace gannet::dataplane
