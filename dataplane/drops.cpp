// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/drops.hpp"

namespace gannet::dataplane {
namespace {

struct Text {
  std::string_view name;
  std::string_view sentence;
};

constexpr Text kTexts[] = {
    {"none", "not dropped"},
#define DROP(name, sentence) {#name, sentence},
#include "dataplane/drops.def"
#undef DROP
};
static_assert(std::size(kTexts) == kDropReasonCount);

}  // namespace

std::string_view name_of(DropReason reason) {
  return kTexts[static_cast<std::size_t>(reason)].name;
}

std::string_view sentence_of(DropReason reason) {
  return kTexts[static_cast<std::size_t>(reason)].sentence;
}

DropReason reason_of(packet::ParseError error) {
  switch (error) {
    case packet::ParseError::kNone: return DropReason::kNone;
    case packet::ParseError::kRunt: return DropReason::runt;
    case packet::ParseError::kNotEthernet2: return DropReason::not_ethernet2;
    case packet::ParseError::kTruncated: return DropReason::truncated;
    case packet::ParseError::kBadIpHeader: return DropReason::bad_ip_header;
    case packet::ParseError::kBadIpLength: return DropReason::bad_ip_length;
    case packet::ParseError::kBadL4Header: return DropReason::bad_l4_header;
    case packet::ParseError::kBadExtensionHeader: return DropReason::bad_extension_header;
    case packet::ParseError::kTinyFragment: return DropReason::tiny_fragment;
    case packet::ParseError::kBadFragment: return DropReason::bad_fragment;
  }
  return DropReason::truncated;
}

}  // namespace gannet::dataplane
