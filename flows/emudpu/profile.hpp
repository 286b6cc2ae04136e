// SPDX-License-Identifier: BSD-3-Clause
// Capability profiles: what a modelled family of cards accepts and how much of it. Each limit says
// where it comes from.
#pragma once

#include "flows/base/time.hpp"

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include <rte_flow.h>

namespace gannet::emudpu {

/// A set of item or action types, one bit each.
class TypeSet {
 public:
  constexpr TypeSet() = default;
  constexpr TypeSet(std::initializer_list<int> types) {
    for (const int type : types) bits_[type / 64] |= std::uint64_t{1} << type % 64;
  }
  [[nodiscard]] constexpr bool has(int type) const {
    return type >= 0 && type < 128 && (bits_[type / 64] >> type % 64 & 1) != 0;
  }
  [[nodiscard]] constexpr TypeSet operator|(const TypeSet& other) const {
    TypeSet sum;
    for (int i = 0; i < 2; ++i) sum.bits_[i] = bits_[i] | other.bits_[i];
    return sum;
  }

 private:
  std::uint64_t bits_[2] = {};
};

/// In which order the actions of a rule must stand.
enum class ActionOrder : std::uint8_t {
  kAny,            // They are executed in the order given.
  kDecapSetEncap,  // Decapsulation, then changes, then encapsulation, then the fate.
  kStrict,         // The same, and COUNT before all of them.
};

struct Profile {
  const char* name = "";
  TypeSet items;
  TypeSet actions;
  ActionOrder action_order = ActionOrder::kAny;
  std::uint32_t slots = 0;     // Rules in all tables.
  std::uint32_t counters = 0;  // COUNT actions, in rules and indirect.
  std::uint32_t ages = 0;      // AGE actions.
  std::uint32_t meters = 0;
  std::uint32_t max_group = 0;
  std::uint32_t max_priority = 0;       // Lowest precedence that may be asked for.
  std::uint32_t max_root_priority = 0;  // The same in group 0 of ingress and egress.
  std::uint32_t queues = 0;             // Of the template API; 0: there is none.
  bool has_ranges = false;              // `last` for any field, else for fragment offsets only.
  bool needs_fate = false;              // A rule must say where the packet goes.
  bool needs_headers = false;           // A change needs the header's item in the pattern.
  bool has_implicit_source = false;     // A transfer rule without a port item is for its own port.
  bool has_duplicates = true;           // Two rules may have the same match.
  double insert_rate = 0;               // Rules a second; 0: no limit.
  Nanos insert_delay = 0;               // From acceptance to being in force.
};

/// Null if there is no profile of that name.
[[nodiscard]] const Profile* find_profile(std::string_view name);

}  // namespace gannet::emudpu
