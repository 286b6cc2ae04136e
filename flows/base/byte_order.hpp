// SPDX-License-Identifier: BSD-3-Clause
// Integers in network byte order as a type of their own, so that a wire value can never be used as
// a number by accident. A Be<T> has alignment 1: structs made of them have the layout of the wire,
// without padding and without `packed`. Any thread; costs a byte swap where a conversion is
// written.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace gannet {

static_assert(std::endian::native == std::endian::little, "Gannet runs on little-endian hosts");

/// An unsigned integer of `sizeof(T)` bytes, most significant byte first, with alignment 1.
template <typename T>
class Be {
 public:
  Be() = default;
  constexpr explicit Be(T host) : bytes_(std::bit_cast<Bytes>(swap(host))) {}

  [[nodiscard]] static constexpr Be from_raw(T raw) {
    Be value;
    value.bytes_ = std::bit_cast<Bytes>(raw);
    return value;
  }

  /// The value as a number.
  [[nodiscard]] constexpr T host() const { return swap(raw()); }
  /// The bytes as they lie on the wire; good for comparing, hashing and checksums only.
  [[nodiscard]] constexpr T raw() const { return std::bit_cast<T>(bytes_); }

  friend constexpr bool operator==(Be a, Be b) { return a.raw() == b.raw(); }
  friend constexpr auto operator<=>(Be a, Be b) { return a.host() <=> b.host(); }

 private:
  struct Bytes {
    std::uint8_t b[sizeof(T)];
  };

  static constexpr T swap(T v) {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(v);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(v);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(v);
  }

  Bytes bytes_;
};

using Be16 = Be<std::uint16_t>;
using Be32 = Be<std::uint32_t>;
using Be64 = Be<std::uint64_t>;

static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1 && std::is_trivial_v<Be32>);

/// Reads a T from possibly unaligned memory; the caller has checked that sizeof(T) bytes are there.
template <typename T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] inline T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Writes a T to possibly unaligned memory; the caller has checked that sizeof(T) bytes are there.
template <typename T>
requires std::is_trivially_copyable_v<T>
inline void store(void* to, const T& value) { std::memcpy(to, &value, sizeof value); }

}  // namespace gannet
