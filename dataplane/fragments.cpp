// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fragments.hpp"

#include <algorithm>

namespace gannet::dataplane {
namespace {

bool is_same_packet(const Fragments::Piece& a, const Fragments::Piece& b) {
  return a.id == b.id && a.zone == b.zone && a.protocol == b.protocol && a.source == b.source &&
         a.destination == b.destination;
}

}  // namespace

Fragments::Fragments(Ticks timeout, unsigned capacity)
    : timeout_(timeout), entries_(capacity), max_per_zone_(std::max(capacity / 4, 1u)) {}

// The entry of the piece's packet, or a free one for it; null if there is no room. The table is
// small and fragments are rare: a walk is cheaper than an index that somebody could aim at.
Fragments::Entry* Fragments::find_or_take(const Piece& piece, Ticks now) {
  Entry* free = nullptr;
  unsigned of_zone = 0;
  for (Entry& e : entries_) {
    if (!e.is_used) {
      if (free == nullptr) free = &e;
      continue;
    }
    if (is_same_packet(e.key, piece)) return &e;
    if (e.key.zone == piece.zone) ++of_zone;
  }
  if (free == nullptr || of_zone >= max_per_zone_) return nullptr;
  free->is_used = true;
  free->is_poisoned = free->has_last = false;
  free->key = piece;
  free->deadline = now + timeout_;
  free->total = free->received = 0;
  free->count = 0;
  ++used_count_;
  return free;
}

// Puts a piece in its place, or says why not.
DropReason Fragments::insert(Entry& entry, const Piece& piece) {
  if (entry.is_poisoned) return DropReason::fragment_overlap;
  const std::uint32_t end = std::uint32_t{piece.offset} + piece.size;
  auto* const last = entry.spans.data() + entry.count;
  auto* const at = std::find_if(entry.spans.data(), last,
                                [&](const Entry::Span& s) { return s.offset >= piece.offset; });
  if (at != last && at->offset == piece.offset && at->size == piece.size) {
    return DropReason::fragment_duplicate;
  }
  const bool overlaps_next = at != last && at->offset < end;
  const bool overlaps_previous =
      at != entry.spans.data() && std::uint32_t{at[-1].offset} + at[-1].size > piece.offset;
  const bool contradicts_end =
      (entry.has_last && (piece.is_last || end > entry.total)) || (piece.is_last && at != last);
  if (overlaps_next || overlaps_previous || contradicts_end) {
    entry.is_poisoned = true;
    return DropReason::fragment_overlap;
  }
  if (entry.count == kMaxFragments) {
    entry.is_poisoned = true;
    return DropReason::fragment_limit;
  }
  std::move_backward(at, last, last + 1);
  *at = {piece.offset, piece.size, piece.handle};
  ++entry.count;
  ++held_count_;
  entry.received += piece.size;
  if (piece.is_last) {
    entry.has_last = true;
    entry.total = end;
  }
  return DropReason::kNone;
}

void Fragments::give_back(Entry& entry, Result& result) {
  for (unsigned i = 0; i < entry.count; ++i) {
    result.give_back[result.count++] = entry.spans[i].handle;
  }
  held_count_ -= entry.count;
  entry.count = 0;
}

Fragments::Result Fragments::add(const Piece& piece, Ticks now) {
  Result result;
  Entry* const entry = find_or_take(piece, now);
  if (entry == nullptr) {
    result.reason = DropReason::fragment_limit;
    result.give_back[result.count++] = piece.handle;
    return result;
  }
  result.reason = insert(*entry, piece);
  if (result.reason != DropReason::kNone) {
    if (entry->is_poisoned) give_back(*entry, result);
    result.give_back[result.count++] = piece.handle;
    return result;
  }
  if (entry->has_last && entry->received == entry->total) {
    result.is_whole = true;
    result.total = entry->total;
    give_back(*entry, result);
    entry->is_used = false;
    --used_count_;
  }
  return result;
}

template <typename IsDue>
Fragments::Result Fragments::take_one(IsDue&& is_due) {
  Result result;
  if (used_count_ == 0) return result;
  for (Entry& e : entries_) {
    if (!e.is_used || !is_due(e)) continue;
    e.is_used = false;
    --used_count_;
    if (e.count == 0) continue;
    result.reason = DropReason::fragment_timeout;
    give_back(e, result);
    return result;
  }
  return result;
}

Fragments::Result Fragments::expire(Ticks now) {
  return take_one([now](const Entry& e) { return reached(now, e.deadline); });
}

Fragments::Result Fragments::drain() {
  return take_one([](const Entry&) { return true; });
}

}  // namespace gannet::dataplane
