// SPDX-License-Identifier: BSD-3-Clause
// What workers tell each other, one message a ring slot. A worker never waits for another: if a
// ring is full, a packet is dropped and counted, and everything else is tried again later.
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
  kIngress,          // A packet whose connection you own or know of, as it was received.
  kTransmit,         // A finished packet for a port whose queue you have.
  kAddRedirect,      // Packets with this key are mine. Comes before the packet that they answer.
  kRemoveRedirect,   // They no longer are.
  kRedirectRefused,  // Your redirect found no room: the connection cannot work.
};

/// One message; 64 bytes, so that a ring slot is a cache line.
struct alignas(64) Message {
  MessageKind kind = MessageKind::kIngress;
  union {
    Family family = Family::kIpv4;  // Of the key.
    HandOver came;                  // kIngress.
  };
  std::uint16_t from = 0;          // Worker.
  std::uint16_t ingress_port = 0;  // kIngress, kTransmit: where the packet came in.
  std::uint16_t port = 0;          // kTransmit: where it goes out.
  rte_mbuf* packet = nullptr;      // kIngress, kTransmit.
  union {
    flows::Ip4Key v4;  // The redirect messages.
    flows::Ip6Key v6;
  };

  Message() : v6{} {}
};
static_assert(sizeof(Message) == 64);

/// How a worker reaches the others. `send` returns false if the ring is full.
struct Mailbox {
  void* context = nullptr;
  bool (*send)(void* context, std::uint16_t to, const Message& message) = nullptr;
};

}  // namespace gannet::dataplane
