// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fragments.hpp"

#include <algorithm>

namespace gannet::dataplane {
namespace {

constexpr unsigned kZoneShare = 4;  // Of a zone: a quarter of everything.

bool is_earlier(Ticks a, Ticks b) { return a != b && reached(b, a); }

bool is_same_packet(const Fragments::Piece& a, const Fragments::Piece& b) {
  return a.id == b.id && a.zone == b.zone && a.protocol == b.protocol && a.source == b.source &&
         a.destination == b.destination;
}

}  // namespace

Fragments::Fragments(const Limits& limits) : limits_(limits), entries_(limits.max_packets) {}

// The table is small and fragments are rare: a walk is cheaper than an index that somebody could
// aim at.
Fragments::Census Fragments::count(const Piece& piece) {
  Census c;
  for (Entry& e : entries_) {
    if (!e.is_used) {
      if (c.free == nullptr) c.free = &e;
      continue;
    }
    const bool is_of_zone = e.key.zone == piece.zone;
    if (is_of_zone) {
      ++c.packets_of_zone;
      c.held_of_zone += e.count;
      if (e.key.source == piece.source) ++c.packets_of_sender;
    }
    if (is_same_packet(e.key, piece)) {
      c.own = &e;
      continue;
    }
    // Of equal timeouts, so the first to end is the oldest.
    if (c.oldest == nullptr || is_earlier(e.deadline, c.oldest->deadline)) c.oldest = &e;
    const bool is_older =
        c.oldest_of_zone == nullptr || is_earlier(e.deadline, c.oldest_of_zone->deadline);
    if (is_of_zone && is_older) c.oldest_of_zone = &e;
  }
  return c;
}

void Fragments::evict(Entry& entry, Result& result) {
  for (unsigned i = 0; i < entry.count; ++i) result.evicted[i] = entry.spans[i].handle;
  result.evicted_count = entry.count;
  held_count_ -= entry.count;
  entry.is_used = false;
  --used_count_;
}

// The entry of the piece's packet, or one for it, with room for one more fragment; null if there is
// none for this sender.
Fragments::Entry* Fragments::make_room(const Piece& piece, Ticks now, Result& result) {
  const Census c = count(piece);
  const unsigned zone_packets = std::max(limits_.max_packets / kZoneShare, 1u);
  const unsigned zone_fragments = std::max(limits_.max_fragments / kZoneShare, 1u);
  const bool is_shared = piece.zone.kind != flows::ZoneKind::kEni;
  const unsigned sender_packets = is_shared ? std::max(zone_packets / 2, 1u) : zone_packets;
  const bool is_new = c.own == nullptr;
  if (is_new && is_shared && c.packets_of_sender >= sender_packets) return nullptr;
  Entry* victim = nullptr;
  if ((is_new && c.packets_of_zone >= zone_packets) || c.held_of_zone >= zone_fragments) {
    if (c.oldest_of_zone == nullptr) return nullptr;
    victim = c.oldest_of_zone;
  } else if ((is_new && c.free == nullptr) || held_count_ >= limits_.max_fragments) {
    if (c.oldest == nullptr) return nullptr;
    victim = c.oldest;
  }
  if (victim != nullptr) evict(*victim, result);
  if (!is_new) return c.own;
  Entry* const entry = c.free != nullptr ? c.free : victim;
  entry->is_used = true;
  entry->is_poisoned = entry->has_last = false;
  entry->key = piece;
  entry->deadline = now + limits_.timeout;
  entry->total = entry->received = 0;
  entry->count = 0;
  ++used_count_;
  return entry;
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
  Entry* const entry = make_room(piece, now, result);
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
