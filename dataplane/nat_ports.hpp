// SPDX-License-Identifier: BSD-3-Clause
// The ports of one public address of a NAT gateway: which inside endpoint has each. A block of
// ports belongs to one ENI and so to one worker, which alone writes it; every worker may read all
// of it, because a VM may call another one by its public address (hairpin). Lives as long as the
// address is in any policy in use.
#pragma once

#include "flows/base/ip.hpp"
#include "flows/packet/headers.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace gannet::dataplane {

inline constexpr std::uint16_t kFirstNatPort = 1024;  // Lower ones are the well-known ports.
inline constexpr std::uint32_t kNatPortCount = 65'536 - kFirstNatPort;

/// An inside endpoint, or nothing.
struct InsideEndpoint {
  Ip4 ip{};
  std::uint16_t port = 0;
  std::uint16_t eni = 0xffff;
  [[nodiscard]] bool is_valid() const { return eni != 0xffff; }
};

enum class NatPortState : std::uint8_t {
  kFree,
  kOpen,       // A connection holds it; packets from outside are let through to the inside.
  kLingering,  // Nobody holds it, but it is kept for its last user.
};

/// ENI indices are below this: the bit above says that a port lingers.
inline constexpr std::uint16_t kMaxEniCount = 0x7fff;

/// Which of the three port spaces a protocol uses, or -1: TCP and UDP ports, ICMP echo identifiers.
[[nodiscard]] constexpr int nat_port_space(std::uint8_t protocol) {
  if (protocol == packet::kProtoTcp) return 0;
  if (protocol == packet::kProtoUdp) return 1;
  if (protocol == packet::kProtoIcmp) return 2;
  return -1;
}

class NatPorts {
 public:
  NatPorts() {
    for (auto& space : slots_) {
      for (auto& slot : space) slot.store(kFree, std::memory_order_relaxed);
    }
  }

  /// The state of a port; any worker. A mapping is one word: it is seen whole or not at all.
  [[nodiscard]] NatPortState state(std::uint8_t protocol, std::uint16_t port) const {
    const std::uint64_t word = slot(protocol, port).load(std::memory_order_relaxed);
    if (word == kFree) return NatPortState::kFree;
    return (word & kLingeringBit) != 0 ? NatPortState::kLingering : NatPortState::kOpen;
  }
  /// Who has the port open; any worker. `protocol` has a port space, `port` may be anything.
  [[nodiscard]] InsideEndpoint find(std::uint8_t protocol, std::uint16_t port) const {
    if (port < kFirstNatPort || state(protocol, port) != NatPortState::kOpen) return {};
    return unpack(slot(protocol, port).load(std::memory_order_relaxed));
  }
  /// Who has the port, open or lingering.
  [[nodiscard]] InsideEndpoint holder(std::uint8_t protocol, std::uint16_t port) const {
    return unpack(slot(protocol, port).load(std::memory_order_relaxed) & ~kLingeringBit);
  }

  /// Gives the port to an endpoint; only the worker that owns the block may call this or clear().
  void assign(std::uint8_t protocol, std::uint16_t port, const InsideEndpoint& to,
              NatPortState state) {
    const std::uint64_t word =
        std::uint64_t{to.ip.raw()} | std::uint64_t{to.port} << 32 | std::uint64_t{to.eni} << 48;
    slot(protocol, port)
        .store(state == NatPortState::kLingering ? word | kLingeringBit : word,
               std::memory_order_relaxed);
  }
  void clear(std::uint8_t protocol, std::uint16_t port) {
    slot(protocol, port).store(kFree, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint64_t kFree = std::uint64_t{0xffff} << 48;
  static constexpr std::uint64_t kLingeringBit = std::uint64_t{1} << 63;
  using Slot = std::atomic<std::uint64_t>;

  [[nodiscard]] static InsideEndpoint unpack(std::uint64_t word) {
    return {Ip4(Be32::from_raw(static_cast<std::uint32_t>(word))),
            static_cast<std::uint16_t>(word >> 32), static_cast<std::uint16_t>(word >> 48)};
  }
  [[nodiscard]] const Slot& slot(std::uint8_t protocol, std::uint16_t port) const {
    return slots_[static_cast<std::size_t>(nat_port_space(protocol))]
                 [std::size_t{port} - kFirstNatPort];
  }
  [[nodiscard]] Slot& slot(std::uint8_t protocol, std::uint16_t port) {
    return slots_[static_cast<std::size_t>(nat_port_space(protocol))]
                 [std::size_t{port} - kFirstNatPort];
  }

  std::array<std::array<Slot, kNatPortCount>, 3> slots_;
};

}  // namespace gannet::dataplane
