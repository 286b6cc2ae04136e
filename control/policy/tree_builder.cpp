// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/tree_builder.hpp"

#include "control/policy/encoding.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>

#include <fmt/format.h>

namespace gannet::control {
namespace {

// What yaml-cpp says, and what an operator can do with.
struct Translation {
  std::string_view theirs;
  std::string_view ours;
};
constexpr auto kTranslations = std::to_array<Translation>({
    {"end of map not found", "this is neither a 'key: value' nor indented like the keys before it"},
    {"end of map flow not found", "expected ',' or '}'"},
    {"end of sequence not found", "expected '-' or an indentation like that of the list's owner"},
    {"end of sequence flow not found", "expected ',' or ']'"},
    {"illegal flow end", "this bracket closes nothing that is open"},
    {"illegal map value", "a ':' is not possible here; quote a text that contains ': '"},
    {"illegal map key", "a '?' is not possible here; quote a text that begins with '? '"},
    {"illegal block entry", "a '-' is not possible here"},
    {"unknown token", "this character cannot begin a value; quote the text"},
    {"illegal EOF in scalar", "the text ends inside quotes"},
    {"the referenced anchor is not defined", "no anchor '&' of this name comes before the alias"},
});

std::string translate(std::string_view theirs) {
  for (const auto& [key, ours] : kTranslations) {
    if (theirs == key) return std::string(ours);
  }
  return std::string(theirs);
}

}  // namespace

void TreeBuilder::OnDocumentStart(const YAML::Mark& mark) {
  anchors_.clear();
  // What is left over after a value would be the next document to yaml-cpp, without end if it is
  // something that it does not consume.
  const auto offset = static_cast<std::uint32_t>(mark.pos);
  if (!roots_.empty() &&
      !text_.substr(std::min<std::size_t>(offset, text_.size())).starts_with("---")) {
    stop(Slug::syntax, {&file_, offset, 1},
         "nothing can follow here but a new document after '---'");
  }
}

void TreeBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  Node node = start_node(Node::Kind::kNull, mark, "?");
  place_null(node);
  remember(anchor, node);
  add(node);
}

void TreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const auto offset = static_cast<std::uint32_t>(mark.pos);
  const auto end = std::min(text_.find_first_of(" \t\r\n,]}", offset), text_.size());
  const Place where{&file_, offset, static_cast<std::uint32_t>(end - offset)};
  if (anchor >= anchors_.size() || !anchors_[anchor]) {
    stop(Slug::alias_limit, where, "an alias cannot be inside of what it stands for");
  }
  Node node = *anchors_[anchor];
  alias_node_count_ += node.node_count_;
  if (alias_node_count_ > kMaxAliasNodes) {
    stop(Slug::alias_limit, where,
         fmt::format("aliases blow the file up by more than {} values", kMaxAliasNodes));
  }
  if (open_.size() + node.height_ > kMaxDepth + 1) {
    stop(Slug::too_deep, where, fmt::format("more than {} levels of nesting", kMaxDepth));
  }
  node.offset_ = where.offset;
  node.length_ = where.length;
  add(node);
}

void TreeBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           const std::string& value) {
  Node node = start_node(Node::Kind::kScalar, mark, tag);
  node.is_plain_ = tag == "?";
  node.length_ = scalar_length(node.offset_, value);
  node.size_ = static_cast<std::uint32_t>(value.size());
  node.data_.text = keep_text(node, value);
  remember(anchor, node);
  add(node);
}

void TreeBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                  YAML::anchor_t anchor, YAML::EmitterStyle::value) {
  open(Node::Kind::kSequence, mark, tag, anchor);
}

void TreeBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                             YAML::EmitterStyle::value) {
  open(Node::Kind::kMap, mark, tag, anchor);
}

void TreeBuilder::report(const YAML::Exception& error) {
  const auto offset = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(error.mark.pos, 0, static_cast<std::int64_t>(text_.size())));
  auto& diagnostic = diagnostics_.error(Slug::syntax, {&file_, offset, 1}, translate(error.msg));
  if (open_.empty()) return;
  const Node& innermost = open_.back().node;
  const char bracket = innermost.offset_ < text_.size() ? text_[innermost.offset_] : '\0';
  if (bracket == '{' || bracket == '[') {
    diagnostic.note(place(innermost), fmt::format("inside the '{}' that is opened here", bracket));
  }
}

Node TreeBuilder::start_node(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
  Node node;
  node.kind_ = kind;
  node.offset_ = skip_properties(static_cast<std::uint32_t>(mark.pos));
  node.length_ = 1;
  // "?" is no tag, "!" no tag of a quoted text.
  if (tag != "?" && tag != "!") {
    diagnostics_.error(Slug::unsupported_tag, {&file_, static_cast<std::uint32_t>(mark.pos), 1},
                       "tags ('!') have no meaning here; quote a value that is to be text");
  }
  return node;
}

void TreeBuilder::open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor) {
  const Node node = start_node(kind, mark, tag);
  if (open_.size() == kMaxDepth) {
    stop(Slug::too_deep, place(node), fmt::format("more than {} levels of nesting", kMaxDepth));
  }
  open_.push_back({node, pending_.size(), anchor});
}

void TreeBuilder::close() {
  auto [node, first, anchor] = open_.back();
  open_.pop_back();
  const auto children = std::span(pending_).subspan(first);
  for (const Node& child : children) {
    node.node_count_ += child.node_count_;
    node.height_ = std::max<std::uint16_t>(node.height_, child.height_ + 1);
  }
  if (node.is_map()) {
    fill_map(node, children);
  } else {
    Node* const items = allocate<Node>(children.size());
    std::copy(children.begin(), children.end(), items);
    node.data_.items = items;
    node.size_ = static_cast<std::uint32_t>(children.size());
  }
  pending_.resize(first);
  remember(anchor, node);
  add(node);
}

