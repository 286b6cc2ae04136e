// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/rule_queue.hpp"

#include <algorithm>
#include <cerrno>

#include <rte_errno.h>

namespace gannet::offload {

// ENOSPC and its like pass; the others may be lasting, but the probe has said that rules of this
// shape are taken, so they too are worth another try.
Refusal refusal_of(int error) {
  switch (error) {
    case ENOSPC:
    case ENOMEM: return Refusal::card_full;
    case ENOTSUP: return Refusal::match;
    default: return Refusal::insert_failed;
  }
}

Refusal PlainQueue::begin_create(const Pattern& pattern, const Actions& actions, CardRule& out,
                                 Tag tag) {
  const rte_flow_attr attributes = flow_attributes();
  rte_flow_error error{};
  out.flow = rte_flow_create(port_, &attributes, pattern.items(), actions.list(), &error);
  if (out.flow == nullptr) return refusal_of(rte_errno);
  ended_.push_back({tag, Refusal::kNone});
  return Refusal::kNone;
}

void PlainQueue::begin_destroy(CardRule& rule, Tag tag) {
  rte_flow_error error{};
  const bool is_gone = rte_flow_destroy(port_, static_cast<rte_flow*>(rule.flow), &error) == 0;
  if (is_gone) rule.flow = nullptr;
  ended_.push_back({tag, is_gone ? Refusal::kNone : Refusal::stale_rule});
}

unsigned PlainQueue::pull(std::span<Completion> completions) {
  const std::size_t count = std::min(completions.size(), ended_.size());
  std::copy_n(ended_.begin(), count, completions.begin());
  ended_.erase(ended_.begin(), ended_.begin() + static_cast<std::ptrdiff_t>(count));
  return static_cast<unsigned>(count);
}

}  // namespace gannet::offload
