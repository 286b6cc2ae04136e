// SPDX-License-Identifier: BSD-3-Clause
// What workers tell each other: packets by one ring, notices of connections by another. A worker
// never waits for another: if a ring is full, a packet is dropped and counted, and everything else
// is tried again later.
#pragma once

#include "flows/key.hpp"

#include <cstdint>

struct rte_mbuf;

namespace gannet::dataplane {

/// How a packet has come to the worker that works on it. Each way follows the one before it at most
/// once, so no packet goes around for ever, whatever the workers' tables say.
enum class HandOver : std::uint8_t {
  kNone,        // Received here.
  kByNature,    // By a worker that knows nothing of its connection: here it is judged first.
  kByRedirect,  // By a worker whose table says that its connection is owned here.
  kReturned,    // By that owner, whose connection has ended meanwhile: a first packet again.
};

/// How a packet that has come so is handed on to where packets of its tuple are judged, or by a
/// redirect. kNone: it must not be.
[[nodiscard]] constexpr HandOver on_by_nature(HandOver came) {
  if (came == HandOver::kNone) return HandOver::kByNature;
  return came == HandOver::kByRedirect ? HandOver::kReturned : HandOver::kNone;
}
[[nodiscard]] constexpr HandOver on_by_redirect(HandOver came) {
  return came < HandOver::kByRedirect ? HandOver::kByRedirect : HandOver::kNone;
}

enum class MessageKind : std::uint8_t {
  kIngress,   // A packet whose connection you own or know of, as it was received.
  kTransmit,  // A finished packet for a port whose queue you have.
};

/// One packet for another worker.
struct Message {
  MessageKind kind = MessageKind::kIngress;
  HandOver came = HandOver::kNone;  // kIngress.
  std::uint16_t from = 0;           // Worker.
  std::uint16_t ingress_port = 0;   // Where the packet came in.
  std::uint16_t port = 0;           // kTransmit: where it goes out.
  rte_mbuf* packet = nullptr;
};
static_assert(sizeof(Message) == 16);

enum class NoticeKind : std::uint8_t {
  kAddRedirect,      // Packets with this key are mine.
  kRemoveRedirect,   // They no longer are.
  kRedirectRefused,  // Your redirect found no room: the connection cannot work.
};

/// Of a ring: a worker has no more than this to read of another.
inline constexpr unsigned kNoticeSlots = 1'024;

/// What a worker has to know of another's connection. A notice overtakes packets, and is read
/// before a packet is taken for one of no connection: so a redirect that was sent before a packet
/// left is there when the packet is answered.
struct Notice {
  NoticeKind kind = NoticeKind::kAddRedirect;
  Family family = Family::kIpv4;  // Of the key.
  std::uint16_t from = 0;         // Worker.
  union {
    flows::Ip4Key v4;
    flows::Ip6Key v6;
  };

  Notice() : v6{} {}
};
static_assert(sizeof(Notice) % 4 == 0);  // As rte_ring wants its elements.

/// How a worker reaches the others.
struct Mailbox {
  void* context = nullptr;
  /// Each returns false if the ring is full.
  bool (*send)(void* context, std::uint16_t to, const Message& message) = nullptr;
  bool (*tell)(void* context, std::uint16_t to, const Notice& notice) = nullptr;
  /// Takes what another worker has told a worker, which alone may call it; in order. \return how
  /// much; less than `most` only if there is no more.
  unsigned (*listen)(void* context, std::uint16_t worker, std::uint16_t from, Notice* notices,
                     unsigned most) = nullptr;
};

}  // namespace gannet::dataplane
