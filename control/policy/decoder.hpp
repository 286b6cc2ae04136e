// SPDX-License-Identifier: BSD-3-Clause
// How decode.cpp reads each type of the model; internal to it.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/document.hpp"
#include "control/policy/fields.hpp"
#include "control/policy/short_forms.hpp"
#include "control/policy/values.hpp"

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace gannet::control {

class Decoder;

/// The fields of one object as its table goes through them (fields.hpp).
class FieldReader {
 public:
  /// \param owner where to report what is missing; \param name of the object, empty if it has none.
  FieldReader(Decoder& decoder, const Node& node, const Place& owner, std::string_view name);

  /// Fields that have been read elsewhere.
  void skip(std::string_view name) { (void)take(name); }
  /// Reports the keys for which there was no field. After describe().
  void finish();

  void object(const char* word, const char*) { word_ = word; }
  template <typename T, typename... Extra>
  void required(const char* name, T& member, const char*, const Extra&... extra);
  template <typename T, typename... Extra>
  void optional(const char* name, T& member, const char*, const Extra&... extra);
  template <typename T, typename... Extra>
  void defaulted(const char* name, T& member, const char* sentence, const Extra&... extra) {
    optional(name, member, sentence, extra...);
  }
  template <typename T, typename... Extra>
  void alternative(const char* name, T& member, const char* sentence, const Extra&... extra);
  template <typename T>
  void bare(const char* name, T& member, const char* sentence);
  template <typename E>
  [[nodiscard]] bool selector(const char* name, E& member, const char*);
  void misplaced(const char* name, const char* sentence);

 private:
  struct Alternative {
    std::string_view name;
    const Member* member;
  };

  [[nodiscard]] const Member* find(std::string_view name) const;
  [[nodiscard]] const Member* take(std::string_view name);
  void report_missing(std::string_view name);
  void report_unknown(const Member& member);
  void check_alternatives();
  void check_not_empty(const Member& member);
  [[nodiscard]] std::string describe_owner() const;

  Decoder& decoder_;
  const Node& node_;
  Place owner_;
  std::string_view name_;
  std::string_view word_;
  std::vector<std::string_view> known_;
  std::vector<bool> is_taken_;  // By member.
  std::vector<Alternative> alternatives_;
  bool is_bare_ = false;       // The node is a list that stands for the whole object.
  bool is_recognised_ = true;  // False: it is not known which fields there should be.
};

/// Reads values of any type of the model. Each read() returns whether it made something of the
/// node; of an object that is the case as soon as the node is one, whatever is wrong inside.
class Decoder {
 public:
  Decoder(const SourceFile& file, Diagnostics& diagnostics)
      : diagnostics_(diagnostics), file_(file) {}

  [[nodiscard]] Place place(const Node& node) const { return node.place(file_); }
  Diagnostic& error(Slug slug, const Place& where, std::string message) {
    return diagnostics_.error(slug, where, std::move(message));
  }
  [[nodiscard]] bool wants_notes() const { return diagnostics_.wants_notes(); }

  template <typename T, typename... Extra>
  void read_field(const Member& member, T& out, const Extra&... extra) {
    const auto outer_field = std::exchange(field_, member.key.text());
    owner_ = place(member.key);
    (void)read(member.value, out, extra...);
    field_ = outer_field;
  }

  template <LeafType T>
  [[nodiscard]] bool read(const Node& node, T& out);
  template <WordType E>
  [[nodiscard]] bool read(const Node& node, E& out);
  template <std::unsigned_integral T>
  [[nodiscard]] bool read(const Node& node, T& out, const Range& range);
  [[nodiscard]] bool read(const Node& node, Duration& out, Positive);
  template <typename T, typename... Extra>
  [[nodiscard]] bool read(const Node& node, Located<T>& out, const Extra&... extra);
  template <typename T, typename... Extra>
  [[nodiscard]] bool read(const Node& node, std::optional<T>& out, const Extra&... extra);
  template <typename T>
  [[nodiscard]] bool read(const Node& node, std::vector<Located<T>>& out, OneOrMore);
  template <typename T, typename... Extra>
  [[nodiscard]] bool read(const Node& node, std::vector<T>& out, const Extra&... extra);
  [[nodiscard]] bool read(const Node& node, std::vector<Label>& out);
  template <typename T>
  [[nodiscard]] bool read(const Node& node, Dictionary<T>& out);
  /// An object: anything that has a table of fields.
  template <typename T>
  [[nodiscard]] bool read(const Node& node, T& out);

  /// Reads the fields of an object. \param is_root the header has been read already.
  template <typename T>
  void read_fields(const Node& node, T& out, const Place& owner, std::string_view name,
                   bool is_root = false);

 private:
  template <typename T>
  void read_item(const Node& node, T& out);
  template <typename T, typename Value>
  bool accept(const Node& node, ValueResult<Value>&& value, T& out);
  /// Reports a node of a wrong kind; always false.
  bool reject(const Node& node, std::string_view expected);
  /// Reports what is wrong with a scalar; always false.
  bool reject(const Node& node, const ValueError& error);
  void warn_of_other_readers(const Node& node, bool is_mac);
  [[nodiscard]] std::string prefix() const;
  [[nodiscard]] static Scalar scalar(const Node& node) { return {node.text(), node.is_plain()}; }
  void name_object(const Node& key, Named& object);
  void name_object(const Node& key, Mapping& mapping);
  [[nodiscard]] Place place_of_name(const Node& node) const;

  Diagnostics& diagnostics_;
  const SourceFile& file_;
  std::string_view field_;  // Whose value is being read.
  Place owner_;             // Where to report what an object lacks that is read next.
};

template <typename T, typename... Extra>
void FieldReader::required(const char* name, T& member, const char*, const Extra&... extra) {
  const Member* const found = take(name);
  if (found == nullptr) {
    report_missing(name);
  } else if constexpr ((std::same_as<Extra, MayBeEmpty> || ...)) {
    decoder_.read_field(*found, member);
  } else {
    if constexpr (requires { member.emplace_back(); }) check_not_empty(*found);
    decoder_.read_field(*found, member, extra...);
  }
}

template <typename T, typename... Extra>
void FieldReader::optional(const char* name, T& member, const char*, const Extra&... extra) {
  if (const Member* const found = take(name)) decoder_.read_field(*found, member, extra...);
}

template <typename T, typename... Extra>
void FieldReader::alternative(const char* name, T& member, const char* sentence,
                              const Extra&... extra) {
  alternatives_.push_back({name, find(name)});
  if (alternatives_.back().member != nullptr) check_not_empty(*alternatives_.back().member);
  optional(name, member, sentence, extra...);
}

template <typename T>
void FieldReader::bare(const char* name, T& member, const char* sentence) {
  is_bare_ = node_.is_sequence();
  if (is_bare_) {
    (void)decoder_.read(node_, member);
  } else {
    required(name, member, sentence, MayBeEmpty{});
  }
}

template <typename E>
bool FieldReader::selector(const char* name, E& member, const char*) {
  const Member* const found = take(name);
  if (found == nullptr) report_missing(name);
  is_recognised_ = found != nullptr && decoder_.read(found->value, member);
  return is_recognised_;
}

template <typename T, typename Value>
bool Decoder::accept(const Node& node, ValueResult<Value>&& value, T& out) {
  if (!value) return reject(node, value.error());
  out = static_cast<T>(std::move(*value));
  return true;
}

template <LeafType T>
bool Decoder::read(const Node& node, T& out) {
  if (!node.is_scalar()) return reject(node, Leaf<T>::kExpected);
  if (!accept(node, Leaf<T>::read(scalar(node)), out)) return false;
  if (Leaf<T>::kIsText && node.is_plain()) warn_of_other_readers(node, std::same_as<T, Mac>);
  return true;
}

template <WordType E>
bool Decoder::read(const Node& node, E& out) {
  if (!node.is_scalar()) return reject(node, describe_words(kWords<E>));
  return accept(node, read_word(scalar(node), kWords<E>), out);
}

template <std::unsigned_integral T>
bool Decoder::read(const Node& node, T& out, const Range& range) {
  if (!node.is_scalar()) return reject(node, describe_range(range));
  return accept(node, read_integer(scalar(node), range), out);
}

template <typename T, typename... Extra>
bool Decoder::read(const Node& node, Located<T>& out, const Extra&... extra) {
  out.place = place(node);
  out.is_given = read(node, out.value, extra...);
  return out.is_given;
}

template <typename T, typename... Extra>
bool Decoder::read(const Node& node, std::optional<T>& out, const Extra&... extra) {
  const bool is_read = read(node, out.emplace(), extra...);
  if (!is_read) out.reset();
  return is_read;
}

template <typename T>
bool Decoder::read(const Node& node, std::vector<Located<T>>& out, OneOrMore) {
  if (!node.is_scalar()) return read(node, out);
  return read(node, out.emplace_back());
}

template <typename T, typename... Extra>
bool Decoder::read(const Node& node, std::vector<T>& out, const Extra&... extra) {
  if (!node.is_sequence()) return reject(node, "a list");
  out.reserve(out.size() + node.items().size());
  for (const Node& item : node.items()) {
    // An item that cannot be read stays as one that is not given: an empty list would be another
    // mistake than the one that was made.
    if constexpr (sizeof...(Extra) == 1 && (std::same_as<T, Extra> && ...)) {
      read_item(item, out.emplace_back(extra...));
    } else if constexpr (requires { out.back().is_given; }) {
      (void)read(item, out.emplace_back(), extra...);
    } else {
      read_item(item, out.emplace_back());
    }
  }
  return true;
}

template <typename T>
bool Decoder::read(const Node& node, Dictionary<T>& out) {
  if (!node.is_map()) {
    out.set_partial();
    return reject(node, "a mapping of names");
  }
  for (const Member& member : node.members()) {
    T object;
    name_object(member.key, object);
    owner_ = place(member.key);
    (void)read(member.value, object);
    const Place here = object.place;
    const std::string name = object.name;
    if (const T* const other = out.add(std::move(object))) {
      error(Slug::duplicate_name, here, fmt::format("'{}' is defined twice", name))
          .note(other->place, "first defined here");
    }
  }
  return true;
}

template <typename T>
bool Decoder::read(const Node& node, T& out) {
  const Place owner = owner_;
  if constexpr (HasShortForm<T>) {
    if (node.is_scalar()) return accept(node, ShortForm<T>::read(scalar(node), place(node)), out);
    if (!node.is_map()) return reject(node, ShortForm<T>::kExpected);
  }
  constexpr bool kMayBeList = std::same_as<T, PrefixList> || std::same_as<T, RouteTable>;
  if (!node.is_map() && !(kMayBeList && node.is_sequence())) {
    return reject(node, kMayBeList ? "a list" : "a mapping");
  }
  if constexpr (std::derived_from<T, Named>) {
    read_fields(node, out, owner, out.name);
  } else {
    if constexpr (requires { out.place; }) out.place = owner;
    read_fields(node, out, owner, "");
  }
  return true;
}

template <typename T>
void Decoder::read_item(const Node& node, T& out) {
  owner_ = place(node);
  (void)read(node, out);
  if constexpr (requires { out.place; }) out.place = place_of_name(node);
}

template <typename T>
void Decoder::read_fields(const Node& node, T& out, const Place& owner, std::string_view name,
                          bool is_root) {
  FieldReader fields(*this, node, owner, name);
  if (is_root) {
    fields.skip("apiVersion");
    fields.skip("kind");
  }
  describe(fields, out);
  fields.finish();
}

}  // namespace gannet::control
