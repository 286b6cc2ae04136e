// SPDX-License-Identifier: BSD-3-Clause
// YAML as a tree of our own, built from yaml-cpp's events and not from its nodes, because its nodes
// hide what an operator must be told: a key that is there twice, a number that was quoted, the
// place of an alias. The only place that knows yaml-cpp and the only one that catches what it
// throws. Control thread and command line. A file of 10 MB takes yaml-cpp some 4 s; the tree adds
// little.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/source.hpp"

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace gannet::control {

// Bounds on what is read at all, far beyond any policy that makes sense.
inline constexpr std::size_t kMaxFileBytes = 64UL << 20;
inline constexpr unsigned kMaxDepth = 64;
inline constexpr std::size_t kMaxNodes = 16'000'000;
/// Nodes that aliases may add to those that are written ("billion laughs").
inline constexpr std::size_t kMaxAliasNodes = 1'000'000;

struct Member;

/// A value of the tree; small, and good as long as its Document. What it contains is shared between
/// an alias and its anchor.
class Node {
 public:
  enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMap };

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_null() const { return kind_ == Kind::kNull; }
  [[nodiscard]] bool is_scalar() const { return kind_ == Kind::kScalar; }
  [[nodiscard]] bool is_sequence() const { return kind_ == Kind::kSequence; }
  [[nodiscard]] bool is_map() const { return kind_ == Kind::kMap; }
  /// Whether a scalar was written without quotes.
  [[nodiscard]] bool is_plain() const { return is_plain_; }

  /// Of a scalar: what it says, escapes resolved, valid UTF-8 without control characters but \n,
  /// \t.
  [[nodiscard]] std::string_view text() const {
    return is_scalar() ? std::string_view(data_.text, size_) : std::string_view();
  }
  [[nodiscard]] std::span<const Node> items() const {
    return is_sequence() ? std::span(data_.items, size_) : std::span<const Node>();
  }
  /// Of a map, in the order of the text; every key is a scalar and there once.
  [[nodiscard]] inline std::span<const Member> members() const;

  /// Of an alias: where the alias stands. What is inside it stands where its anchor is.
  [[nodiscard]] Place place(const SourceFile& file) const { return {&file, offset_, length_}; }

 private:
  friend class TreeBuilder;

  union {
    const char* text;
    const Node* items;
    const Member* members;
  } data_{nullptr};
  std::uint32_t size_ = 0;
  std::uint32_t offset_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t node_count_ = 1;  // With all that is inside, aliases expanded; saturates.
  std::uint16_t height_ = 1;      // Levels of nesting inside.
  Kind kind_ = Kind::kNull;
  bool is_plain_ = true;
};

struct Member {
  Node key;
  Node value;
};

inline std::span<const Member> Node::members() const {
  return is_map() ? std::span(data_.members, size_) : std::span<const Member>();
}

/// All YAML documents of one file.
class Document {
 public:
  /// Reads a file. What is wrong with it goes to `diagnostics`; keys that are there twice are
  /// reported and the first is kept, anything else ends the reading.
  /// \return nothing if the text could not be read to its end.
  [[nodiscard]] static std::optional<Document> parse(std::shared_ptr<const SourceFile> file,
                                                     Diagnostics& diagnostics);

  [[nodiscard]] const SourceFile& file() const { return *file_; }
  [[nodiscard]] const std::shared_ptr<const SourceFile>& shared_file() const { return file_; }
  /// One for each document; none if the file holds nothing but comments.
  [[nodiscard]] std::span<const Node> roots() const { return roots_; }

 private:
  explicit Document(std::shared_ptr<const SourceFile> file)
      : file_(std::move(file)), memory_(std::make_unique<std::pmr::monotonic_buffer_resource>()) {}

  std::shared_ptr<const SourceFile> file_;
  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_;
  std::vector<Node> roots_;
};

}  // namespace gannet::control
