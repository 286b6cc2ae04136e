// SPDX-License-Identifier: BSD-3-Clause
// First-match classification by remote address, protocol and port, the shape of every
// security-group rule. Rules are grouped by remote prefix: for each distinct prefix there is a
// sorted list of the (protocol, port) intervals of its rules with the first rule of each, and a
// link to the next shorter prefix that has rules. A match is one longest-prefix look-up, then one
// binary search for each prefix on the way up. Memory is linear in the rules, and time grows with
// their logarithm and with how deeply their prefixes nest, not with their number. Immutable once
// built; read by all workers. Free of DPDK (rte_acl needs an EAL), so that a policy can be tested
// offline by the same code.
#pragma once

#include "dataplane/tables/lpm.hpp"
#include "flows/base/ip.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace gannet::dataplane {

/// What a rule matches. Its place in the list is its priority.
struct AclRule {
  static constexpr std::uint16_t kAnyProtocol = 256;
  std::uint16_t protocol = kAnyProtocol;  // Then ports do not count: not every protocol has some.
  std::uint16_t first_port =
      0;  // Of the service: the destination port of a connection's first packet.
  std::uint16_t last_port = 0xffff;
  Prefix remote;
};

class Acl {
 public:
  static constexpr std::uint32_t kNoMatch = 0x7fff'ffff;

  /// An entry's `rule` is what match() returns; smaller ones come first. One rule may have several
  /// entries (one for each prefix and port range of the policy's rule).
  struct Entry {
    AclRule match;
    std::uint32_t rule;
  };

  Acl() = default;
  explicit Acl(std::span<const Entry> entries);

  /// The first rule that matches, or kNoMatch.
  template <typename Ip>  // Ip4, Ip6 or IpAddress.
  [[nodiscard]] std::uint32_t match(const Ip& remote, std::uint8_t protocol,
                                    std::uint16_t port) const {
    const std::uint32_t node = nodes_by_prefix_.find(remote);
    return node == Lpm::kNone ? kNoMatch : match_from(node, protocol, port);
  }

  /// What the rules of one prefix alone say, for comparing tables: from starts[i] on rules[i] is
  /// the first that matches, or kNoMatch.
  struct Intervals {
    const Prefix& remote;
    std::span<const std::uint32_t> starts;  // Of protocol << 16 | port, ascending from 0.
    std::span<const std::uint32_t> rules;
  };
  /// The order of a table's prefixes: by family, then each behind those that contain it. It is not
  /// that of Prefix's operator<, which mixes the families.
  [[nodiscard]] static bool is_before(const Prefix& a, const Prefix& b);
  /// Prefixes that have rules, in this order.
  [[nodiscard]] std::size_t prefix_count() const { return prefixes_.size(); }
  [[nodiscard]] Intervals intervals(std::size_t prefix) const {
    const Node& node = nodes_[prefix];
    return {prefixes_[prefix],
            std::span(interval_starts_).subspan(node.first_interval, node.interval_count),
            std::span(interval_rules_).subspan(node.first_interval, node.interval_count)};
  }

 private:
  struct Node {
    std::uint32_t first_interval;
    std::uint32_t interval_count;
    std::uint32_t parent;      // Node of the next shorter prefix, or Lpm::kNone.
    std::uint32_t chain_best;  // Smallest rule of this node and all above it.
  };

  [[nodiscard]] std::uint32_t match_from(std::uint32_t node, std::uint8_t protocol,
                                         std::uint16_t port) const;
  std::uint32_t add_node(std::span<const Entry> entries);

  Lpm nodes_by_prefix_;
  std::vector<Node> nodes_;
  std::vector<Prefix> prefixes_;  // By node.
  // Of all nodes: where an interval of protocol << 16 | port starts, and its first rule.
  std::vector<std::uint32_t> interval_starts_;
  std::vector<std::uint32_t> interval_rules_;
};

}  // namespace gannet::dataplane
