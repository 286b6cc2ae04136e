// SPDX-License-Identifier: BSD-3-Clause
#include "flows/base/mac.hpp"

#include <charconv>
#include <cstdio>

namespace gannet {

std::optional<Mac> parse_mac(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  const char separator = text[2];
  if (separator != ':' && separator != '-') return std::nullopt;
  Mac mac{};
  for (std::size_t i = 0; i < 6; ++i) {
    const char* const first = text.data() + 3 * i;
    if (i < 5 && first[2] != separator) return std::nullopt;
    const auto [end, error] = std::from_chars(first, first + 2, mac.bytes[i], 16);
    if (error != std::errc{} || end != first + 2) return std::nullopt;
  }
  return mac;
}

std::string to_string(const Mac& mac) {
  char text[18];
  const auto& b = mac.bytes;
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
                b[5]);
  return text;
}

}  // namespace gannet
