// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/decode.hpp"

#include "control/policy/decoder.hpp"
#include "control/policy/fields_host.hpp"
#include "control/policy/fields_test.hpp"
#include "control/policy/names.hpp"
#include "control/policy/nearest.hpp"
#include "control/policy/plain_text.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace gannet::control {
namespace {

constexpr auto kKinds = std::to_array<std::string_view>({"HostConfig", "Policy", "PolicyTest"});

std::string describe_node(const Node& node) {
  switch (node.kind()) {
    case Node::Kind::kNull: return "nothing";
    case Node::Kind::kSequence: return "a list";
    case Node::Kind::kMap: return "a mapping";
    case Node::Kind::kScalar: break;
  }
  return fmt::format("'{}'", node.text());
}

const Member* find_member(const Node& node, std::string_view name) {
  const auto members = node.members();
  const auto found = std::find_if(members.begin(), members.end(),
                                  [name](const Member& m) { return m.key.text() == name; });
  return found == members.end() ? nullptr : &*found;
}

}  // namespace

FieldReader::FieldReader(Decoder& decoder, const Node& node, const Place& owner,
                         std::string_view name)
    : decoder_(decoder), node_(node), owner_(owner), name_(name), is_taken_(node.members().size()) {
  // Rules and test cases say what they are called in a field.
  if (const Member* const field = find_member(node, "name"); name.empty() && field != nullptr) {
    name_ = field->value.text();
  }
}

void FieldReader::finish() {
  if (is_bare_ || !is_recognised_) return;
  check_alternatives();
  const auto members = node_.members();
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!is_taken_[i]) report_unknown(members[i]);
  }
}

void FieldReader::misplaced(const char* name, const char* sentence) {
  if (find(name) == nullptr) return;
  decoder_.error(Slug::unknown_field, decoder_.place(take(name)->key),
                 fmt::format("'{}' does not belong here: {}", name, sentence));
  known_.pop_back();
}

const Member* FieldReader::find(std::string_view name) const { return find_member(node_, name); }

const Member* FieldReader::take(std::string_view name) {
  known_.push_back(name);
  const Member* const found = find(name);
  if (found != nullptr) is_taken_[static_cast<std::size_t>(found - node_.members().data())] = true;
  return found;
}

void FieldReader::report_missing(std::string_view name) {
  if (is_bare_) return;
  decoder_.error(Slug::missing_field, owner_,
                 fmt::format("{} lacks the required field '{}'", describe_owner(), name));
}

void FieldReader::report_unknown(const Member& member) {
  const auto key = member.key.text();
  std::string hint;
  if (const auto colon = key.find(':'); member.value.is_null() && colon != std::string_view::npos) {
    hint = "; a space is missing after ':'";
  } else if (decoder_.wants_notes()) {
    NearestName nearest(key);
    for (const auto name : known_) nearest.offer(name);
    if (const auto best = nearest.best()) hint = fmt::format("; did you mean '{}'?", *best);
  }
  auto& diagnostic =
      decoder_.error(Slug::unknown_field, decoder_.place(member.key),
                     fmt::format("unknown field '{}' in {}{}", key, describe_owner(), hint));
  if (hint.empty()) {
    diagnostic.note(decoder_.place(member.key),
                    fmt::format("known fields are {}", fmt::join(known_, ", ")));
  }
}

void FieldReader::check_alternatives() {
  if (alternatives_.empty()) return;
  const Alternative* first = nullptr;
  for (const auto& alternative : alternatives_) {
    if (alternative.member == nullptr) continue;
    if (first != nullptr) {
      decoder_
          .error(Slug::conflicting_fields, decoder_.place(alternative.member->key),
                 fmt::format("{} has '{}' already; only one of them can be there", describe_owner(),
                             first->name))
          .note(decoder_.place(first->member->key), fmt::format("'{}' is here", first->name));
      return;
    }
    first = &alternative;
  }
  if (first != nullptr) return;
  std::vector<std::string_view> names;
  for (const auto& alternative : alternatives_) names.push_back(alternative.name);
  decoder_.error(Slug::missing_field, owner_,
                 fmt::format("{} needs {}", describe_owner(), describe_words(names)));
}

void FieldReader::check_not_empty(const Member& member) {
  if (!member.value.is_sequence() || !member.value.items().empty()) return;
  decoder_.error(Slug::empty_list, decoder_.place(member.value),
                 fmt::format("'{}' of {} cannot be empty", member.key.text(), describe_owner()));
}

std::string FieldReader::describe_owner() const {
  return name_.empty() ? fmt::format("{}", word_) : fmt::format("{} '{}'", word_, name_);
}

bool Decoder::read(const Node& node, Duration& out, Positive) {
  Duration duration{};
  if (!read(node, duration)) return false;
  if (duration == Duration::zero()) {
    return reject(node, ValueError{Slug::out_of_range, "the time cannot be zero"});
  }
  out = duration;
  return true;
}

bool Decoder::read(const Node& node, std::vector<Label>& out) {
  if (!node.is_map()) return reject(node, "a mapping of texts");
  for (const Member& member : node.members()) {
    Label& label = out.emplace_back();
    label.key = member.key.text();
    (void)read(member.value, label.value);
  }
  return true;
}