void TreeBuilder::add(Node node) {
  if (++node_count_ > kMaxNodes) {
    stop(Slug::too_large, place(node), fmt::format("more than {} values in one file", kMaxNodes));
  }
  if (open_.empty()) {
    roots_.push_back(node);
    return;
  }
  if (awaits_key()) check_key(node);
  pending_.push_back(node);
}

void TreeBuilder::remember(YAML::anchor_t anchor, const Node& node) {
  if (anchor == YAML::NullAnchor) return;
  if (anchors_.size() <= anchor) anchors_.resize(anchor + 1);
  anchors_[anchor] = node;
}

void TreeBuilder::check_key(const Node& key) {
  if (!key.is_scalar()) stop(Slug::bad_key, place(key), "a key must be a text");
  if (is_merge_key(key)) {
    diagnostics_.error(Slug::merge_key, place(key),
                       "merge keys ('<<') are not supported; write the fields out or use an alias "
                       "for a whole value");
  }
}

// yaml-cpp gives a value that is not there the place of whatever comes next.
void TreeBuilder::place_null(Node& node) const {
  if (open_.empty()) return;
  if (awaits_key()) return;  // The mark is that of the ':' behind it.
  if (open_.back().node.is_map()) {
    node.offset_ = pending_.back().offset_;
    node.length_ = pending_.back().length_;
    return;
  }
  const auto before = text_.find_last_not_of(" \t\r\n", node.offset_ == 0 ? 0 : node.offset_ - 1);
  if (before != std::string_view::npos) node.offset_ = static_cast<std::uint32_t>(before);
}

void TreeBuilder::fill_map(Node& map, std::span<const Node> children) {
  constexpr std::size_t kFewKeys = 16;  // So few are compared with each other.
  Member* const members = allocate<Member>(children.size() / 2);
  std::size_t count = 0;
  std::unordered_map<std::string_view, std::size_t> index;
  const auto find_earlier = [&](std::string_view key) -> const Member* {
    if (children.size() / 2 > kFewKeys) {
      const auto [at, is_new] = index.emplace(key, count);
      return is_new ? nullptr : &members[at->second];
    }
    const auto* const found = std::find_if(members, members + count,
                                           [key](const Member& m) { return m.key.text() == key; });
    return found == members + count ? nullptr : found;
  };
  for (std::size_t i = 0; i + 1 < children.size(); i += 2) {
    const Node& key = children[i];
    if (is_merge_key(key)) continue;  // Reported where it was read.
    if (const Member* const earlier = find_earlier(key.text())) {
      diagnostics_
          .error(Slug::duplicate_key, place(key), fmt::format("duplicate key '{}'", key.text()))
          .note(place(earlier->key), "first defined here");
    } else {
      members[count++] = {key, children[i + 1]};
    }
  }
  map.data_.members = members;
  map.size_ = static_cast<std::uint32_t>(count);
}

bool TreeBuilder::awaits_key() const {
  return open_.back().node.is_map() && (pending_.size() - open_.back().first_child) % 2 == 0;
}

// The mark of a value with an anchor or a tag is theirs.
std::uint32_t TreeBuilder::skip_properties(std::uint32_t offset) const {
  std::size_t at = offset;
  while (at < text_.size() && (text_[at] == '&' || text_[at] == '!')) {
    at = text_.find_first_of(" \t\r\n,[]{}", at);
    at = text_.find_first_not_of(" \t\r\n", at);
  }
  return at < text_.size() ? static_cast<std::uint32_t>(at) : offset;
}

// What of a scalar is underlined: its quotes too, its first line only, of a block the indicator.
std::uint32_t TreeBuilder::scalar_length(std::uint32_t offset, std::string_view value) const {
  const auto rest = text_.substr(std::min<std::size_t>(offset, text_.size()));
  const auto line = rest.substr(0, rest.find_first_of("\r\n"));
  if (line.empty()) return 1;
  const char quote = line[0];
  if (quote == '|' || quote == '>') return 1;
  if (quote != '"' && quote != '\'') {
    return static_cast<std::uint32_t>(line.starts_with(value) ? value.size() : line.size());
  }
  for (std::size_t i = 1; i < line.size(); ++i) {
    const bool is_escape = quote == '"' ? line[i] == '\\' : line.substr(i).starts_with("''");
    if (is_escape) {
      ++i;
    } else if (line[i] == quote) {
      return static_cast<std::uint32_t>(i + 1);
    }
  }
  return static_cast<std::uint32_t>(line.size());
}

// Nearly every scalar stands in the text as it is and needs no memory of its own.
const char* TreeBuilder::keep_text(const Node& node, const std::string& value) {
  const std::size_t start = node.offset_ + (node.is_plain() ? 0 : 1);
  if (start <= text_.size() && text_.substr(start).starts_with(value)) return text_.data() + start;
  if (const auto flaw = find_flaw(value)) {
    stop(Slug::invalid_text, place(node), fmt::format("the text contains {}", flaw->what));
  }
  char* const copy = allocate<char>(value.size());
  std::memcpy(copy, value.data(), value.size());
  return copy;
}

void TreeBuilder::stop(Slug slug, const Place& where, std::string message) {
  diagnostics_.error(slug, where, std::move(message));
  throw Stop{};
}

template <typename T>
T* TreeBuilder::allocate(std::size_t count) {
  return static_cast<T*>(memory_.allocate(count * sizeof(T), alignof(T)));
}

}  // namespace gannet::control
