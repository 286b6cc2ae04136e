// SPDX-License-Identifier: BSD-3-Clause
// Drop reasons as an enumeration; drops.def is the list. Any thread.
#pragma once

#include "flows/packet/parse.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gannet::dataplane {

enum class DropReason : std::uint8_t {
  kNone,
#define DROP(name, sentence) name,
#include "dataplane/drops.def"
#undef DROP
  kCount,
};

inline constexpr std::size_t kDropReasonCount = static_cast<std::size_t>(DropReason::kCount);

/// The reason's name as in drops.def; "none" for kNone.
[[nodiscard]] std::string_view name_of(DropReason reason);
/// One sentence for people.
[[nodiscard]] std::string_view sentence_of(DropReason reason);
/// The reason for a frame that does not parse.
[[nodiscard]] DropReason reason_of(packet::ParseError error);

}  // namespace gannet::dataplane
