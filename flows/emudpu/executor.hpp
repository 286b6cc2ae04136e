// SPDX-License-Identifier: BSD-3-Clause
// The card's pipeline for one packet: look up, account, run the program, follow jumps, fall back to
// the representor or the wire. ASIC thread, inside an epoch.
#pragma once

#include "flows/emudpu/packet_editor.hpp"
#include "flows/emudpu/packet_parser.hpp"
#include "flows/emudpu/table.hpp"

#include <cstdint>

#include <rte_mbuf.h>

namespace gannet::emudpu {

enum class DropCause : std::uint8_t {
  kRule,    // A DROP action.
  kMeter,   // Out of profile.
  kPacket,  // An action that the packet's headers do not allow, such as decapsulating no tunnel.
  kMemory,
  kLoop,      // More jumps than any program means.
  kIsolated,  // Not for an isolated port.
};
inline constexpr unsigned kDropCauseCount = 6;

/// Where packets go; each call takes the mbuf over.
class Outputs {
 public:
  static constexpr int kAnyQueue = -1;

  virtual ~Outputs() = default;
  virtual void to_wire(std::uint16_t port, rte_mbuf* packet) = 0;
  /// \param queue  a receive queue of the representor, or kAnyQueue to spread by the packet's hash
  virtual void to_program(std::uint16_t port, int queue, rte_mbuf* packet,
                          const ParsedPacket& parsed) = 0;
  virtual void drop(std::uint16_t port, DropCause cause, rte_mbuf* packet) = 0;
};

/// The tables at which packets of one port start.
struct PortTables {
  GroupTable* ingress = nullptr;
  GroupTable* egress = nullptr;
  bool is_isolated = false;
};

class Executor {
 public:
  Executor(Outputs& outputs, rte_mempool* pool) : outputs_(outputs), pool_(pool) {}

  void set_time(Nanos now) { now_ = now; }
  [[nodiscard]] VxlanPorts& vxlan_ports() { return vxlan_ports_; }

  /// Takes the packet over. `parsed` is its parse with key.source set.
  /// \return whether a transfer rule took it (and not the default)
  bool run(rte_mbuf* packet, ParsedPacket& parsed, const GroupTable& transfer,
           const PortTables* ports);

 private:
  enum class Outcome : std::uint8_t { kMissed, kTaken };

  // What the packet at hand is about.
  struct Work {
    PacketEditor editor;
    ParsedPacket& parsed;
    const PortTables* ports;
    std::uint16_t port;  // By which it came.
  };

  [[nodiscard]] Outcome walk(Work& work, const GroupTable& root, bool is_up);
  [[nodiscard]] Outcome execute(Work& work, const std::uint8_t* program, std::uint32_t bytes,
                                const GroupTable*& next);
  [[nodiscard]] Outcome decide(Work& work, const Op& op, const GroupTable*& next);
  [[nodiscard]] bool change(PacketEditor& editor, const Op& op);
  [[nodiscard]] bool is_in_profile(Work& work, const Op& op) const;
  void sample(Work& work, const Op& op);
  void deliver(Work& work, std::uint16_t port);
  void account(Rule& rule, const rte_mbuf& packet) const;
  void drop(Work& work, DropCause cause) { outputs_.drop(work.port, cause, work.editor.packet()); }

  Outputs& outputs_;
  rte_mempool* pool_;
  VxlanPorts vxlan_ports_{packet::kVxlanPort};
  Nanos now_ = 0;
};

}  // namespace gannet::emudpu
