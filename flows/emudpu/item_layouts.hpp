// SPDX-License-Identifier: BSD-3-Clause
// How each pattern item lies in the packet key.
#pragma once

#include "flows/emudpu/packet_key.hpp"

#include <cstdint>

#include <rte_flow.h>

namespace gannet::emudpu {

struct ItemField {
  std::uint8_t offset;
  std::uint8_t size;
};

// How one item type lies in the key. Offsets are the same in the item's structure, which begins
// with an image of the header, and in the key's.
struct ItemLayout {
  int type;
  std::uint32_t presence;
  std::uint16_t key_offset;  // In LayerKey.
  std::uint8_t size;         // Of the image.
  std::uint8_t item_size;    // Of the item's structure.
  std::uint8_t rank;         // Items of one layer stand in ascending order.
  std::uint8_t default_mask[40];
  std::uint8_t field_count;
  ItemField fields[12];
};

inline constexpr std::uint8_t kTagRank = 2;
inline constexpr std::uint8_t kSecondTagRank = 3;
inline constexpr std::uint8_t kL3Rank = 4;
inline constexpr std::uint8_t kL4Rank = 6;

/// Null for what is no header.
[[nodiscard]] const ItemLayout* find_layout(int type);

}  // namespace gannet::emudpu
