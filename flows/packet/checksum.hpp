// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Sums are kept in memory
// byte order, which one's complement arithmetic allows (RFC 1071, 2 (B)): no byte is swapped.
// Any thread.
#pragma once

#include "flows/base/byte_order.hpp"
#include "flows/base/ip.hpp"

#include <cstddef>
#include <cstdint>

namespace gannet::packet {

/// Folds a sum of 16-bit words to 16 bits.
[[nodiscard]] constexpr std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffff'ffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// The unfolded sum of `size` bytes; an odd last byte counts as if a zero byte followed.
[[nodiscard]] std::uint64_t sum_bytes(const std::uint8_t* bytes, std::size_t size);

/// The sum of a TCP or UDP pseudo header (RFC 9293, 3.1; RFC 8200, 8.1).
/// \param l4_bytes length of the transport header and its data.
[[nodiscard]] std::uint64_t pseudo_header_sum(Ip4 source, Ip4 destination, std::uint8_t protocol,
                                              std::uint32_t l4_bytes);
[[nodiscard]] std::uint64_t pseudo_header_sum(const Ip6& source, const Ip6& destination,
                                              std::uint8_t protocol, std::uint32_t l4_bytes);

/// The value for a header's checksum field, given the sum of all that it covers (field as zero).
[[nodiscard]] constexpr Be16 finish(std::uint64_t sum) {
  return Be16::from_raw(static_cast<std::uint16_t>(~fold(sum)));
}

/// A pending change of a checksum: the one's complement sum of (~old + new) over all changed words
/// (RFC 1624, equation 3). 0 and 0xffff are the same number; it is always given as 0, which leaves
/// a checksum exactly as it is, where 0xffff would turn one zero into the other.
class ChecksumDelta {
 public:
  constexpr ChecksumDelta() = default;

  constexpr void replace(Be16 before, Be16 after) {
    sum_ += static_cast<std::uint16_t>(~before.raw());
    sum_ += after.raw();
  }
  constexpr void replace(Be32 before, Be32 after) {
    replace(std::uint64_t{before.raw()}, std::uint64_t{after.raw()});
  }
  void replace(Ip4 before, Ip4 after) { replace(before.value, after.value); }
  void replace(const Ip6& before, const Ip6& after) {
    for (std::size_t i = 0; i < 16; i += 4) {
      replace(load<Be32>(before.bytes.data() + i), load<Be32>(after.bytes.data() + i));
    }
  }

  [[nodiscard]] constexpr std::uint16_t folded() const {
    const std::uint16_t sum = fold(sum_);
    return sum == 0xffff ? std::uint16_t{0} : sum;
  }

 private:
  constexpr void replace(std::uint64_t before, std::uint64_t after) {
    sum_ += (~before & 0xffff) + (~(before >> 16) & 0xffff) + (after & 0xffff) + (after >> 16);
  }

  std::uint64_t sum_ = 0;
};

/// Takes a word away with the borrow going round: ~(~checksum + word) in one's complement, of which
/// this is two instructions. Both in the same byte order.
[[nodiscard]] constexpr std::uint16_t subtract(std::uint16_t checksum, std::uint16_t word) {
  std::uint16_t difference = 0;
  const bool borrows = __builtin_sub_overflow(checksum, word, &difference);
  return static_cast<std::uint16_t>(difference - (borrows ? 1 : 0));
}

/// Applies a folded delta to a checksum field: HC' = ~(~HC + delta) (RFC 1624, equation 3).
[[nodiscard]] constexpr Be16 update(Be16 checksum, std::uint16_t delta) {
  return Be16::from_raw(subtract(checksum.raw(), delta));
}

/// The same for UDP: 0 means "no checksum" and stays 0 (RFC 768); a result of 0 is sent as 0xffff.
[[nodiscard]] constexpr Be16 update_udp(Be16 checksum, std::uint16_t delta) {
  const std::uint16_t value = checksum.raw();
  if (value == 0) [[unlikely]]
    return checksum;
  // Subtracted by adding the complement: of something that is not 0 the sum never is.
  std::uint16_t sum = 0;
  const bool carries = __builtin_add_overflow(value, static_cast<std::uint16_t>(~delta), &sum);
  return Be16::from_raw(static_cast<std::uint16_t>(sum + (carries ? 1 : 0)));
}

}  // namespace gannet::packet
