// SPDX-License-Identifier: BSD-3-Clause
// An Ethernet address (IEEE 802-2014, 8.2). Any thread; a six-byte value.
#pragma once

#include "flows/base/byte_order.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gannet {

struct Mac {
  std::array<std::uint8_t, 6> bytes;

  /// The address as the low 48 bits of a number, first byte lowest; only for comparing and storing.
  [[nodiscard]] std::uint64_t raw() const {
    return std::uint64_t{load<std::uint32_t>(bytes.data())} |
           std::uint64_t{load<std::uint16_t>(bytes.data() + 4)} << 32;
  }
  [[nodiscard]] static Mac from_raw(std::uint64_t raw) {
    Mac mac;
    store(mac.bytes.data(), static_cast<std::uint32_t>(raw));
    store(mac.bytes.data() + 4, static_cast<std::uint16_t>(raw >> 32));
    return mac;
  }

  [[nodiscard]] constexpr bool is_group() const { return (bytes[0] & 1) != 0; }
  [[nodiscard]] bool is_broadcast() const { return raw() == 0xffff'ffff'ffff; }
  [[nodiscard]] bool is_zero() const { return raw() == 0; }

  // By numbers: of the bytes' own comparison the compiler makes a call of memcmp.
  friend bool operator==(const Mac& a, const Mac& b) { return a.raw() == b.raw(); }
  friend constexpr auto operator<=>(const Mac&, const Mac&) = default;
};
static_assert(sizeof(Mac) == 6 && alignof(Mac) == 1);

inline constexpr Mac kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/// Reads "02:00:0a:0a:01:0b" (also with '-'); nothing if the text is anything else.
[[nodiscard]] std::optional<Mac> parse_mac(std::string_view text);
/// Lower-case hexadecimal with colons.
[[nodiscard]] std::string to_string(const Mac& mac);

}  // namespace gannet
