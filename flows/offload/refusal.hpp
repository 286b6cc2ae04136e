// SPDX-License-Identifier: BSD-3-Clause
// Refusal reasons as an enumeration; refusals.def is the list. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gannet::offload {

enum class Refusal : std::uint8_t {
  kNone,
#define REFUSAL(name, kind, sentence, remedy) name,
#include "flows/offload/refusals.def"
#undef REFUSAL
  kCount,
};
inline constexpr std::size_t kRefusalCount = static_cast<std::size_t>(Refusal::kCount);

enum class RefusalKind : std::uint8_t { kWait, kLasting };

/// The reason's name as in refusals.def; "none" for kNone.
[[nodiscard]] std::string_view name_of(Refusal reason);
/// One sentence for people.
[[nodiscard]] std::string_view sentence_of(Refusal reason);
[[nodiscard]] RefusalKind kind_of(Refusal reason);

}  // namespace gannet::offload