bool Decoder::reject(const Node& node, std::string_view expected) {
  // The place of what is not there is that of its key.
  const bool needs_brackets = node.is_scalar() && expected == "a list";
  error(Slug::wrong_type, place(node),
        fmt::format("{}expected {}, found {}{}", prefix(), expected, describe_node(node),
                    needs_brackets ? fmt::format("; write [{}]", node.text()) : ""));
  return false;
}

bool Decoder::reject(const Node& node, const ValueError& what) {
  error(what.slug, place(node), prefix() + what.message);
  return false;
}

void Decoder::warn_of_other_readers(const Node& node, bool is_mac) {
  const bool is_other = reads_as_other_type(node.text());
  if (is_mac) {
    diagnostics_.warning(
        Slug::unquoted_mac, place(node),
        fmt::format("a MAC address without quotes {} to other YAML readers; write \"{}\"",
                    is_other ? "is a number" : "may look like a number", node.text()));
  } else if (is_other) {
    diagnostics_.warning(
        Slug::unquoted_text, place(node),
        fmt::format("'{0}' without quotes is no text to other YAML readers; write \"{0}\"",
                    node.text()));
  }
}

std::string Decoder::prefix() const {
  return field_.empty() ? std::string() : fmt::format("field '{}': ", field_);
}

void Decoder::name_object(const Node& key, Named& object) {
  object.name = key.text();
  object.place = place(key);
  if (const char* const flaw = name_flaw(object.name))
    error(Slug::invalid_name, object.place, flaw);
  if (key.is_plain()) warn_of_other_readers(key, false);
}

void Decoder::name_object(const Node& key, Mapping& mapping) {
  mapping.place = place(key);
  mapping.name = read(key, mapping.address) ? gannet::to_string(*mapping.address) : key.text();
}

Place Decoder::place_of_name(const Node& node) const {
  const Member* const name = find_member(node, "name");
  return place(name == nullptr ? node : name->value);
}

std::string_view to_string(Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

namespace {

// The texts of `apiVersion` and `kind`, reported if they are missing or no texts.
const Node* find_header_field(Decoder& decoder, const Node& root, std::string_view name) {
  const Member* const member = find_member(root, name);
  if (member == nullptr) {
    decoder.error(Slug::missing_field, decoder.place(root),
                  fmt::format("the document lacks '{}'", name));
    return nullptr;
  }
  if (!member->value.is_scalar()) {
    decoder.error(
        Slug::wrong_type, decoder.place(member->value),
        fmt::format("field '{}': expected a text, found {}", name, describe_node(member->value)));
    return nullptr;
  }
  return &member->value;
}

template <typename T>
void decode_root(const SourceFile& file, const Node& root, T& out, Diagnostics& diagnostics) {
  Decoder decoder(file, diagnostics);
  const Member* const kind = find_member(root, "kind");
  const Place owner = decoder.place(kind == nullptr ? root : kind->value);
  decoder.read_fields(root, out, owner, "", true);
}

}  // namespace

std::optional<Header> decode_header(const SourceFile& file, const Node& root,
                                    Diagnostics& diagnostics) {
  Decoder decoder(file, diagnostics);
  if (!root.is_map()) {
    decoder.error(
        Slug::wrong_type, decoder.place(root),
        fmt::format("expected a document with apiVersion and kind, found {}", describe_node(root)));
    return std::nullopt;
  }
  const Node* const version = find_header_field(decoder, root, "apiVersion");
  const Node* const kind = find_header_field(decoder, root, "kind");
  const bool is_known_version = version != nullptr && version->text() == kApiVersion;
  if (version != nullptr && !is_known_version) {
    decoder.error(Slug::unknown_version, decoder.place(*version),
                  fmt::format("apiVersion '{}' is not known; this program reads '{}'",
                              version->text(), kApiVersion));
  }
  if (kind == nullptr) return std::nullopt;
  const auto index = read_word({kind->text(), kind->is_plain()}, kKinds);
  if (!index) {
    decoder.error(Slug::unknown_kind, decoder.place(*kind),
                  "field 'kind': " + index.error().message);
    return std::nullopt;
  }
  if (!is_known_version) return std::nullopt;
  return Header{static_cast<Kind>(*index), decoder.place(*kind)};
}

void decode(const SourceFile& file, const Node& root, Policy& policy, Diagnostics& diagnostics) {
  const auto before = std::exchange(policy.metadata, {});
  decode_root(file, root, policy, diagnostics);
  if (!before.is_given) return;
  if (policy.metadata.is_given && policy.metadata != before) {
    diagnostics
        .error(Slug::conflicting_metadata, policy.metadata.place,
               "metadata differs from that of another document of the same policy")
        .note(before.place, "the other one is here");
  }
  policy.metadata = before;
}

void decode(const SourceFile& file, const Node& root, HostConfig& host, Diagnostics& diagnostics) {
  decode_root(file, root, host, diagnostics);
}

void decode(const SourceFile& file, const Node& root, PolicyTest& test, Diagnostics& diagnostics) {
  decode_root(file, root, test, diagnostics);
}

}  // namespace gannet::control
