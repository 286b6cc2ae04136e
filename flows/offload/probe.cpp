// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/probe.hpp"

#include "flows/offload/compile.hpp"
#include "flows/offload/watch_pattern.hpp"
#include "flows/packet/headers.hpp"

namespace gannet::offload {
namespace {

Rule sample_rule(std::uint16_t in_port, std::uint16_t out_port) {
  Rule rule;
  rule.in_port = in_port;
  rule.out_port = out_port;
  rule.protocol = packet::kProtoUdp;
  rule.source_mac = Mac{{2, 0, 0, 0, 0, 1}};
  rule.destination_mac = Mac{{2, 0, 0, 0, 0, 2}};
  rule.before = {Ip4(10, 0, 0, 1), Ip4(10, 0, 0, 2), 1'000, 2'000};
  rule.after = rule.before;
  rule.hop = flows::make_tunnel_hop(
      0, 0, Mac{{2, 0, 0, 0, 0, 3}}, Ip4(192, 0, 2, 1), Ip4(192, 0, 2, 2), packet::kVxlanPort, 1,
      Mac{{2, 0, 0, 0, 0, 4}}, Mac{{2, 0, 0, 0, 0, 5}}, packet::kEtherTypeIpv4);
  rule.neighbor_mac = Mac{{2, 0, 0, 0, 0, 6}};
  rule.outer_source_port = 50'000;
  rule.tunnel = {Ip4(192, 0, 2, 2), Ip4(192, 0, 2, 1), 1, packet::kVxlanPort,
                 Mac{{2, 0, 0, 0, 0, 3}}};
  return rule;
}

class Prober {
 public:
  Prober(const Validate& validate, std::uint16_t in_port, std::uint16_t out_port)
      : validate_(validate), plain_(sample_rule(in_port, out_port)) {}

  Capabilities run(const rte_flow_action_handle* count_handle) {
    probe_tables();
    probe_counters(count_handle);
    probe_matches();
    probe_tunnels();
    probe_changes();
    probe_checks();
    return found_;
  }

 private:
  // Whether the card takes a rule as it would be compiled if it could do everything that has been
  // found, and `with` too.
  bool takes(const Rule& rule, std::initializer_list<Ability> with,
             std::initializer_list<Ability> without = {}) {
    Capabilities can = found_;
    // What the rule does not need must not keep it from being compiled.
    for (const Ability a : {Ability::transfer, Ability::jump, Ability::count, Ability::match_ihl,
                            Ability::match_fragment, Ability::match_tos, Ability::match_ttl}) {
      can.set(a, true);
    }
    for (const Ability a : with) can.set(a, true);
    for (const Ability a : without) can.set(a, false);
    const bool is_compiled = compile_pattern(rule, can, pattern_) == Refusal::kNone &&
                             compile_actions(rule, can, nullptr, actions_) == Refusal::kNone;
    return is_compiled && validate_(flow_attributes(), pattern_.items(), actions_.list());
  }

  void learn(Ability ability, bool is_there) { found_.set(ability, is_there); }

  // A guard with an IPv4 header that `fill` completes.
  template <typename Fill>
  bool takes_guard(Fill&& fill) {
    rte_flow_attr attributes{};
    attributes.transfer = 1;
    attributes.group = kGuardGroup;
    pattern_.clear();
    pattern_.add_bare(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);
    pattern_.add_bare(RTE_FLOW_ITEM_TYPE_ETH);
    const auto ip = pattern_.add(RTE_FLOW_ITEM_TYPE_IPV4);
    fill(ip);
    actions_.clear();
    actions_.jump.group = kSoftwareGroup;
    actions_.add(RTE_FLOW_ACTION_TYPE_JUMP, &actions_.jump);
    return validate_(attributes, pattern_.items(), actions_.list());
  }

