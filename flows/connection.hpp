// SPDX-License-Identifier: BSD-3-Clause
// A connection: the two flows of one conversation and what they share. This is the record that the
// packet path touches, so its layout is its design. For IPv4:
//
//   line 0   forward flow: key, guards, action       read by every forward packet
//   line 1   reverse flow                            read by every reverse packet
//   line 2   shared: counters, last use, state       written by every packet
//   line 3   TCP windows; what the slow path noted   TCP packets only
//
// so a hit on UDP touches two lines of its connection and a hit on TCP three. IPv6 flows take two
// lines each.
//
// A connection belongs to one worker, which alone reads and writes it.
#pragma once

#include "flows/action.hpp"
#include "flows/base/mac.hpp"
#include "flows/base/time.hpp"
#include "flows/key.hpp"
#include "flows/tcp.hpp"

#include <cstddef>
#include <cstdint>

namespace gannet::flows {

inline constexpr std::uint32_t kNoConnection = 0xffff'ffff;

/// What a flow's slot in the table leads to.
enum class FlowKind : std::uint8_t {
  kUnindexed,  // Not in the index: a record that is being built.
  kForward,    // Packets take the action.
  kRedirect,   // The connection is owned by the worker whose number is in the action's next_hop.
};

/// What has become of the wish to have a flow on a card. All above kRefused take note of packets
/// that come to software.
enum class OffloadState : std::uint8_t {
  kNone,       // There is no card.
  kPending,    // The offload thread has been asked.
  kRefused,    // Until the flow or the policy changes.
  kWaiting,    // Refused for now: asked again after some more packets.
  kCandidate,  // Not asked yet.
  kHardware,   // Its rule is in force.
};

struct FlowOffload {
  OffloadState state;
  std::uint8_t reason;     // offload::Refusal, if refused.
  std::uint8_t countdown;  // kWaiting: packets to go. kHardware: packets that came to software.
  std::uint8_t since_low;  // When that began, in coarse time (dataplane/offload_desk.cpp).
  std::uint8_t since_high;
};
static_assert(sizeof(FlowOffload) == 5);

/// One direction: which packets (key and guards) and what is done to them (action).
template <typename Key>
struct alignas(64) Flow {
  using Ip = typename Key::Ip;

  Key key;
  Action<Ip> action;
  std::uint32_t generation;  // Of the policy that the action conforms to.
  Ip4 tunnel_source;         // Guard: the outer source address; zero if not from a tunnel.
  Mac destination_mac;       // Guard: of the (inner) packet.
  FlowKind kind;
  FlowOffload offload;

  // The guards by words, so that a packet's are compared at once.

