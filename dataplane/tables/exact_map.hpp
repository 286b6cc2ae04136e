// SPDX-License-Identifier: BSD-3-Clause
// A map from small keys to numbers that is built once and then only read: open addressing with
// linear probing at no more than half full. A look-up is one or two cache lines. Free of DPDK.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace gannet::dataplane {

/// `Key` has `==` and `std::uint64_t hash() const`.
template <typename Key>
class ExactMap {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  struct Entry {
    Key key;
    std::uint32_t value;  // Below kNone.
  };

  ExactMap() = default;
  /// Of equal keys the first one counts.
  explicit ExactMap(const std::vector<Entry>& entries)
      : slots_(entries.empty() ? 0 : std::bit_ceil(2 * entries.size()), Entry{Key{}, kNone}) {
    for (const Entry& e : entries) {
      Entry& slot = slots_[probe(e.key)];
      if (slot.value == kNone) slot = e;
    }
  }

  [[nodiscard]] std::uint32_t find(const Key& key) const {
    return slots_.empty() ? kNone : slots_[probe(key)].value;
  }
  [[nodiscard]] bool is_empty() const { return slots_.empty(); }

  /// Calls visit(key, value) for all entries, in no order.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Entry& slot : slots_) {
      if (slot.value != kNone) visit(slot.key, slot.value);
    }
  }

 private:
  // The slot that holds the key, or the empty one where it would be.
  [[nodiscard]] std::size_t probe(const Key& key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = static_cast<std::size_t>(key.hash() >> 32) & mask;
    while (slots_[i].value != kNone && !(slots_[i].key == key)) i = (i + 1) & mask;
    return i;
  }

  std::vector<Entry> slots_;
};

}  // namespace gannet::dataplane
