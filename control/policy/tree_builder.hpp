// SPDX-License-Identifier: BSD-3-Clause
// Makes the tree of a YAML file of yaml-cpp's events; document.cpp alone includes it.
#pragma once

#include "control/policy/document.hpp"

#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>

namespace gannet::control {

// Thrown through yaml-cpp to end the reading, after a diagnostic has been made.
struct Stop {};

/// Receives yaml-cpp's events of one file and puts the tree together.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const SourceFile& file, std::pmr::memory_resource& memory, std::vector<Node>& roots,
              Diagnostics& diagnostics)
      : file_(file),
        text_(file.text()),
        memory_(memory),
        roots_(roots),
        diagnostics_(diagnostics) {}

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

  /// Reports why yaml-cpp gave up.
  void report(const YAML::Exception& error);

 private:
  // A collection whose end has not come yet.
  struct Open {
    Node node;
    std::size_t first_child;  // In pending_.
    YAML::anchor_t anchor;
  };

  [[nodiscard]] Node start_node(Node::Kind kind, const YAML::Mark& mark, const std::string& tag);
  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor);
  void close();
  void add(Node node);
  void remember(YAML::anchor_t anchor, const Node& node);
  void check_key(const Node& key);
  void place_null(Node& node) const;
  void fill_map(Node& map, std::span<const Node> children);
  [[nodiscard]] bool awaits_key() const;
  [[nodiscard]] static bool is_merge_key(const Node& key) {
    return key.is_plain() && key.text() == "<<";
  }
  [[nodiscard]] std::uint32_t skip_properties(std::uint32_t offset) const;
  [[nodiscard]] std::uint32_t scalar_length(std::uint32_t offset, std::string_view value) const;
  [[nodiscard]] const char* keep_text(const Node& node, const std::string& value);
  [[nodiscard]] Place place(const Node& node) const { return node.place(file_); }
  [[noreturn]] void stop(Slug slug, const Place& where, std::string message);
  template <typename T>
  [[nodiscard]] T* allocate(std::size_t count);

  const SourceFile& file_;
  std::string_view text_;
  std::pmr::memory_resource& memory_;
  std::vector<Node>& roots_;
  Diagnostics& diagnostics_;
  std::vector<Open> open_;
  std::vector<Node> pending_;  // Children of the open collections; keys and values take turns.
  std::vector<std::optional<Node>> anchors_;
  std::size_t node_count_ = 0;
  std::size_t alias_node_count_ = 0;
};

}  // namespace gannet::control
