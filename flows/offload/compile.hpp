// SPDX-License-Identifier: BSD-3-Clause
// From a rule to the words of rte_flow: a pattern and a list of actions, in storage of the caller.
// A pure function of the rule and of what the card can do: no port is touched.
//
// The pattern is at least as specific as everything that the decision read, and takes no packet
// that the fast path would not take: where it comes in, the tunnel with source and VNI, MACs,
// protocol, addresses, ports; no IPv4 options, no fragments; TCP with ACK and without SYN, FIN,
// RST; the TOS where an outer header depends on it; checksums that nobody found wrong. What a match
// cannot say stands in the guards (guards.hpp), which come first.
//
// A rule ends with a jump to the table of the port by which its packets leave. There one rule sends
// them out, and for a while a watch may stand before it (watch_pattern.hpp): it counts the packets
// that came out as they should.
//
// Any thread; some 100 ns.
#pragma once

#include "flows/offload/capabilities.hpp"
#include "flows/offload/refusal.hpp"
#include "flows/offload/rule.hpp"

#include <array>
#include <cstdint>

#include <rte_flow.h>

namespace gannet::offload {

/// Tables of the card: packets come to the guards; the flows' rules are one jump away.
inline constexpr std::uint32_t kGuardGroup = 0;
inline constexpr std::uint32_t kFlowGroup = 1;
inline constexpr std::uint32_t kMissPriority = 1;  // Of what no flow's rule takes.
/// What jumps here goes to software, counted where guards are.
inline constexpr std::uint32_t kSoftwareGroup = 2;
/// Never has a rule: what jumps here misses and goes to software.
inline constexpr std::uint32_t kNowhereGroup = 3;
/// The table of ethdev N has the number kExitGroup + N.
inline constexpr std::uint32_t kExitGroup = 16;

/// One item with its specification and mask, at a fixed place.
union ItemSpace {
  rte_flow_item_ethdev port;
  rte_flow_item_eth eth;
  rte_flow_item_ipv4 ipv4;
  rte_flow_item_ipv6 ipv6;
  rte_flow_item_tcp tcp;
  rte_flow_item_udp udp;
  rte_flow_item_icmp icmp;
  rte_flow_item_icmp6 icmp6;
  rte_flow_item_vxlan vxlan;
  rte_flow_item_integrity integrity;
  ItemSpace() : ipv6{} {}
};

/// A pattern under construction: items in order, ended after each.
class Pattern {
 public:
  static constexpr unsigned kMaxItems = 12;

  Pattern() { items_[0].type = RTE_FLOW_ITEM_TYPE_END; }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  struct Item {
    ItemSpace& spec;
    ItemSpace& mask;
  };
  /// Appends an item; what is not filled in is not matched.
  Item add(rte_flow_item_type type);
  /// Appends an item that only says that the header is there.
  void add_bare(rte_flow_item_type type);
  /// Gives the last item an upper end: the field matches from spec to here.
  ItemSpace& last();

  void clear() {
    count_ = 0;
    items_[0].type = RTE_FLOW_ITEM_TYPE_END;
  }
  [[nodiscard]] const rte_flow_item* items() const { return items_.data(); }
  [[nodiscard]] unsigned count() const { return count_; }

 private:
  std::array<rte_flow_item, kMaxItems> items_{};
  std::array<ItemSpace, kMaxItems> specs_;
  std::array<ItemSpace, kMaxItems> masks_;
  std::array<ItemSpace, kMaxItems> lasts_;
  unsigned count_ = 0;
};

/// A list of actions under construction, with room for what they point to.
class Actions {
 public:
  static constexpr unsigned kMaxActions = 16;

  Actions() { actions_[0].type = RTE_FLOW_ACTION_TYPE_END; }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;

  void add(rte_flow_action_type type, const void* conf = nullptr);
  void clear() {
    count_ = 0;
    actions_[0].type = RTE_FLOW_ACTION_TYPE_END;
  }
  [[nodiscard]] const rte_flow_action* list() const { return actions_.data(); }
  [[nodiscard]] unsigned count() const { return count_; }

  // What the actions of a compiled rule point to.
  rte_flow_action_count counter{};
  rte_flow_action_set_mac source_mac{};
  rte_flow_action_set_mac destination_mac{};
  rte_flow_action_set_ipv4 source4{};
  rte_flow_action_set_ipv4 destination4{};
  rte_flow_action_set_ipv6 source6{};
  rte_flow_action_set_ipv6 destination6{};
  rte_flow_action_set_tp source_port{};
  rte_flow_action_set_tp destination_port{};
  Pattern tunnel;  // The headers of VXLAN_ENCAP are written as a pattern.
  rte_flow_action_vxlan_encap vxlan_encap{};
  std::array<std::uint8_t, 64> header{};   // Put on by RAW_ENCAP,
  std::array<std::uint8_t, 64> removed{};  // and taken off by RAW_DECAP.
  rte_flow_action_raw_encap raw_encap{};
  rte_flow_action_raw_decap raw_decap{};
  rte_flow_action_ethdev output{};
  rte_flow_action_jump jump{};

 private:
  std::array<rte_flow_action, kMaxActions> actions_{};
  unsigned count_ = 0;
};

/// The pattern of a rule.
/// \return kNone, or why the card cannot match it.
[[nodiscard]] Refusal compile_pattern(const Rule& rule, const Capabilities& can, Pattern& pattern);

/// The actions of a rule. \param count_handle an indirect COUNT action, or null for one of the
/// rule's own.
[[nodiscard]] Refusal compile_actions(const Rule& rule, const Capabilities& can,
                                      const rte_flow_action_handle* count_handle, Actions& actions);

/// The attributes of every rule of a flow.
[[nodiscard]] rte_flow_attr flow_attributes();
/// Those of a rule in the table of an ethdev by which packets leave.
[[nodiscard]] rte_flow_attr exit_attributes(std::uint16_t ethdev, std::uint32_t priority);
inline constexpr std::uint32_t kWatchPriority = 0;
inline constexpr std::uint32_t kExitPriority = 1;

/// The rule of that table that sends packets out.
void compile_exit(std::uint16_t ethdev, Pattern& pattern, Actions& actions);

/// The outer headers that a rule puts before a packet, but for lengths and checksum: what RAW_ENCAP
/// is given, and what VXLAN_ENCAP says in items.
void write_tunnel_header(const Rule& rule, std::uint8_t* header);

}  // namespace gannet::offload
