// SPDX-License-Identifier: BSD-3-Clause
// What workers tell each other, one message a ring slot. A worker never waits for another: if a
// ring is full, a packet is dropped and counted, and everything else is tried again later.
#pragma once

#include "flows/key.hpp"

#include <cstdint>

struct rte_mbuf;

namespace gannet::dataplane {

enum class MessageKind : std::uint8_t {
  kIngress,          // A packet whose connection you own, as it was received.
  kTransmit,         // A finished packet for a port whose queue you have.
  kAddRedirect,      // Packets with this key are mine. Comes before the packet that they answer.
  kRemoveRedirect,   // They no longer are.
  kRedirectRefused,  // Your redirect found no room: the connection cannot work.
};

/// One message; 64 bytes, so that a ring slot is a cache line.
struct alignas(64) Message {
  MessageKind kind = MessageKind::kIngress;
  Family family = Family::kIpv4;   // Of `key`.
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
