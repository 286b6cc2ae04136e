// SPDX-License-Identifier: BSD-3-Clause
// Fragments wait here until their packet is whole; then they go on one by one, in order, as they
// are. Only so can the first fragment's ports decide about all of them, in whatever order they come
// (F4, G1), and overlapping ones be refused as a whole (RFC 5722, R11). Nothing is ever put
// together or cut anew.
//
// Bounded in packets, fragments and time; each zone has a share, and in a zone that many senders
// use (a tunnel, the underlay) each sender has one, so that nobody's fragments keep out another's
// (G14, S10). In a zone that is full the packet that has waited longest makes room: what is whole
// after a moment, as honest packets are, gets through. Holds packets by opaque handles; the caller
// frees what comes back. Owned by one worker.
#pragma once

#include "dataplane/drops.hpp"
#include "dataplane/tuple.hpp"
#include "flows/base/time.hpp"
#include "flows/key.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace gannet::dataplane {

class Fragments final {
 public:
  static constexpr unsigned kMaxFragments = 48;  // Of one packet: 64 KiB in pieces of 1,400 bytes.
  using Handle = void*;

  /// One fragment, as the parser sees it.
  struct Piece {
    flows::Zone zone;
    IpAddress source;
    IpAddress destination;
    std::uint32_t id = 0;
    std::uint8_t protocol = 0;
    std::uint16_t offset = 0;  // In bytes.
    std::uint16_t size = 0;    // In bytes, at least 1.
    bool is_last = false;
    Handle handle = nullptr;
  };

  /// What has become of a fragment.
  struct Result {
    DropReason reason = DropReason::kNone;  // Not kNone: give_back holds handles to drop for it.
    bool is_whole = false;                  // give_back holds all fragments, in order of offset.
    std::uint32_t total = 0;                // Of is_whole: bytes of all of them.
    std::array<Handle, kMaxFragments + 1> give_back;
    unsigned count = 0;
    // Of a packet that had to make room, to be dropped for fragment_limit.
    std::array<Handle, kMaxFragments> evicted;
    unsigned evicted_count = 0;
  };

  struct Limits {
    Ticks timeout = 0;            // How long a packet may take to become whole.
    unsigned max_packets = 1;     // That wait at once.
    unsigned max_fragments = 48;  // Held of all of them: buffers that nobody else can have.
  };
  explicit Fragments(const Limits& limits);

  [[nodiscard]] Result add(const Piece& piece, Ticks now);

  /// Gives back the fragments of one packet whose time is up; reason kNone when there is none.
  [[nodiscard]] Result expire(Ticks now);
  /// The same without waiting, for the end.
  [[nodiscard]] Result drain();

  [[nodiscard]] unsigned held_count() const { return held_count_; }
  /// Packets that are known, those of which nothing is held any more included.
  [[nodiscard]] unsigned used_count() const { return used_count_; }

 private:
  struct Entry {
    bool is_used = false;
    bool is_poisoned = false;  // Overlapped: the rest is refused until the time is up.
    bool has_last = false;
    Piece key;  // Of the first piece that came; only the identity counts.
    Ticks deadline = 0;
    std::uint32_t total = 0;  // Bytes of the whole, once the last fragment is here.
    std::uint32_t received = 0;
    unsigned count = 0;
    struct Span {
      std::uint16_t offset;
      std::uint16_t size;
      Handle handle;
    };
    std::array<Span, kMaxFragments> spans;  // In order of offset.
  };

  // What a walk over all entries finds for a piece.
  struct Census {
    Entry* own = nullptr;   // That of its packet.
    Entry* free = nullptr;  // Any.
    Entry* oldest = nullptr;
    Entry* oldest_of_zone = nullptr;  // Neither is `own`.
    unsigned packets_of_zone = 0;
    unsigned packets_of_sender = 0;
    unsigned held_of_zone = 0;
  };
  [[nodiscard]] Census count(const Piece& piece);
  [[nodiscard]] Entry* make_room(const Piece& piece, Ticks now, Result& result);
  void evict(Entry& entry, Result& result);
  [[nodiscard]] DropReason insert(Entry& entry, const Piece& piece);
  void give_back(Entry& entry, Result& result);
  template <typename IsDue>
  [[nodiscard]] Result take_one(IsDue&& is_due);

  Limits limits_;
  std::vector<Entry> entries_;
  unsigned held_count_ = 0;
  unsigned used_count_ = 0;
};

}  // namespace gannet::dataplane
