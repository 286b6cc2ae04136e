// SPDX-License-Identifier: BSD-3-Clause
// What one policy changes of another, object by object: for people before they apply it, and for
// tests that a change touches only what changed. Where things stand in their files, and whether a
// default is written out, makes no difference.
// Control thread and command line; linear in the size of both.
#pragma once

#include "control/policy/model.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gannet::control {

enum class ChangeKind : std::uint8_t { kAdded, kRemoved, kChanged };
[[nodiscard]] std::string_view to_string(ChangeKind kind);

/// One field of a changed object. The name of a field inside another is joined with '.'; an element
/// of a list of named things (a rule) is named after '/': "ingress/https.ports".
struct FieldChange {
  std::string field;
  std::string before;  // As JSON; empty: it was not there.
  std::string after;
  friend bool operator==(const FieldChange&, const FieldChange&) = default;
};

struct ObjectChange {
  std::string_view
      kind;          // "vpc", "subnet", "mapping", "eni" and so on, as the sections are called.
  std::string name;  // Subnets and mappings after their VPC: "shop/web".
  ChangeKind change = ChangeKind::kChanged;
  std::vector<FieldChange> fields;  // Of a changed object.
  friend bool operator==(const ObjectChange&, const ObjectChange&) = default;
};

/// In the order of the sections; within a section first what is added or changed, in the order of
/// `after`, then what is removed.
[[nodiscard]] std::vector<ObjectChange> diff(const Policy& before, const Policy& after);

}  // namespace gannet::control
