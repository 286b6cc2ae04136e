// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/words.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

namespace gannet::test {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

Words words_of(std::string_view text) {
  Words words;
  for (const std::string_view word : split(text, " ")) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

std::optional<std::uint64_t> read_number(std::string_view text) {
  const bool is_hex = text.starts_with("0x");
  if (is_hex) text.remove_prefix(2);
  std::uint64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value, is_hex ? 16 : 10);
  if (error != std::errc{} || end != last) return std::nullopt;
  return value;
}

Bytes from_hex(std::string_view text) {
  if (text.size() % 2 != 0) throw TextError{fmt::format("'{}' has half a byte", text)};
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    std::uint8_t byte = 0;
    const char* const first = text.data() + i;
    const auto [end, error] = std::from_chars(first, first + 2, byte, 16);
    if (error != std::errc{} || end != first + 2) {
      throw TextError{fmt::format("'{}' is not hexadecimal", text)};
    }
    bytes.push_back(byte);
  }
  return bytes;
}

std::optional<std::string_view> take(Words& words, std::string_view key) {
  const auto it = std::find_if(words.begin(), words.end(), [key](std::string_view word) {
    return word.starts_with(key) && word.substr(key.size()).starts_with("=");
  });
  if (it == words.end()) return std::nullopt;
  const std::string_view value = it->substr(key.size() + 1);
  words.erase(it);
  return value;
}

bool take_flag(Words& words, std::string_view flag) { return std::erase(words, flag) != 0; }

std::string_view take_first(Words& words, std::string_view what) {
  if (words.empty()) throw TextError{fmt::format("{} is missing", what)};
  const std::string_view word = words.front();
  words.erase(words.begin());
  return word;
}

namespace {

using Values = std::map<std::string, std::string, std::less<>>;

// What stands between braces: a name or number, operators with numbers, perhaps a width in hex.
// From left to right, without precedence.
std::optional<std::string> evaluate(std::string_view inside, const Values& values) {
  std::size_t hex_digits = 0;
  if (const auto colon = inside.find(':'); colon != std::string_view::npos) {
    const std::string_view format = inside.substr(colon + 1);
    if (format.size() != 3 || format[0] != '0' || format[2] != 'x') return std::nullopt;
    hex_digits = static_cast<std::size_t>(format[1] - '0');
    inside = inside.substr(0, colon);
  }
  auto op = inside.find_first_of("+-*");
  const auto found = values.find(inside.substr(0, op));
  if (found == values.end()) return std::nullopt;
  if (op == std::string_view::npos && hex_digits == 0) return found->second;
  auto value = read_number(found->second);
  while (value && op != std::string_view::npos) {
    const char how = inside[op];
    inside = inside.substr(op + 1);
    op = inside.find_first_of("+-*");
    const auto operand = read_number(inside.substr(0, op));
    if (!operand) return std::nullopt;
    value = how == '+' ? *value + *operand : how == '-' ? *value - *operand : *value * *operand;
  }
  if (!value) return std::nullopt;
  return hex_digits == 0 ? std::to_string(*value) : fmt::format("{:0{}x}", *value, hex_digits);
}

}  // namespace

std::string expand(std::string_view text,
                   const std::map<std::string, std::string, std::less<>>& values) {
  std::string out;
  for (;;) {
    const auto open = text.find('{');
    const auto close = text.find('}', open);
    if (close == std::string_view::npos) return out.append(text);
    const auto value = evaluate(text.substr(open + 1, close - open - 1), values);
    out.append(text.substr(0, open));
    if (value) {
      out += expand(*value, values);  // A name may stand for text with names.
      text.remove_prefix(close + 1);
    } else {
      out += '{';
      text.remove_prefix(open + 1);
    }
  }
}

}  // namespace gannet::test
