// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/encoding.hpp"

#include <cstdint>

namespace gannet::control {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

// Length of the UTF-8 sequence at `i`, 0 if it is not one (RFC 3629, 3 and 4).
std::size_t sequence_length(std::string_view text, std::size_t i) {
  const std::uint8_t lead = byte_at(text, i);
  const std::size_t length = lead < 0xc2   ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte_at(text, i + k) & 0xc0) != 0x80) return 0;
  }
  const std::uint8_t second = byte_at(text, i + 1);
  const bool is_overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool is_surrogate = lead == 0xed && second >= 0xa0;
  const bool is_beyond = lead == 0xf4 && second >= 0x90;
  return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

const char* ascii_flaw(std::string_view text, std::size_t i) {
  const std::uint8_t c = byte_at(text, i);
  if (c == '\t' || c == '\n' || (c >= 0x20 && c < 0x7f)) return nullptr;
  if (c == 0) return "a NUL character: this is not a text file";
  if (c != '\r') return "a control character";
  const bool ends_line = i + 1 < text.size() && text[i + 1] == '\n';
  return ends_line ? nullptr : "a carriage return without a line feed";
}

const char* wide_flaw(std::string_view text, std::size_t i, std::size_t length) {
  if (length == 0) {
    const bool is_utf16 = i == 0 && (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"));
    return is_utf16 ? "a UTF-16 byte order mark: save the file as UTF-8"
                    : "bytes that are not UTF-8";
  }
  if (text.substr(i, length) == kByteOrderMark) return "a byte order mark inside the text";
  // C1 control characters, U+0080 to U+009F.
  if (byte_at(text, i) == 0xc2 && byte_at(text, i + 1) < 0xa0) return "a control character";
  return nullptr;
}

bool check_indentation(const SourceFile& file, Diagnostics& diagnostics) {
  const auto text = file.text();
  bool is_good = true;
  for (std::size_t start = 0; start < text.size();) {
    const auto first = text.find_first_not_of(" \t", start);
    const auto tab = text.substr(start, first - start).find('\t');
    const bool has_content =
        first < text.size() && text[first] != '\n' && text[first] != '\r' && text[first] != '#';
    if (has_content && tab != std::string_view::npos) {
      diagnostics.error(Slug::tab_indentation, {&file, static_cast<std::uint32_t>(start + tab), 1},
                        "a tab in the indentation; YAML is indented with spaces");
      is_good = false;
    }
    const auto end = text.find('\n', start);
    start = end == std::string_view::npos ? text.size() : end + 1;
  }
  return is_good;
}

}  // namespace

std::optional<TextFlaw> find_flaw(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const bool is_ascii = byte_at(text, i) < 0x80;
    const std::size_t length = is_ascii ? 1 : sequence_length(text, i);
    const char* const what = is_ascii ? ascii_flaw(text, i) : wide_flaw(text, i, length);
    if (what != nullptr) return TextFlaw{i, what};
    i += length;
  }
  return std::nullopt;
}

bool check_text(const SourceFile& file, Diagnostics& diagnostics) {
  if (const auto flaw = find_flaw(file.text())) {
    diagnostics.error(Slug::invalid_text, {&file, static_cast<std::uint32_t>(flaw->offset), 1},
                      flaw->what);
    return false;
  }
  return check_indentation(file, diagnostics);
}

}  // namespace gannet::control
