// SPDX-License-Identifier: BSD-3-Clause
// How each type of the model becomes JSON; internal to json.cpp and schema.cpp.
#pragma once

#include "control/policy/fields.hpp"
#include "control/policy/short_forms.hpp"
#include "control/policy/values.hpp"

#include <concepts>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace gannet::control {

/// The fields of one object as its table goes through them (fields.hpp).
class FieldWriter {
 public:
  [[nodiscard]] Json take() && { return std::move(out_); }
  /// The same, but a list that can stand for the whole object does so if that is all there is.
  [[nodiscard]] Json take_short() && {
    return !bare_.empty() && out_.size() == 1 ? std::move(out_[bare_]) : std::move(out_);
  }

  void object(const char*, const char*) {}
  template <typename T, typename... Extra>
  void required(const char* name, const T& member, const char*, const Extra&... extra);
  template <typename T, typename... Extra>
  void optional(const char* name, const T& member, const char*, const Extra&... extra);
  template <typename T, typename... Extra>
  void defaulted(const char* name, const T& member, const char*, const Extra&... extra);
  template <typename T, typename... Extra>
  void alternative(const char* name, const T& member, const char* sentence, const Extra&... extra) {
    optional(name, member, sentence, extra...);
  }
  template <typename T>
  void bare(const char* name, const T& member, const char* sentence) {
    bare_ = name;
    required(name, member, sentence);
  }
  template <typename E>
  [[nodiscard]] bool selector(const char* name, const E& member, const char* sentence) {
    required(name, member, sentence);
    return true;
  }
  void misplaced(const char*, const char*) {}

 private:
  Json out_ = Json::object();
  std::string bare_;
};

/// Overloads by type; a class, so that each sees all others.
struct JsonWriter {
  template <LeafType T>
  static Json write(const T& value) {
    return Leaf<T>::json(value);
  }
  static Json write(const Duration& value, Positive) { return write(value); }
  template <WordType E>
  static Json write(const E& value) {
    return to_string(value);
  }
  template <std::unsigned_integral T>
  static Json write(const T& value, const Range&) {
    return value;
  }
  template <typename T, typename... Extra>
  static Json write(const Located<T>& value, const Extra&... extra) {
    return write(*value, extra...);
  }
  template <typename T, typename... Extra>
  static Json write(const std::optional<T>& value, const Extra&... extra) {
    return write(*value, extra...);
  }
  template <typename T>
  static Json write(const std::vector<Located<T>>& values, OneOrMore) {
    return values.size() == 1 ? write(values.front()) : write(values);
  }
  template <typename T, typename... Extra>
  static Json write(const std::vector<T>& values, const Extra&... extra) {
    Json out = Json::array();
    for (const T& value : values) {
      if constexpr (std::same_as<T, Located<std::uint32_t>>) {
        out.push_back(write(value, extra...));
      } else {
        out.push_back(write(value));
      }
    }
    return out;
  }
  static Json write(const std::vector<Label>& labels) {
    Json out = Json::object();
    for (const Label& label : labels) out[label.key] = label.value;
    return out;
  }
  template <typename T>
  static Json write(const Dictionary<T>& objects) {
    Json out = Json::object();
    for (const T& object : objects) out[object.name] = write(object);
    return out;
  }
  /// Anything that has a table of fields.
  template <typename T>
  static Json write(const T& object) {
    if constexpr (HasShortForm<T>) {
      if (ShortForm<T>::applies(object)) return ShortForm<T>::json(object);
    }
    FieldWriter fields;
    describe(fields, object);
    return std::move(fields).take_short();
  }
  /// An object as a mapping, even if it could be written shorter.
  template <typename T>
  static Json write_fields(const T& object) {
    FieldWriter fields;
    describe(fields, object);
    return std::move(fields).take();
  }

  /// Whether there is anything to write of a field that may be absent.
  template <typename T>
  static bool is_there(const T& value) {
    if constexpr (requires { value.is_given; }) {
      return value.is_given;
    } else if constexpr (requires { value.has_value(); }) {
      return value.has_value();
    } else if constexpr (requires { value.empty(); }) {
      return !value.empty();
    } else {
      return !(value == T{});
    }
  }
};

template <typename T, typename... Extra>
void FieldWriter::required(const char* name, const T& member, const char*, const Extra&... extra) {
  if constexpr ((std::same_as<Extra, MayBeEmpty> || ...)) {
    out_[name] = JsonWriter::write(member);
  } else {
    out_[name] = JsonWriter::write(member, extra...);
  }
}

template <typename T, typename... Extra>
void FieldWriter::optional(const char* name, const T& member, const char*, const Extra&... extra) {
  if (JsonWriter::is_there(member)) out_[name] = JsonWriter::write(member, extra...);
}

template <typename T, typename... Extra>
void FieldWriter::defaulted(const char* name, const T& member, const char*, const Extra&... extra) {
  out_[name] = JsonWriter::write(member, extra...);
}

}  // namespace gannet::control
