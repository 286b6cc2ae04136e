// SPDX-License-Identifier: BSD-3-Clause
// Addresses in tests as people write them: "10.0.0.1"_ip, "10.0.0.0/8"_prefix,
// "02:00:00:00:00:01"_mac. A typing error aborts the test.
#pragma once

#include "flows/base/check.hpp"
#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"

#include <cstddef>
#include <string_view>

namespace gannet::test {

inline IpAddress operator""_ip(const char* text, std::size_t size) {
  const auto ip = parse_ip(std::string_view(text, size));
  GANNET_CHECK(ip.has_value());
  return *ip;
}

inline Ip4 operator""_ip4(const char* text, std::size_t size) {
  const auto ip = parse_ip4(std::string_view(text, size));
  GANNET_CHECK(ip.has_value());
  return *ip;
}

inline Ip6 operator""_ip6(const char* text, std::size_t size) {
  const IpAddress ip = operator""_ip(text, size);
  GANNET_CHECK(ip.is_v6());
  return ip.v6();
}

inline Prefix operator""_prefix(const char* text, std::size_t size) {
  const auto prefix = parse_prefix(std::string_view(text, size));
  GANNET_CHECK(prefix.has_value());
  return *prefix;
}

inline Mac operator""_mac(const char* text, std::size_t size) {
  const auto mac = parse_mac(std::string_view(text, size));
  GANNET_CHECK(mac.has_value());
  return *mac;
}

}  // namespace gannet::test
