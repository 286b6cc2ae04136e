// SPDX-License-Identifier: BSD-3-Clause
// A connection's first packet on its way through the layers: where it came in, what it carries now,
// where it is going, and what has been decided. Each layer reads and changes this record;
// compose.cpp turns the finished one into a pair of flows. Lives on the stack of the worker.
#pragma once

#include "dataplane/drops.hpp"
#include "dataplane/snapshot.hpp"
#include "dataplane/trace.hpp"
#include "dataplane/tuple.hpp"
#include "flows/base/time.hpp"
#include "flows/key.hpp"

#include <array>
#include <cstdint>

namespace gannet::dataplane {

/// Where a packet came in, established before anything is looked up.
struct Ingress {
  flows::Zone zone;
  std::uint16_t port = kNoIndex;  // Dataplane port id.
  std::uint16_t vpc = kNoIndex;   // Of zones kEni and kTunnel.
  Ip4 tunnel_source{};            // Of zone kTunnel.
  Mac source_mac{};               // Of the (inner) frame.
  Mac destination_mac{};

  [[nodiscard]] bool is_vm() const { return zone.kind == flows::ZoneKind::kEni; }
  [[nodiscard]] bool is_tunnel() const { return zone.kind == flows::ZoneKind::kTunnel; }
  [[nodiscard]] bool is_uplink() const { return zone.kind == flows::ZoneKind::kUplink; }
};

enum class Target : std::uint8_t {
  kNone,      // Not known yet.
  kEndpoint,  // first.to: a local ENI or behind a tunnel.
  kInternet,  // Plain on the underlay.
};

/// A NAT port held for the connection that is being decided.
struct HeldMapping {
  std::uint32_t index = 0xffff'ffff;
  [[nodiscard]] bool is_held() const { return index != 0xffff'ffff; }
};

struct FirstPacket {
  const Snapshot& policy;
  const Ingress& in;
  const IpTuple original;
  unsigned worker = 0;  // That decides; counts rule matches.
  Ticks now = 0;
  Trace* trace = nullptr;
  bool is_rehearsal = false;  // Decide only: hold no port, count no rule.
  bool skips_egress = false;  // Re-evaluation: the rule that allowed it persists.
  bool skips_ingress = false;
  const IpTuple* pinned = nullptr;  // Re-evaluation: the tuple that the connection leaves with now.

  IpTuple current;  // As translated so far.
  Target target = Target::kNone;
  std::uint16_t vpc = kNoIndex;    // That the destination is looked up in.
  const Endpoint* from = nullptr;  // Of the source, if it is an address of a VPC.
  const Endpoint* to = nullptr;    // Of Target::kEndpoint.
  const Route* route = nullptr;    // That was taken, of a VM's packet.
  HeldMapping mapping;
  std::uint32_t egress_rule = flows::kNoRule;
  std::uint32_t ingress_rule = flows::kNoRule;
  static constexpr unsigned kMaxLogged = 4;  // Of a packet; a guess at how many anybody asks for.
  std::array<std::uint32_t, kMaxLogged> logged_rules;
  unsigned logged_count = 0;

  FirstPacket(const Snapshot& snapshot, const Ingress& ingress, const IpTuple& tuple)
      : policy(snapshot), in(ingress), original(tuple), current(tuple), vpc(ingress.vpc) {}

  /// The sending ENI of zone kEni.
  [[nodiscard]] const Eni& sender() const { return policy.enis[in.zone.index]; }
  /// The subnets of both ends; kNoIndex for hosts outside.
  [[nodiscard]] std::uint16_t from_subnet() const {
    return from != nullptr ? from->subnet : kNoIndex;
  }
  [[nodiscard]] std::uint16_t to_subnet() const { return to != nullptr ? to->subnet : kNoIndex; }

  void note(Step step, std::uint32_t value = 0) {
    if (trace != nullptr) trace->add(step, current, value);
  }
};

}  // namespace gannet::dataplane
