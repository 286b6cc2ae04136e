// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/reconcile/random_policy.hpp"

#include <utility>

#include <fmt/format.h>

namespace gannet::control {

std::string RandomPolicy::text() {
  next_ = 0;
  std::string t = "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: p}\nprefix_lists:\n";
  t += fmt::format("  office: [{}]\n", some({"10.0.0.0/30", "10.0.0.16/28", "198.51.100.0/25",
                                             "10.0.1.0/24", "\"fd00::/64\""}));
  t += "vpcs:\n" + vpc("a", 1, "10.0", "\"fd00::/56\"") + vpc("b", 2, "10.1", "") +
       vpc("c", 3, "10.0", "");
  t += route_tables();
  t += "security_groups:\n";
  for (unsigned i = 0; i < 3; ++i) t += group(i);
  t += enis();
  t += fmt::format("nat_gateways:\n");
  if (!rarely())
    t += fmt::format("  n1: {{vpc: a, public_ips: [203.0.113.20], ports_per_eni: {}}}\n",
                     rarely() ? 512 : 1024);
  t += fmt::format("  n2: {{vpc: a, public_ips: [203.0.113.21{}], ports_per_eni: 256}}\n",
                   pick(2) != 0 ? ", 203.0.113.22" : "");
  t += balancers();
  return t;
}

// Some of the words, never none, in an order of their own.
std::string RandomPolicy::some(std::vector<std::string> words) {
  std::string list;
  const unsigned chosen = pick(1u << words.size());
  if (pick(3) == 0) std::swap(words.front(), words.back());
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_in = (chosen >> i & 1) != 0 || (i + 1 == words.size() && list.empty());
    if (is_in) list += (list.empty() ? "" : ", ") + words[i];
  }
  return list;
}

std::string RandomPolicy::vpc(const std::string& name, unsigned vni, const std::string& net,
                              const std::string& v6) {
  std::string t =
      fmt::format("  {}:\n    vni: {}\n    cidrs: [{}.0.0/16{}{}]\n    subnets:\n", name,
                  rarely() && name == "c" ? 30 : vni, net, v6.empty() ? "" : ", ", v6);
  const bool is_a = name == "a";
  t += fmt::format("      s: {{cidr: {}.0.0/24{}{}}}\n", net, is_a ? ", cidr6: \"fd00::/64\"" : "",
                   is_a          ? ", route_table: ta"
                   : name == "b" ? ", route_table: tb"
                                 : "");
  t += fmt::format("      t: {{cidr: {}.1.0/24{}}}\n", net,
                   is_a && !rarely() ? ", route_table: tt" : "");
  t += "    mappings:\n";
  t += fmt::format("      {}.0.99: {{underlay_ip: 192.0.2.9, mac: \"02:00:00:00:00:99\"}}\n", net);
  for (unsigned i = 0; i < 4; ++i) {
    if (pick(4) == 0) continue;
    t += fmt::format("      {}.{}.{}: {{underlay_ip: 192.0.2.{}, mac: \"02:00:00:00:00:{}\"}}\n",
                     net, i / 2, 50 + i, 12 + pick(2), 50 + i + (rarely() ? 20 : 0));
  }
  if (is_a && pick(3) != 0) {
    t +=
        fmt::format("      \"fd00::50\": {{underlay_ip: 192.0.2.{}, mac: \"02:00:00:00:00:60\"}}\n",
                    12 + pick(2));
  }
  return t;
}

std::string RandomPolicy::route_tables() {
  std::string t = "route_tables:\n";
  for (const char* const name : {"ta", "tt"}) {
    t += fmt::format("  {}:\n    - {{to: 198.51.100.64/26, via: drop}}\n", name);
    for (const char* const to : {"0.0.0.0/0", "198.51.100.0/24", "198.51.100.128/25",
                                 "198.51.100.7/32", "203.0.113.0/24"}) {
      const unsigned via = pick(6);
      if (via == 5) continue;
      static constexpr std::array<const char*, 5> kVia{"internet", "{nat_gateway: n2}",
                                                       "{nat_gateway: n2}", "drop", "internet"};
      t += fmt::format("    - {{to: {}, via: {}}}\n", to, kVia[via]);
    }
    if (pick(4) != 0) t += "    - {to: 10.1.0.0/16, via: {peer_vpc: b}}\n";
  }
  t += "  tb:\n    - {to: 0.0.0.0/0, via: drop}\n";
  if (pick(4) != 0) t += "    - {to: 10.0.0.0/16, via: {peer_vpc: a}}\n";
  return t;
}

