// SPDX-License-Identifier: BSD-3-Clause
#include "flows/tcp.hpp"

#include <algorithm>

namespace gannet::flows {
namespace {

using packet::kTcpAck;
using packet::kTcpFin;
using packet::kTcpRst;
using packet::kTcpSyn;

// An acknowledgment may trail the newest data by a whole unscaled window even if the sender never
// advertised one that large (van Rooij, 2.2).
constexpr std::uint32_t kMinAckWindow = 66'000;
constexpr std::uint32_t kLargestWindow = 65'535u << 14;  // RFC 7323, 2.3.

// Modulo 2^32: whether a <= b.
bool at_most(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(b - a) >= 0; }
bool less(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

enum Event : std::uint8_t { kSyn, kSynAck, kFin, kAck, kRst, kEventCount };

// What a segment of a kind does in a state.
enum class Step : std::uint8_t {
  kKeep,         // Stays, tracked.
  kIgnore,       // Passes, changes nothing.
  kInvalid,      // Dropped.
  kResyn,        // The originator's SYN again, perhaps with a new sequence number (F34).
  kSecondSyn,    // The responder's SYN: simultaneous open.
  kAnswer,       // SYN-ACK that must acknowledge the SYN in flight.
  kRefuse,       // RST that must acknowledge the SYN in flight.
  kAbort,        // RST of the originator before anything was answered.
  kReset,        // RST where only an exact one counts (RFC 5961, 3).
  kResetEasily,  // RST that counts if it is in the window (F18).
  kReopen,       // SYN on a finished connection.
  kLinger,       // Segment behind a reset.
  kEstablish,    // To kEstablished, if in the window; likewise the next two.
  kHalfClose,
  kClose,  // To kClosing if the other side has closed already.
};

struct Row {
  Step steps[kEventCount];  // By Event.
};

// The state machine: [state][direction][event].
using S = Step;
constexpr Row kTable[8][2] = {
    // kNone: not reached, start_tcp() comes first.
    {{{S::kInvalid, S::kInvalid, S::kInvalid, S::kInvalid, S::kInvalid}},
     {{S::kInvalid, S::kInvalid, S::kInvalid, S::kInvalid, S::kInvalid}}},
    // kSynSent. An ACK of the responder is a challenge (F20), answered by the originator's RST.
    {{{S::kResyn, S::kInvalid, S::kInvalid, S::kInvalid, S::kAbort}},
     {{S::kSecondSyn, S::kAnswer, S::kInvalid, S::kIgnore, S::kRefuse}}},
    // kSimultaneousOpen.
    {{{S::kIgnore, S::kEstablish, S::kInvalid, S::kEstablish, S::kResetEasily}},
     {{S::kIgnore, S::kEstablish, S::kInvalid, S::kEstablish, S::kResetEasily}}},
    // kSynReceived.
    {{{S::kIgnore, S::kEstablish, S::kHalfClose, S::kEstablish, S::kResetEasily}},
     {{S::kInvalid, S::kKeep, S::kHalfClose, S::kKeep, S::kResetEasily}}},
    // kEstablished. A SYN of the originator goes to the responder, who challenges it (R8, F19).
    {{{S::kIgnore, S::kIgnore, S::kHalfClose, S::kKeep, S::kReset}},
     {{S::kInvalid, S::kIgnore, S::kHalfClose, S::kKeep, S::kReset}}},
    // kHalfClosed.
    {{{S::kIgnore, S::kIgnore, S::kClose, S::kKeep, S::kResetEasily}},
     {{S::kInvalid, S::kIgnore, S::kClose, S::kKeep, S::kResetEasily}}},
    // kClosing.
    {{{S::kReopen, S::kIgnore, S::kKeep, S::kKeep, S::kResetEasily}},
     {{S::kReopen, S::kIgnore, S::kKeep, S::kKeep, S::kResetEasily}}},
    // kClosed.
    {{{S::kReopen, S::kInvalid, S::kLinger, S::kLinger, S::kIgnore}},
     {{S::kReopen, S::kInvalid, S::kLinger, S::kLinger, S::kIgnore}}},
};

// The event of a flag combination; false for combinations that no stack sends (F35).
bool classify(std::uint8_t flags, Event& event) {
  switch (flags & (kTcpSyn | kTcpAck | kTcpFin | kTcpRst)) {
    case kTcpSyn: event = kSyn; return true;
    case kTcpSyn | kTcpAck: event = kSynAck; return true;
    case kTcpFin | kTcpAck: event = kFin; return true;
    case kTcpAck: event = kAck; return true;
    case kTcpRst:
    case kTcpRst | kTcpAck: event = kRst; return true;
    default: return false;
  }
}

std::uint32_t end_of(const TcpSegment& s) {
  return s.sequence + s.payload_bytes + ((s.flags & kTcpSyn) != 0 ? 1 : 0) +
         ((s.flags & kTcpFin) != 0 ? 1 : 0);
}

std::uint32_t window_of(const TcpPeer& sender, const TcpSegment& s) {
  const bool is_scaled = (s.flags & kTcpSyn) == 0;  // RFC 7323, 2.2.
  return is_scaled ? std::uint32_t{s.window} << sender.window_scale : s.window;
}

// Takes a SYN's (or SYN-ACK's) numbers as its sender's beginning.
void begin(TcpPeer& sender, const TcpSegment& s) {
  sender = TcpPeer{};
  sender.end = end_of(s);
  sender.max_end = sender.end;
  sender.max_window = std::max<std::uint32_t>(s.window, 1);
  sender.has_scale = s.has_scale;
  sender.window_scale = s.has_scale ? std::min<std::uint8_t>(s.scale, 14) : 0;
  sender.is_known = 1;
}

// Scaling is in force only if both sides offered it (RFC 7323, 2.2).
void settle_scales(TcpTrack& track) {
  if (track.peers[0].has_scale && track.peers[1].has_scale) return;
  track.peers[0].window_scale = track.peers[1].window_scale = 0;
}

enum class Fit : std::uint8_t { kInside, kOld, kOutside };

Fit fit(const TcpPeer& sender, const TcpPeer& receiver, const TcpSegment& s) {
  const std::uint32_t end = end_of(s);
  if (sender.is_known && !at_most(s.sequence, sender.max_end)) return Fit::kOutside;
  if (receiver.is_known && (s.flags & kTcpAck) != 0) {
    const std::uint32_t newest = receiver.is_guess ? receiver.max_end : receiver.end;
    if (!at_most(s.acknowledgment, newest)) return Fit::kOutside;
    const std::uint32_t oldest = std::max(sender.max_window, kMinAckWindow);
    if (sender.is_known && less(s.acknowledgment, receiver.end - oldest)) return Fit::kOutside;
  }
  if (sender.is_known && receiver.is_known && less(end, sender.end - receiver.max_window)) {
    return Fit::kOld;
  }
  return Fit::kInside;
}

// Takes an accepted segment into account.
void advance(TcpPeer& sender, TcpPeer& receiver, const TcpSegment& s) {
  const std::uint32_t end = end_of(s);
  const std::uint32_t window = window_of(sender, s);
  if (!sender.is_known) {
    sender.end = end;
    sender.max_end = end + (receiver.is_known ? receiver.max_window : kLargestWindow);
    sender.max_window = std::max<std::uint32_t>(window, 1);
    sender.ack = s.acknowledgment;
    sender.is_known = sender.is_guess = 1;
    // How far the other side may go was a guess until now. Not from this acknowledgment, which may
    // be an old one: the newest covers no more than what has been sent.
    if (receiver.is_known && (s.flags & kTcpAck) != 0) {
      if (less(receiver.end, s.acknowledgment)) receiver.end = s.acknowledgment;
      receiver.max_end = receiver.end + window;
    }
  } else {
    if (less(sender.end, end)) sender.end = end;
    sender.max_window = std::max(sender.max_window, window);
  }
  if ((s.flags & kTcpFin) != 0) sender.has_fin = 1;
  if ((s.flags & kTcpAck) == 0) return;
  if (less(sender.ack, s.acknowledgment)) sender.ack = s.acknowledgment;
  if (receiver.is_known && less(receiver.end, s.acknowledgment)) receiver.end = s.acknowledgment;
  if (receiver.is_known && less(receiver.max_end, s.acknowledgment + window)) {
    receiver.max_end = s.acknowledgment + window;
  }
}

TcpVerdict track_in_window(TcpTrack& track, Direction direction, const TcpSegment& s) {
  TcpPeer& sender = track.peers[static_cast<int>(direction)];
  TcpPeer& receiver = track.peers[static_cast<int>(opposite(direction))];
  switch (fit(sender, receiver, s)) {
    case Fit::kOutside: return TcpVerdict::kOutOfWindow;
    case Fit::kOld: return TcpVerdict::kPassUntracked;
    case Fit::kInside: break;
  }
  advance(sender, receiver, s);
  return TcpVerdict::kPass;
}

// Whether the acknowledgment covers the originator's SYN: behind its first byte, not beyond its
// end.
bool acknowledges_syn(const TcpTrack& track, const TcpSegment& s) {
  return (s.flags & kTcpAck) != 0 && less(track.syn_sequence, s.acknowledgment) &&
         at_most(s.acknowledgment, track.peers[0].end);
}

TcpVerdict answer_syn(TcpTrack& track, TcpState& state, const TcpSegment& s) {
  // A SYN-ACK to an older SYN must not spoil this one; the originator resets it (F21).
  if (!acknowledges_syn(track, s)) return TcpVerdict::kPassUntracked;
  TcpPeer& originator = track.peers[0];
  TcpPeer& responder = track.peers[1];
  begin(responder, s);
  responder.ack = s.acknowledgment;
  responder.max_end = responder.end + originator.max_window;
  originator.ack = s.sequence + 1;  // What it expects next, though it has not said so yet.
  originator.max_end = s.acknowledgment + s.window;
  if (less(originator.max_end, originator.end)) originator.max_end = originator.end;
  settle_scales(track);
  state = TcpState::kSynReceived;
  return TcpVerdict::kPass;
}

TcpVerdict second_syn(TcpTrack& track, TcpState& state, const TcpSegment& s) {
  begin(track.peers[1], s);
  track.peers[1].max_end = track.peers[1].end + track.peers[0].max_window;
  track.peers[0].max_end = track.peers[0].end + track.peers[1].max_window;
  track.peers[0].ack = s.sequence + 1;
  track.peers[1].ack = track.syn_sequence + 1;
  settle_scales(track);
  state = TcpState::kSimultaneousOpen;
  return TcpVerdict::kPass;
}

TcpVerdict reset(TcpTrack& track, TcpState& state, Direction direction, const TcpSegment& s,
                 bool must_be_exact) {
  const TcpPeer& sender = track.peers[static_cast<int>(direction)];
  const TcpPeer& receiver = track.peers[static_cast<int>(opposite(direction))];
  if (sender.is_known && receiver.is_known) {
    const std::uint32_t expected = receiver.ack;
    // Right behind its own last data, which is not acknowledged yet, is exact as well.
    const bool is_exact = s.sequence == expected || s.sequence == sender.end;
    const bool is_inside = at_most(expected, s.sequence) && at_most(s.sequence, sender.max_end);
    if (!is_inside) return TcpVerdict::kOutOfWindow;
    if (!is_exact && must_be_exact) return TcpVerdict::kPassUntracked;  // R5.
  }
  state = TcpState::kClosed;
  return TcpVerdict::kPass;
}

// A SYN on a finished connection. The originator's must be newer than what it sent before, as a
// host in TIME-WAIT requires (RFC 9293, 3.6.1); otherwise the endpoint is left to answer it.
TcpVerdict reopen(const TcpTrack& track, TcpState state, Direction direction, const TcpSegment& s) {
  const TcpPeer& sender = track.peers[static_cast<int>(direction)];
  const bool is_newer = !sender.is_known || less(sender.end, s.sequence);
  if (state == TcpState::kClosed || is_newer) return TcpVerdict::kRestart;
  return TcpVerdict::kPassUntracked;
}

// Behind a reset: late segments pass without effect. If nothing is known of the windows because the
// flow was in hardware, the reset may have been forged: going on revives the connection (R27).
TcpVerdict linger(TcpTrack& track, TcpState& state, Direction direction, const TcpSegment& s) {
  const bool is_known = track.peers[0].is_known && track.peers[1].is_known;
  if (is_known) {
    const TcpPeer& sender = track.peers[static_cast<int>(direction)];
    const TcpPeer& receiver = track.peers[static_cast<int>(opposite(direction))];
    return fit(sender, receiver, s) == Fit::kOutside ? TcpVerdict::kOutOfWindow
                                                     : TcpVerdict::kPassUntracked;
  }
  const TcpVerdict verdict = track_in_window(track, direction, s);
  if (verdict == TcpVerdict::kPass) state = TcpState::kEstablished;
  return verdict;
}

TcpVerdict move_to(TcpState next, TcpTrack& track, TcpState& state, Direction direction,
                   const TcpSegment& s) {
  const TcpVerdict verdict = track_in_window(track, direction, s);
  if (verdict == TcpVerdict::kPass) state = next;
  return verdict;
}

}  // namespace

TcpSegment read_segment(const std::uint8_t* tcp, unsigned header_bytes,
                        std::uint32_t payload_bytes) {
  const auto& header = packet::header_at<packet::TcpHeader>(tcp);
  TcpSegment s{};
  s.sequence = header.sequence.host();
  s.acknowledgment = header.acknowledgment.host();
  s.payload_bytes = payload_bytes;
  s.window = header.window.host();
  s.flags = header.flags;
  if ((s.flags & kTcpSyn) == 0) return s;
  for (unsigned i = sizeof(packet::TcpHeader); i < header_bytes;) {
    const std::uint8_t kind = tcp[i];
    if (kind == packet::kTcpOptionEnd) break;
    if (kind == packet::kTcpOptionNop) {
      ++i;
      continue;
    }
    if (i + 1 >= header_bytes) break;
    const std::uint8_t length = tcp[i + 1];
    if (length < 2 || i + length > header_bytes) break;
    if (kind == packet::kTcpOptionWindowScale && length == 3) {
      s.has_scale = true;
      s.scale = tcp[i + 2];
    }
    i += length;
  }
  return s;
}

TcpState start_tcp(TcpTrack& track, const TcpSegment& s) {
  track = TcpTrack{};
  if ((s.flags & kTcpSyn) != 0) {
    begin(track.peers[0], s);
    track.syn_sequence = s.sequence;
    return TcpState::kSynSent;
  }
  // Picked up in the middle: the scale factors were in SYNs that nobody here saw, so the largest is
  // assumed until the connection ends.
  track.peers[0].window_scale = track.peers[1].window_scale = 14;
  advance(track.peers[0], track.peers[1], s);
  return TcpState::kEstablished;
}

TcpVerdict track_tcp(TcpTrack& track, TcpState& state, Direction direction, const TcpSegment& s) {
  Event event;
  if (!classify(s.flags, event)) return TcpVerdict::kInvalidFlags;
  switch (kTable[static_cast<int>(state)][static_cast<int>(direction)].steps[event]) {
    case Step::kKeep: return track_in_window(track, direction, s);
    case Step::kIgnore: return TcpVerdict::kPassUntracked;
    case Step::kInvalid: return TcpVerdict::kInvalidFlags;
    case Step::kResyn: state = start_tcp(track, s); return TcpVerdict::kPass;
    case Step::kSecondSyn: return second_syn(track, state, s);
    case Step::kAnswer: return answer_syn(track, state, s);
    case Step::kRefuse:
      if (!acknowledges_syn(track, s)) return TcpVerdict::kOutOfWindow;
      state = TcpState::kClosed;
      return TcpVerdict::kPass;
    case Step::kAbort: state = TcpState::kClosed; return TcpVerdict::kPass;
    case Step::kReset: return reset(track, state, direction, s, true);
    case Step::kResetEasily: return reset(track, state, direction, s, false);
    case Step::kReopen: return reopen(track, state, direction, s);
    case Step::kLinger: return linger(track, state, direction, s);
    case Step::kEstablish: return move_to(TcpState::kEstablished, track, state, direction, s);
    case Step::kHalfClose: return move_to(TcpState::kHalfClosed, track, state, direction, s);
    case Step::kClose: {
      const bool is_second = track.peers[static_cast<int>(opposite(direction))].has_fin;
      return move_to(is_second ? TcpState::kClosing : TcpState::kHalfClosed, track, state,
                     direction, s);
    }
  }
  return TcpVerdict::kInvalidFlags;
}

void forget_windows(TcpTrack& track) { track.peers[0].is_known = track.peers[1].is_known = 0; }

}  // namespace gannet::flows
