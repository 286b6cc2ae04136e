// SPDX-License-Identifier: BSD-3-Clause
// The building blocks of the model: values that know where they were written, objects with a name,
// and collections of these that keep the order of the file.
// Control thread and command line.
#pragma once

#include "control/policy/source.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gannet::control {

/// A value and where it was written. Equal if the values are: a default that is written out says
/// the same as one that is not.
template <typename T>
struct Located {
  T value{};
  Place place;
  bool is_given = false;  // False: not written, or written so that it could not be read.

  Located() = default;
  // As transparent as it can be. NOLINTNEXTLINE(google-explicit-constructor)
  Located(T v, Place where = {}) : value(std::move(v)), place(where), is_given(true) {}
  [[nodiscard]] static Located by_default(T v) {
    Located located(std::move(v));
    located.is_given = false;
    return located;
  }

  const T& operator*() const { return value; }
  const T* operator->() const { return &value; }
  friend bool operator==(const Located& a, const Located& b) { return a.value == b.value; }
};

/// The name of another object.
using Reference = Located<std::string>;

/// What every object has that can be referred to.
struct Named {
  std::string name;
  Place place;  // Of the name.
  std::string comment;

  friend bool operator==(const Named&, const Named&) = default;
};

/// Objects by name, in the order of the file.
template <typename T>
class Dictionary {
 public:
  [[nodiscard]] const T* find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &items_[found->second];
  }

  /// Adds an object whose name is not there yet.
  /// \return null, or the object that has the name already; then nothing is added.
  const T* add(T object) {
    const auto [at, is_new] =
        index_.emplace(object.name, static_cast<std::uint32_t>(items_.size()));
    if (!is_new) return &items_[at->second];
    items_.push_back(std::move(object));
    return nullptr;
  }

  [[nodiscard]] auto begin() const { return items_.begin(); }
  [[nodiscard]] auto end() const { return items_.end(); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }

  /// Some objects could not be read, so that a name that is not found may be none of the writer's
  /// mistakes.
  [[nodiscard]] bool is_partial() const { return is_partial_; }
  void set_partial() { is_partial_ = true; }

  /// The order of named objects has no meaning.
  friend bool operator==(const Dictionary& a, const Dictionary& b) {
    if (a.size() != b.size()) return false;
    for (const T& object : a) {
      const T* const other = b.find(object.name);
      if (other == nullptr || !(object == *other)) return false;
    }
    return true;
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  std::vector<T> items_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> index_;
  bool is_partial_ = false;
};

}  // namespace gannet::control
