// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/capabilities.hpp"

#include <iterator>

namespace gannet::offload {
namespace {

struct Text {
  std::string_view name;
  std::string_view loss;
};

constexpr Text kTexts[] = {
#define ABILITY(name, loss) {#name, loss},
#include "flows/offload/abilities.def"
#undef ABILITY
};
static_assert(std::size(kTexts) == kAbilityCount && kAbilityCount < 64);

}  // namespace

std::string_view name_of(Ability ability) { return kTexts[static_cast<int>(ability)].name; }
std::string_view loss_of(Ability ability) { return kTexts[static_cast<int>(ability)].loss; }

}  // namespace gannet::offload
