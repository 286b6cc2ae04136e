// SPDX-License-Identifier: BSD-3-Clause
// IP addresses and prefixes of both families. The types of one family (Ip4, Ip6) are wire images
// and are what the packet path uses; IpAddress and Prefix carry their family and are what policy
// uses. Any thread; all are small values.
#pragma once

#include "flows/base/byte_order.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace gannet {

/// An IPv4 address as it lies on the wire (RFC 791).
struct Ip4 {
  Be32 value;

  Ip4() = default;
  constexpr explicit Ip4(Be32 v) : value(v) {}
  constexpr Ip4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d)
      : value(static_cast<std::uint32_t>(a << 24 | b << 16 | c << 8 | d)) {}
  [[nodiscard]] static constexpr Ip4 from_host(std::uint32_t host) { return Ip4(Be32(host)); }

  [[nodiscard]] constexpr std::uint32_t host() const { return value.host(); }
  [[nodiscard]] constexpr std::uint32_t raw() const { return value.raw(); }
  [[nodiscard]] constexpr bool is_zero() const { return raw() == 0; }
  [[nodiscard]] constexpr bool is_multicast() const { return host() >> 28 == 0xe; }
  [[nodiscard]] constexpr bool is_loopback() const { return host() >> 24 == 127; }
  [[nodiscard]] constexpr bool is_broadcast() const { return raw() == 0xffff'ffff; }

  friend constexpr bool operator==(const Ip4&, const Ip4&) = default;
  friend constexpr auto operator<=>(const Ip4& a, const Ip4& b) { return a.value <=> b.value; }
};
static_assert(sizeof(Ip4) == 4 && alignof(Ip4) == 1);

/// An IPv6 address as it lies on the wire (RFC 4291).
struct Ip6 {
  std::array<std::uint8_t, 16> bytes;

  [[nodiscard]] bool is_zero() const { return (half(0) | half(1)) == 0; }
  [[nodiscard]] constexpr bool is_multicast() const { return bytes[0] == 0xff; }
  [[nodiscard]] bool is_loopback() const {
    return half(0) == 0 && half(1) == std::uint64_t{1} << 56;
  }
  [[nodiscard]] constexpr bool is_link_local() const {
    return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
  }
  /// Eight of the sixteen bytes, in memory order; only for comparing and hashing.
  [[nodiscard]] std::uint64_t half(std::size_t index) const {
    return load<std::uint64_t>(bytes.data() + 8 * index);
  }

  friend constexpr auto operator<=>(const Ip6&, const Ip6&) = default;
};
static_assert(sizeof(Ip6) == 16 && alignof(Ip6) == 1);

enum class Family : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };

/// Number of bits of an address of the family: 32 or 128.
[[nodiscard]] constexpr unsigned bit_count(Family family) {
  return family == Family::kIpv4 ? 32 : 128;
}

/// An address of either family. IPv4 occupies the first four bytes, the rest is zero.
///
/// It is written, copied and compared by words of eight bytes, all of them: a processor that reads
/// what it has just written has to wait if the two do not coincide, and tuples of addresses are
/// handed on all along the slow path.
class IpAddress {
 public:
  constexpr IpAddress() : bytes_{}, family_(word_of(Family::kIpv4)) {}
  IpAddress(Ip4 v4) : family_(word_of(Family::kIpv4)) { set_halves(v4.raw(), 0); }  // NOLINT
  IpAddress(const Ip6& v6) : family_(word_of(Family::kIpv6)) {                      // NOLINT
    set_halves(v6.half(0), v6.half(1));
  }
  IpAddress(const IpAddress& other) : family_(other.family_) {
    set_halves(other.half(0), other.half(1));
  }
  IpAddress& operator=(const IpAddress& other) {
    set_halves(other.half(0), other.half(1));
    family_ = other.family_;
    return *this;
  }
  ~IpAddress() = default;

  [[nodiscard]] Family family() const { return static_cast<Family>(family_); }
  [[nodiscard]] bool is_v4() const { return family() == Family::kIpv4; }
  [[nodiscard]] bool is_v6() const { return family() == Family::kIpv6; }
  [[nodiscard]] Ip4 v4() const { return load<Ip4>(bytes_.data()); }
  [[nodiscard]] Ip6 v6() const { return Ip6{bytes_}; }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }

  [[nodiscard]] bool is_zero() const { return is_v4() ? v4().is_zero() : v6().is_zero(); }
  [[nodiscard]] bool is_multicast() const {
    return is_v4() ? v4().is_multicast() : v6().is_multicast();
  }
  [[nodiscard]] bool is_loopback() const {
    return is_v4() ? v4().is_loopback() : v6().is_loopback();
  }

  friend bool operator==(const IpAddress& a, const IpAddress& b) {
    return ((a.half(0) ^ b.half(0)) | (a.half(1) ^ b.half(1)) | (a.family_ ^ b.family_)) == 0;
  }
  friend auto operator<=>(const IpAddress& a, const IpAddress& b) = default;

 private:
  [[nodiscard]] static constexpr std::uint64_t word_of(Family family) {
    return static_cast<std::uint64_t>(family);
  }
  [[nodiscard]] std::uint64_t half(std::size_t index) const {
    return load<std::uint64_t>(bytes_.data() + 8 * index);
  }
  void set_halves(std::uint64_t first, std::uint64_t second) {
    store(bytes_.data(), first);
    store(bytes_.data() + 8, second);
  }

  alignas(8) std::array<std::uint8_t, 16> bytes_;
  std::uint64_t family_;  // Family.
};
static_assert(sizeof(IpAddress) == 24);

/// An address block. `address` has no bit set beyond `length`.
struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;

  [[nodiscard]] Family family() const { return address.family(); }
  [[nodiscard]] bool contains(const IpAddress& ip) const;
  [[nodiscard]] bool contains(const Prefix& other) const;
  [[nodiscard]] bool overlaps(const Prefix& other) const;
  /// The address at `offset` from the first one; nothing if the block is smaller than that.
  [[nodiscard]] std::optional<IpAddress> at(std::uint64_t offset) const;

  /// The block of one address.
  [[nodiscard]] static Prefix host(const IpAddress& ip) {
    return {ip, static_cast<std::uint8_t>(bit_count(ip.family()))};
  }
  /// `ip` with its bits beyond `length` cleared.
  [[nodiscard]] static Prefix of(const IpAddress& ip, unsigned length);

  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

[[nodiscard]] std::optional<Ip4> parse_ip4(std::string_view text);
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text);

enum class PrefixError : std::uint8_t { kAddress, kLength, kHostBits };
/// Reads "10.0.0.0/8"; a bare address is a block of one. On failure `error` says what is wrong with
/// it: the address, the length, or bits set beyond the length.
[[nodiscard]] std::optional<Prefix> parse_prefix(std::string_view text,
                                                 PrefixError* error = nullptr);

[[nodiscard]] std::string to_string(Ip4 ip);
[[nodiscard]] std::string to_string(const Ip6& ip);
/// IPv6 as RFC 5952 writes it.
[[nodiscard]] std::string to_string(const IpAddress& ip);
[[nodiscard]] std::string to_string(const Prefix& prefix);

}  // namespace gannet

template <>
struct std::hash<gannet::IpAddress> {
  std::size_t operator()(const gannet::IpAddress& ip) const noexcept {
    const auto a = gannet::load<std::uint64_t>(ip.data());
    const auto b = gannet::load<std::uint64_t>(ip.data() + 8);
    return (a ^ (b * 0x9e3779b97f4a7c15)) * 0xd6e8feb86659fd93 +
           static_cast<std::size_t>(ip.family());
  }
};
