// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/refusal.hpp"

#include <iterator>

namespace gannet::offload {
namespace {

struct Text {
  std::string_view name;
  RefusalKind kind;
  std::string_view sentence;
};

constexpr Text kTexts[] = {
    {"none", RefusalKind::kWait, "not refused"},
#define REFUSAL(name, kind, sentence, remedy) {#name, RefusalKind::k##kind, sentence},
#include "flows/offload/refusals.def"
#undef REFUSAL
};
static_assert(std::size(kTexts) == kRefusalCount);

const Text& text_of(Refusal reason) { return kTexts[static_cast<std::size_t>(reason)]; }

}  // namespace

std::string_view name_of(Refusal reason) { return text_of(reason).name; }
std::string_view sentence_of(Refusal reason) { return text_of(reason).sentence; }
RefusalKind kind_of(Refusal reason) { return text_of(reason).kind; }

}  // namespace gannet::offload
