// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/source.hpp"

#include <algorithm>
#include <utility>

namespace gannet::control {

SourceFile::SourceFile(std::string name, std::string text)
    : name_(std::move(name)), text_(std::move(text)), line_starts_{0} {
  if (text_.starts_with(kByteOrderMark)) text_.erase(0, kByteOrderMark.size());
  for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n', end + 1)) {
    line_starts_.push_back(static_cast<std::uint32_t>(end + 1));
  }
}

SourceFile::Position SourceFile::position(std::uint32_t offset) const {
  const auto end = std::min<std::size_t>(offset, text_.size());
  const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), end);
  const auto start = *(next - 1);
  const auto before = text().substr(start, end - start);
  return {static_cast<std::uint32_t>(next - line_starts_.begin()), count_characters(before) + 1};
}

std::string_view SourceFile::line(std::uint32_t number) const {
  const std::size_t start = line_starts_[number - 1];
  const std::size_t end = text_.find('\n', start);
  auto line = text().substr(start, end == std::string::npos ? end : end - start);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::uint32_t count_characters(std::string_view text) {
  // Every byte but the continuation bytes 10xxxxxx starts a character.
  return static_cast<std::uint32_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace gannet::control