std::string RandomPolicy::rules(const char* side) {
  static constexpr std::array<const char*, 8> kRemotes{"any",
                                                       "{cidr: 10.0.0.0/24}",
                                                       "{cidr: [10.0.0.8/29, 198.51.100.0/24]}",
                                                       "{cidr: 10.1.0.0/16}",
                                                       "{prefix_list: office}",
                                                       "{security_group: g1}",
                                                       "{cidr: 10.0.1.0/24}",
                                                       "{cidr: \"fd00::/64\"}"};
  std::string t;
  std::vector<unsigned> order{0, 1, 2, 3};
  if (pick(4) == 0) std::swap(order[0], order[pick(4)]);
  for (const unsigned i : order) {
    if (pick(4) == 0) continue;
    const unsigned first = 50 + pick(6);
    static constexpr std::array<const char*, 4> kProtocols{"tcp", "udp", "udp", "any"};
    const char* const protocol = kProtocols[pick(4)];
    t += fmt::format("      - {{name: r{}, action: {}, proto: {}{}, {}: {}{}}}\n", i,
                     pick(3) != 0   ? "allow"
                     : pick(2) != 0 ? "deny"
                                    : "reject",
                     protocol,
                     *protocol != 'a' && pick(3) != 0
                         ? fmt::format(", ports: [\"{}-{}\", 80]", first, first + pick(4))
                         : std::string(),
                     side, kRemotes[pick(8)], rarely() ? ", persist: true" : "");
  }
  return t;
}

std::string RandomPolicy::group(unsigned number) {
  std::string t = fmt::format("  g{}:\n    default: {{ingress: {}, egress: {}}}\n", number,
                              pick(4) != 0 ? "allow" : "deny", rarely() ? "deny" : "allow");
  if (rarely()) t += "    mode: audit\n";
  const std::string in = rules("from");
  const std::string out = rules("to");
  if (!in.empty()) t += "    ingress:\n" + in;
  if (!out.empty()) t += "    egress:\n" + out;
  return t;
}

std::string RandomPolicy::enis() {
  static constexpr std::array<const char*, kEniCount> kHomes{"a", "a", "a", "b", "c", "a"};
  std::string t = "enis:\n";
  for (unsigned i = 0; i < kEniCount; ++i) {
    const bool is_t = i == 2;
    const std::string net = kHomes[i][0] == 'b' ? "10.1" : "10.0";
    const bool has_v6 = kHomes[i][0] == 'a' && !is_t;
    t += fmt::format(
        "  e{}: {{vpc: {}, subnet: {}, ips: [{}.{}.{}{}{}], mac: \"02:00:00:00:01:{:02x}\"", i,
        kHomes[i], is_t ? "t" : "s", net, is_t ? 1 : 0, 10 + i,
        rarely() ? fmt::format(", {}.{}.{}", net, is_t ? 1 : 0, 110 + i) : std::string(),
        has_v6 ? fmt::format(", \"fd00::{}\"", 10 + i) : std::string(), i);
    if (i != 5 || pick(2) != 0) t += fmt::format(", port: p{}", i);
    if (!rarely()) t += fmt::format(", security_groups: [{}]", some({"g0", "g1", "g2"}));
    if (i < 2 && pick(3) != 0)
      t += fmt::format(", public_ip: 203.0.113.{}", 10 + (rarely() ? 5 : i));
    if (rarely()) t += ", qos: {bandwidth: 1Gbps}";
    if (pick(20) == 0) t += ", admin: down";
    t += "}\n";
  }
  return t;
}

std::string RandomPolicy::backends() {
  std::string t;
  for (unsigned i = 0; i < 4; ++i) {
    if (pick(4) == 0) continue;
    t += fmt::format("          - {{ip: 10.0.{}.{}, port: {}, weight: {}}}\n", i == 2 ? 1 : 0,
                     10 + i + (i == 3 ? 37 : 0), rarely() ? 80 : 53, 1 + pick(3));
  }
  return t;
}

std::string RandomPolicy::balancers() {
  std::string t = "load_balancers:\n";
  for (const char* const vip : {"10.0.9.9", "203.0.113.30"}) {
    t += fmt::format("  l{}:\n    vpc: a\n    vip: {}\n    listeners:\n", vip[0], vip);
    for (const char* const port : {"53", "54", "any"}) {
      if (pick(3) == 0 && port[1] != '3') continue;
      t += fmt::format("      - {{proto: udp, port: {}, backend_pool: {}{}}}\n", port,
                       pick(3) != 0 ? "p" : "q", rarely() ? ", affinity: source_ip" : "");
    }
    for (const char* const pool : {"p", "q"}) {
      const std::string all = backends();
      if (pool[0] == 'p') t += "    backend_pools:\n";
      t += fmt::format("      {}:\n        backends:{}\n{}", pool, all.empty() ? " []" : "", all);
    }
  }
  return t;
}

}  // namespace gannet::control
