// SPDX-License-Identifier: BSD-3-Clause
// A text that a person wrote, and places in it. Everything that is read from a text keeps its
// place, so that every later stage can point at it. A place is an offset: line and column are
// worked out when a diagnostic is shown, which is rare, and not when a rule is read, which is not.
// Control thread and command line; immutable once built.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gannet::control {

/// In UTF-8: allowed at the beginning of a text only.
inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

class SourceFile {
 public:
  /// A place that people understand: both count from 1, the column counts characters, not bytes.
  struct Position {
    std::uint32_t line;
    std::uint32_t column;
  };

  /// \param name what diagnostics call it; \param text all of it; a UTF-8 byte order mark at its
  /// beginning is no part of the text.
  SourceFile(std::string name, std::string text);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string_view text() const { return text_; }
  /// Of a byte offset; one beyond the end is taken as the end.
  [[nodiscard]] Position position(std::uint32_t offset) const;
  /// A line without its end; `number` counts from 1 and is one that position() gave.
  [[nodiscard]] std::string_view line(std::uint32_t number) const;

 private:
  std::string name_;
  std::string text_;
  std::vector<std::uint32_t> line_starts_;
};

/// Some bytes of a file. The file is kept alive by whoever holds what was read from it (Policy,
/// HostConfig, Diagnostics).
struct Place {
  static constexpr std::uint32_t kWholeFile = 0xffff'ffff;

  const SourceFile* file = nullptr;  // Null: not read from any file.
  std::uint32_t offset = kWholeFile;
  std::uint32_t length = 0;

  [[nodiscard]] bool is_known() const { return file != nullptr; }
  [[nodiscard]] bool has_position() const { return file != nullptr && offset != kWholeFile; }

  /// Two objects are the same if they say the same, wherever they say it.
  friend bool operator==(const Place&, const Place&) { return true; }
};

/// Number of characters in valid UTF-8.
[[nodiscard]] std::uint32_t count_characters(std::string_view text);

}  // namespace gannet::control
