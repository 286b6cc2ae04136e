// SPDX-License-Identifier: BSD-3-Clause
// Walks over a worker's connections on account of the card.
#include "dataplane/connections.hpp"

namespace gannet::dataplane {

bool Connections::offer_again(Offer& offer, unsigned budget) {
  if (desk_ == nullptr) return true;
  // What is still on its way may be a refusal for good, of the time before.
  if (desk_->taken_answers() < offer.after_answers) return false;
  const std::uint64_t v4_count = v4_->touched_count();
  const std::uint64_t end = v4_count + v6_->touched_count();
  for (; budget != 0 && offer.cursor < end; --budget, ++offer.cursor) {
    if (offer.cursor < v4_count) {
      OffloadDesk::offer_again((*v4_)[static_cast<std::uint32_t>(offer.cursor)], true);
    } else {
      OffloadDesk::offer_again((*v6_)[static_cast<std::uint32_t>(offer.cursor - v4_count)], true);
    }
  }
  return offer.cursor >= end;
}

void Connections::check_offload(unsigned budget) {
  const auto check = [this](auto& records, std::uint64_t cursor) {
    const auto index = static_cast<std::uint32_t>(cursor);
    const bool is_connection =
        records.is_used(index) && records[index].flows[0].kind == flows::FlowKind::kForward;
    if (is_connection) desk_->check(records, index);
  };
  for (; budget != 0; --budget) {
    const std::uint64_t v4_count = v4_->touched_count();
    if (check_cursor_ >= v4_count + v6_->touched_count()) {
      check_cursor_ = 0;
      return;
    }
    if (check_cursor_ < v4_count) {
      check(*v4_, check_cursor_);
    } else {
      check(*v6_, check_cursor_ - v4_count);
    }
    ++check_cursor_;
  }
}

}  // namespace gannet::dataplane
