// SPDX-License-Identifier: BSD-3-Clause
// TCP connection tracking: which segments a connection may carry now, and what each makes of its
// state. The state machine is a table (tcp.cpp); the sequence and window checks are those of van
// Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), which every large packet filter
// uses, with the cautions of RFC 5961 for RST and SYN.
//
// Theory of operation. For each endpoint the tracker keeps, as seen from the middle:
//   end         highest sequence number sent, plus one;
//   max_end     highest sequence number that the other side has allowed (its ack + its window);
//   max_window  largest window that this endpoint has advertised, scaled;
//   ack         highest acknowledgment sent.
// A segment from S to R with [seq, end) and ack is in the window if
//   I   seq <= S.max_end                      not beyond what R allows
//   II  end >= S.end - R.max_window           not older than what R could still want
//   III ack <= R.end                          acknowledges nothing that was never sent
//   IV  ack >= R.end - max(S.max_window, 66000)   is not absurdly old.
// Of a side that has been learned in the middle of its connection (picked up, or back from a card)
// `end` is only what has been seen: what it sent before may be acknowledged yet, as far as max_end,
// and the first acknowledgment seen may be an old one that others have overtaken.
// A segment that fails only II is a retransmission of what is acknowledged already: it passes, so
// that the peer can acknowledge once more, and changes nothing.
//
// Owned by the worker that owns the connection; one call costs some 10 ns.
#pragma once

#include "flows/base/time.hpp"
#include "flows/packet/headers.hpp"

#include <cstdint>

namespace gannet::flows {

/// Direction of a packet within its connection.
enum class Direction : std::uint8_t { kForward = 0, kReverse = 1 };
[[nodiscard]] constexpr Direction opposite(Direction d) {
  return d == Direction::kForward ? Direction::kReverse : Direction::kForward;
}

enum class TcpState : std::uint8_t {
  kNone,              // Not TCP, or nothing seen yet.
  kSynSent,           // The originator's SYN.
  kSimultaneousOpen,  // A SYN from each side (RFC 9293, 3.5).
  kSynReceived,       // SYN and SYN-ACK.
  kEstablished,
  kHalfClosed,  // A FIN from one side; the other may send for as long as it likes.
  kClosing,     // A FIN from both sides; also TIME-WAIT.
  kClosed,      // Reset.
};

/// One endpoint's sequence space.
struct TcpPeer {
  std::uint32_t end;
  std::uint32_t max_end;
  std::uint32_t max_window;
  std::uint32_t ack;
  std::uint8_t window_scale;   // Shift, 0 to 14; valid for segments without SYN.
  std::uint8_t has_scale : 1;  // The SYN carried the option.
  std::uint8_t is_known : 1;   // False: nothing learned yet; the next segment teaches (R27, N6).
  std::uint8_t is_guess : 1;   // Learned in the middle: it may have sent more than `end` says.
  std::uint8_t has_fin : 1;
};
static_assert(sizeof(TcpPeer) == 20);

/// All that is tracked of one TCP connection.
struct TcpTrack {
  TcpPeer peers[2];            // By Direction: [0] is the originator.
  std::uint32_t syn_sequence;  // Of the originator's SYN; of use until it is answered.
};

/// The fields of a segment that tracking looks at, in host order.
struct TcpSegment {
  std::uint32_t sequence;
  std::uint32_t acknowledgment;
  std::uint32_t payload_bytes;
  std::uint16_t window;
  std::uint8_t flags;
  bool has_scale;
  std::uint8_t scale;
};

/// Reads a segment's fields. \param tcp the header; \param header_bytes its length with options,
/// all of which are there; \param payload_bytes what follows it in the IP packet.
[[nodiscard]] TcpSegment read_segment(const std::uint8_t* tcp, unsigned header_bytes,
                                      std::uint32_t payload_bytes);

enum class TcpVerdict : std::uint8_t {
  kPass,           // In order; the state has been brought up to date.
  kPassUntracked,  // Let through for an endpoint to answer; nothing changed, no timer refreshed.
  kRestart,        // A SYN on a finished connection: to be judged as a first packet (F32, F33).
  kInvalidFlags,   // Drop: no such segment can exist in this state.
  kOutOfWindow,    // Drop: sequence or acknowledgment outside the window.
};
[[nodiscard]] constexpr bool passes(TcpVerdict verdict) {
  return verdict <= TcpVerdict::kPassUntracked;
}

/// Whether a segment may open a connection: SYN without ACK, FIN or RST (F35, F36).
[[nodiscard]] constexpr bool opens_connection(std::uint8_t flags) {
  return (flags & (packet::kTcpSyn | packet::kTcpAck | packet::kTcpFin | packet::kTcpRst)) ==
         packet::kTcpSyn;
}
/// Whether a connection may be picked up in the middle with this segment: ACK alone (F37).
[[nodiscard]] constexpr bool may_join_midstream(std::uint8_t flags) {
  return (flags & (packet::kTcpSyn | packet::kTcpAck | packet::kTcpFin | packet::kTcpRst)) ==
         packet::kTcpAck;
}

/// Starts tracking with the first segment of the originator: a SYN, or, picked up midstream, an
/// ACK.
[[nodiscard]] TcpState start_tcp(TcpTrack& track, const TcpSegment& segment);

/// Judges a segment and moves the state. A side whose window is not known is not checked against it
/// but teaches it, as after a stay of the flow in hardware (R27).
[[nodiscard]] TcpVerdict track_tcp(TcpTrack& track, TcpState& state, Direction direction,
                                   const TcpSegment& segment);

/// Forgets both windows; the next segment of each side teaches them anew.
void forget_windows(TcpTrack& track);

}  // namespace gannet::flows
