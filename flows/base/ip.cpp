// SPDX-License-Identifier: BSD-3-Clause
#include "flows/base/ip.hpp"

#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace gannet {
namespace {

// Compares the first `length` bits.
bool same_bits(const std::uint8_t* a, const std::uint8_t* b, unsigned length) {
  if (std::memcmp(a, b, length / 8) != 0) return false;
  if (length % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - length % 8));
  return ((a[length / 8] ^ b[length / 8]) & mask) == 0;
}

// Adds `offset` to a big-endian number of `size` bytes; false if it does not fit.
bool add_offset(std::uint8_t* bytes, unsigned size, std::uint64_t offset) {
  std::uint64_t carry = offset;
  for (unsigned i = size; i-- > 0 && carry != 0;) {
    const std::uint64_t sum = bytes[i] + (carry & 0xff);
    bytes[i] = static_cast<std::uint8_t>(sum);
    carry = (carry >> 8) + (sum >> 8);
  }
  return carry == 0;
}

}  // namespace

Prefix Prefix::of(const IpAddress& ip, unsigned length) {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), ip.data(), 16);
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned keep = length > 8 * i ? length - 8 * i : 0;
    if (keep < 8) bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00 >> keep));
  }
  const auto size = static_cast<std::uint8_t>(length);
  if (ip.is_v4()) return {IpAddress(load<Ip4>(bytes.data())), size};
  return {IpAddress(Ip6{bytes}), size};
}

bool Prefix::contains(const IpAddress& ip) const {
  return ip.family() == family() && same_bits(address.data(), ip.data(), length);
}

bool Prefix::contains(const Prefix& other) const {
  return other.length >= length && contains(other.address);
}

bool Prefix::overlaps(const Prefix& other) const {
  return contains(other) || other.contains(*this);
}

std::optional<IpAddress> Prefix::at(std::uint64_t offset) const {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), address.data(), 16);
  if (!add_offset(bytes.data(), bit_count(family()) / 8, offset)) return std::nullopt;
  const IpAddress ip = address.is_v4() ? IpAddress(load<Ip4>(bytes.data())) : IpAddress(Ip6{bytes});
  if (!contains(ip)) return std::nullopt;
  return ip;
}

std::optional<Ip4> parse_ip4(std::string_view text) {
  const auto ip = parse_ip(text);
  if (!ip || !ip->is_v4()) return std::nullopt;
  return ip->v4();
}

std::optional<IpAddress> parse_ip(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::memchr(buffer, 0, text.size()) != nullptr) return std::nullopt;
  std::uint8_t bytes[16];
  if (inet_pton(AF_INET, buffer, bytes) == 1) return IpAddress(load<Ip4>(bytes));
  if (inet_pton(AF_INET6, buffer, bytes) == 1) return IpAddress(load<Ip6>(bytes));
  return std::nullopt;
}

std::optional<Prefix> parse_prefix(std::string_view text, PrefixError* error) {
  const auto fail = [error](PrefixError what) {
    if (error != nullptr) *error = what;
    return std::nullopt;
  };
  const auto slash = text.find('/');
  const auto ip = parse_ip(text.substr(0, slash));
  if (!ip) return fail(PrefixError::kAddress);
  if (slash == std::string_view::npos) return Prefix::host(*ip);
  const auto digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool is_padded = digits.size() > 1 && digits[0] == '0';
  if (code != std::errc{} || end != digits.data() + digits.size() || is_padded ||
      length > bit_count(ip->family())) {
    return fail(PrefixError::kLength);
  }
  const Prefix prefix = Prefix::of(*ip, length);
  if (prefix.address != *ip) return fail(PrefixError::kHostBits);
  return prefix;
}

std::string to_string(Ip4 ip) {
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &ip, text, sizeof text);
  return text;
}

std::string to_string(const Ip6& ip) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, &ip, text, sizeof text);
  return text;
}

std::string to_string(const IpAddress& ip) {
  return ip.is_v4() ? to_string(ip.v4()) : to_string(ip.v6());
}

std::string to_string(const Prefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

}  // namespace gannet