  void probe_tables() {
    const bool jumps = takes_guard([](const Pattern::Item&) {});
    learn(Ability::transfer, jumps);
    learn(Ability::jump, jumps);
    learn(Ability::match_ihl, takes_guard([](const Pattern::Item& ip) {
            ip.spec.ipv4.hdr.version_ihl = packet::kIpv4PlainVersionIhl;
            ip.mask.ipv4.hdr.version_ihl = 0xff;
          }));
    learn(Ability::match_fragment, takes_guard([](const Pattern::Item& ip) {
            ip.mask.ipv4.hdr.fragment_offset =
                Be16(packet::kIpv4MoreFragments | packet::kIpv4OffsetMask).raw();
          }));
    learn(Ability::match_ttl,
          takes_guard([](const Pattern::Item& ip) { ip.mask.ipv4.hdr.time_to_live = 0xfe; }));
    learn(Ability::match_tos,
          takes_guard([](const Pattern::Item& ip) { ip.mask.ipv4.hdr.type_of_service = 0xff; }));
    learn(Ability::match_length, takes_guard([](const Pattern::Item& ip) {
            ip.spec.ipv4.hdr.total_length = Be16(0x8000).raw();
            ip.mask.ipv4.hdr.total_length = Be16(0x8000).raw();
          }));
    learn(Ability::length_range, takes_guard([this](const Pattern::Item& ip) {
            ip.spec.ipv4.hdr.total_length = Be16(1'501).raw();
            ip.mask.ipv4.hdr.total_length = 0xffff;
            pattern_.last().ipv4.hdr.total_length = 0xffff;
          }));
  }

  void probe_counters(const rte_flow_action_handle* count_handle) {
    learn(Ability::count, takes(plain_, {}));
    if (count_handle == nullptr) return;
    const bool is_compiled =
        compile_pattern(plain_, Capabilities::all(), pattern_) == Refusal::kNone &&
        compile_actions(plain_, Capabilities::all(), count_handle, actions_) == Refusal::kNone;
    learn(Ability::count_handle,
          is_compiled && validate_(flow_attributes(), pattern_.items(), actions_.list()));
    if (found_.has(Ability::count_handle)) probe_guard_count(*count_handle);
  }

  // Of the three tables with counted guards the flows' one has them behind the flows' rules.
  void probe_guard_count(const rte_flow_action_handle& count_handle) {
    pattern_.clear();
    pattern_.add_bare(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);
    pattern_.add_bare(RTE_FLOW_ITEM_TYPE_ETH);
    pattern_.add_bare(RTE_FLOW_ITEM_TYPE_IPV4);
    actions_.clear();
    actions_.jump.group = kNowhereGroup;
    actions_.add(RTE_FLOW_ACTION_TYPE_INDIRECT, &count_handle);
    actions_.add(RTE_FLOW_ACTION_TYPE_JUMP, &actions_.jump);
    bool is_taken = true;
    for (const std::uint32_t group : {kGuardGroup, kFlowGroup, kSoftwareGroup}) {
      rte_flow_attr attributes{};
      attributes.transfer = 1;
      attributes.group = group;
      attributes.priority = group == kFlowGroup ? kMissPriority : 0;
      is_taken = is_taken && validate_(attributes, pattern_.items(), actions_.list());
    }
    learn(Ability::guard_count, is_taken);
  }

  void probe_matches() {
    Rule tcp = plain_;
    tcp.protocol = packet::kProtoTcp;
    learn(Ability::match_tcp_flags, takes(tcp, {Ability::match_tcp_flags}));
    Rule echo = plain_;
    echo.protocol = packet::kProtoIcmp;
    echo.before.destination_port = echo.after.destination_port = packet::kIcmpEchoRequest << 8;
    learn(Ability::match_icmp_id, takes(echo, {Ability::match_icmp_id}));
    learn(Ability::ipv6, takes(to_ipv6(plain_), {Ability::ipv6}));
  }

  void probe_tunnels() {
    Rule out = plain_;
    out.flags = flows::kEncapsulate;
    learn(Ability::encap_vxlan, takes(out, {Ability::encap_vxlan}));
    learn(Ability::encap_raw, takes(out, {Ability::encap_raw}, {Ability::encap_vxlan}));
    Rule in = plain_;
    in = tunneled(in);
    constexpr auto kMatch = Ability::match_tunnel;
    constexpr auto kEcn = Ability::match_tunnel_ecn;
    learn(Ability::decap_vxlan, takes(in, {kMatch, kEcn, Ability::decap_vxlan}));
    learn(Ability::decap_raw,
          takes(in, {kMatch, kEcn, Ability::decap_raw}, {Ability::decap_vxlan}));
    const bool matches = found_.has(Ability::decap_vxlan) || found_.has(Ability::decap_raw);
    learn(Ability::match_tunnel, matches);
    learn(Ability::match_tunnel_ecn, matches);
  }

  void probe_changes() {
    Rule macs = plain_;
    macs.flags = flows::kRewriteMacs;
    learn(Ability::set_mac, takes(macs, {Ability::set_mac}));
    Rule routed = plain_;
    routed.flags = flows::kDecrementTtl;
    learn(Ability::dec_ttl, takes(routed, {Ability::dec_ttl}));
    Rule ip = plain_;
    ip.after.source = Ip4(203, 0, 113, 1);
    ip.after.destination = Ip4(203, 0, 113, 2);
    learn(Ability::set_ipv4, takes(ip, {Ability::set_ipv4}));
    Rule ports = plain_;
    ports.after.source_port = 1;
    ports.after.destination_port = 2;
    learn(Ability::set_ports, takes(ports, {Ability::set_ports}));
    if (!found_.has(Ability::ipv6)) return;
    Rule ip6 = to_ipv6(plain_);
    std::swap(ip6.after.source, ip6.after.destination);
    learn(Ability::set_ipv6, takes(ip6, {Ability::set_ipv6}));
  }

  void probe_checks() {
    learn(Ability::match_integrity, takes(plain_, {Ability::match_integrity}));
    if (found_.has(Ability::match_tunnel)) {
      learn(Ability::match_inner_integrity,
            takes(tunneled(plain_), {Ability::match_inner_integrity}));
    }
    Rule out = plain_;
    if (found_.has(Ability::encap_vxlan)) out.flags = flows::kEncapsulate;
    const bool jumps = takes(out, {Ability::watch});
    compile_watch(out, pattern_, actions_);
    learn(Ability::watch, jumps && validate_(exit_attributes(out.out_port, kWatchPriority),
                                             pattern_.items(), actions_.list()));
  }

  static Rule tunneled(Rule rule) {
    rule.flags = flows::kDecapsulate;
    rule.source_mac = Mac{};
    rule.tos = 2;  // Both ECN fields are matched.
    return rule;
  }

  static Rule to_ipv6(Rule rule) {
    rule.before.source = Ip6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
    rule.before.destination = Ip6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
    rule.after = rule.before;
    return rule;
  }

  const Validate& validate_;
  Rule plain_;
  Capabilities found_;
  Pattern pattern_;
  Actions actions_;
};

}  // namespace

Capabilities probe(const Validate& validate, std::uint16_t in_port, std::uint16_t out_port,
                   const rte_flow_action_handle* count_handle) {
  return Prober(validate, in_port, out_port).run(count_handle);
}

}  // namespace gannet::offload
