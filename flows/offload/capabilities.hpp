// SPDX-License-Identifier: BSD-3-Clause
// What a card can do, as far as rules need to know. Found out at start by asking the card
// (probe.hpp), kept as plain facts, and printed, so that everybody can see what degrades and why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gannet::offload {

/// Things that a card may or may not be able to do.
enum class Ability : std::uint8_t {
#define ABILITY(name, loss) name,
#include "flows/offload/abilities.def"
#undef ABILITY
  kCount,
};
inline constexpr std::size_t kAbilityCount = static_cast<std::size_t>(Ability::kCount);

[[nodiscard]] std::string_view name_of(Ability ability);
/// One sentence: what does not work without it.
[[nodiscard]] std::string_view loss_of(Ability ability);

class Capabilities {
 public:
  [[nodiscard]] constexpr bool has(Ability ability) const { return (bits_ & bit(ability)) != 0; }
  constexpr void set(Ability ability, bool value) {
    bits_ = value ? bits_ | bit(ability) : bits_ & ~bit(ability);
  }
  [[nodiscard]] static constexpr Capabilities all() {
    Capabilities c;
    c.bits_ = (std::uint64_t{1} << kAbilityCount) - 1;
    return c;
  }
  [[nodiscard]] constexpr Capabilities without(Ability ability) const {
    Capabilities c = *this;
    c.set(ability, false);
    return c;
  }
  friend constexpr bool operator==(const Capabilities&, const Capabilities&) = default;

 private:
  static constexpr std::uint64_t bit(Ability a) { return std::uint64_t{1} << static_cast<int>(a); }
  std::uint64_t bits_ = 0;
};

}  // namespace gannet::offload