  /// generation, then tunnel_source.
  [[nodiscard]] std::uint64_t origin_word() const { return load<std::uint64_t>(&generation); }
  [[nodiscard]] static std::uint64_t origin_word(std::uint32_t generation, Ip4 tunnel_source) {
    return generation | std::uint64_t{tunnel_source.value.raw()} << 32;
  }
  /// Whether the flow forwards an (inner) frame as far as its destination MAC is concerned; eight
  /// bytes of it are read.
  [[nodiscard]] bool takes(const std::uint8_t* frame) const {
    const auto difference = load<std::uint64_t>(frame) ^ load<std::uint64_t>(&destination_mac);
    return difference << 16 == 0 && kind == FlowKind::kForward;
  }
};
static_assert(sizeof(Flow<Ip4Key>) == 64);
static_assert(sizeof(Flow<Ip6Key>) == 128);
template <typename F>
inline constexpr bool kHasGuardWords = offsetof(F, tunnel_source) == offsetof(F, generation) + 4 &&
                                       offsetof(F, kind) == offsetof(F, destination_mac) + 6 &&
                                       offsetof(F, offload) == offsetof(F, kind) + 1;
static_assert(kHasGuardWords<Flow<Ip4Key>> && kHasGuardWords<Flow<Ip6Key>>);

/// Where a connection's timeout comes from.
enum class TimeoutClass : std::uint8_t {
  kTcpTransitory,   // Opening, closing, reset.
  kTcpEstablished,  // Also half-closed.
  kUdp,             // One direction seen.
  kUdpStream,       // Both directions seen.
  kIcmp,
  kOther,  // Other protocols: as kUdp.
  kCount,
};

struct FlowCounters {
  std::uint64_t packets;
  std::uint64_t bytes;  // Of the frames as received, without FCS.
};

/// Facts of a connection, one bit each.
enum ConnectionFlags : std::uint8_t {
  kSeenReply = 1 << 0,      // The responder has answered.
  kInUse = 1 << 1,          // The record is live; only for checks.
  kHasNatMapping = 1 << 2,  // Holds a reference on a port mapping; released with the connection.
  kEmbryonic = 1 << 3,    // In the list of connections that may be evicted when the table is full.
  kHasRedirect = 1 << 4,  // Another worker's table leads here; to be told when this ends.
  // What the rules of either side allowed outlives their removal (R21).
  kEgressPersists = 1 << 5,
  kIngressPersists = 1 << 6,
  kDoomed = 1 << 7,  // To end as soon as the other worker can be told.
};

/// An intrusive link by index, so that records can be listed without pointers.
struct Links {
  std::uint32_t next;
  std::uint32_t previous;
};

/// What both directions share and every packet writes.
struct alignas(64) ConnectionShared {
  std::uint64_t packets[2];  // By Direction, as the next two.
  std::uint64_t bytes[2];    // Of the frames as received, without FCS.
  Ticks last_seen[2];
  Links timer;  // Slot list of the timer wheel.
  TcpState tcp_state;
  TimeoutClass timeout_class;
  std::uint8_t flags;        // ConnectionFlags.
  std::uint8_t timer_level;  // Wheel level that the record hangs in.
  std::uint16_t timer_slot;
  std::uint16_t owner_eni;    // The ENI that the connection is charged to (quotas), or kNoEni.
  std::uint32_t nat_mapping;  // Index of the port mapping, if kHasNatMapping.
  Ticks created;

  [[nodiscard]] FlowCounters counters(Direction direction) const {
    const auto d = static_cast<std::size_t>(direction);
    return {packets[d], bytes[d]};
  }
};
static_assert(sizeof(ConnectionShared) == 64);

/// Counts a packet for one direction, and keeps the connection alive if `refreshes`.
[[gnu::always_inline]] inline void account(ConnectionShared& shared, Direction direction,
                                           std::uint32_t frame_bytes, Ticks now, bool refreshes) {
  const auto d = static_cast<std::size_t>(direction);
  ++shared.packets[d];
  shared.bytes[d] += frame_bytes;
  if (refreshes) shared.last_seen[d] = now;
}

inline constexpr std::uint16_t kNoEni = 0xffff;
inline constexpr std::uint32_t kNoRule = 0xffff'ffff;

/// What a stay on a card means for tracking, one bit each (R27).
enum CardFlags : std::uint8_t {
  kOnCard = 1 << 0,       // A card may carry its packets: windows are unknown.
  kResetOnCard = 1 << 1,  // A reset came while they were: going on revives it for a while.
};

/// What the slow path notes of its decision, for people and for re-evaluation.
struct alignas(64) ConnectionDetails {
  TcpTrack tcp;
  Links embryonic;            // List of connections that have not been answered.
  std::uint32_t egress_rule;  // Snapshot rule ids that allowed the connection, or kNoRule.
  std::uint32_t ingress_rule;
  std::uint16_t redirect_worker;  // That knows of the redirect, if kHasRedirect.
  std::uint8_t card_flags;        // CardFlags.
};
static_assert(sizeof(ConnectionDetails) == 64);

template <typename Key>
struct Connection {
  using KeyType = Key;
  Flow<Key> flows[2];  // By Direction.
  ConnectionShared shared;
  ConnectionDetails details;

  [[nodiscard]] Flow<Key>& flow(Direction d) { return flows[static_cast<std::size_t>(d)]; }
  [[nodiscard]] const Flow<Key>& flow(Direction d) const {
    return flows[static_cast<std::size_t>(d)];
  }
  [[nodiscard]] Ticks last_seen() const {
    const Ticks a = shared.last_seen[0];
    const Ticks b = shared.last_seen[1];
    return reached(a, b) ? a : b;
  }
};
using Ip4Connection = Connection<Ip4Key>;
using Ip6Connection = Connection<Ip6Key>;
static_assert(sizeof(Ip4Connection) == 256);
static_assert(sizeof(Ip6Connection) == 384);

}  // namespace gannet::flows
