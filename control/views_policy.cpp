// SPDX-License-Identifier: BSD-3-Clause
#include "control/views_policy.hpp"

#include "control/policy/json_value.hpp"
#include "control/policy/values.hpp"
#include "control/rehearsal.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

std::string ip_text(const IpAddress& ip) { return gannet::to_string(ip); }

Json names_of(const std::vector<Reference>& references) {
  Json names = Json::array();
  for (const Reference& r : references) names.push_back(*r);
  return names;
}

template <typename T>
Json addresses_of(const std::vector<T>& ips) {
  Json list = Json::array();
  for (const auto& ip : ips) list.push_back(ip_text(*ip));
  return list;
}

// Asks a worker how many connections each of its ENIs has.
class UsageCommand final : public dataplane::WorkerCommand {
 public:
  explicit UsageCommand(std::vector<std::uint32_t>& counts) : counts_(counts) {}
  bool step(dataplane::Worker& worker) override {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      counts_[i] += worker.connections().connection_count(static_cast<std::uint16_t>(i));
    }
    return true;
  }

 private:
  std::vector<std::uint32_t>& counts_;
};

// Taken down by the policy, or cut off with its port.
std::string state_of(Controller& c, const Eni& eni) {
  if (eni.admin != AdminState::kUp) return "down";
  if (!eni.port.is_given) return "up";
  const auto& ports = c.facts().ports;
  const auto at = std::find(ports.begin(), ports.end(), *eni.port);
  const std::string link = c.link_of(static_cast<std::size_t>(at - ports.begin()));
  return link == kLinkUp ? link : "port " + link;
}

std::string remote_text(const Remote& remote) {
  switch (remote.kind()) {
    case RemoteKind::kAny: return "any";
    case RemoteKind::kPrefixList: return "prefix list " + *remote.prefix_list;
    case RemoteKind::kSecurityGroup: return "security group " + *remote.security_group;
    case RemoteKind::kCidrs: break;
  }
  std::string text;
  for (const auto& cidr : remote.cidrs) {
    text += (text.empty() ? "" : " ") + gannet::to_string(*cidr);
  }
  return text;
}

std::string ports_text(const Rule& rule) {
  std::string text;
  for (const auto& range : rule.ports) {
    text += text.empty() ? "" : " ";
    text += range->first == range->last ? std::to_string(range->first)
                                        : fmt::format("{}-{}", range->first, range->last);
  }
  return text.empty() ? "any" : text;
}

std::string proto_text(const Located<Protocol>& proto) {
  if (!proto.is_given || proto->number == Protocol::kAny) return "any";
  if (*proto == kProtocolTcp) return "tcp";
  if (*proto == kProtocolUdp) return "udp";
  if (*proto == kProtocolIcmp) return "icmp";
  if (*proto == kProtocolIcmp6) return "icmp6";
  return std::to_string(proto->number);
}

std::string via_text(const Via& via) {
  switch (via.kind()) {
    case ViaKind::kDrop: return "drop";
    case ViaKind::kInternet: return "internet";
    case ViaKind::kNatGateway: return "nat gateway " + *via.nat_gateway;
    case ViaKind::kPeerVpc: return "peer vpc " + *via.peer_vpc;
  }
  return "?";
}

// What the last probes of a backend said; empty without a health check.
std::string probes_text(const BackendStates& states, const BackendId& backend) {
  const auto found = states.probes.find(backend);
  if (found == states.probes.end()) return {};
  const auto result = [&found] {
    switch (found->second.last) {
      case ProbeResult::kAnswered: return "answered";
      case ProbeResult::kRefused: return "refused";
      case ProbeResult::kNoAnswer: return "no answer";
      case ProbeResult::kNowhere: return "has no place";
    }
    return "?";
  };
  return fmt::format("{}, {} in a row", result(), found->second.in_a_row);
}

std::string backend_state(const dataplane::Backend& backend, bool is_draining) {
  if (is_draining) return "draining";
  if (!backend.is_healthy) return "down";
  return backend.weight == 0 ? "no new connections" : "up";
}

}  // namespace

Json show_vpcs(Controller& c) {
  Json rows = Json::array();
  for (const Vpc& vpc : c.current().policy.vpcs) {
    Json cidrs = Json::array();
    for (const auto& cidr : vpc.cidrs) cidrs.push_back(gannet::to_string(*cidr));
    for (const Subnet& subnet : vpc.subnets) {
      const auto blocks = subnet.blocks();
      const auto gateway = blocks.empty() ? std::nullopt : blocks.front()->at(1);
      rows.push_back({{"vpc", vpc.name},
                      {"vni", vpc.vni->value},
                      {"cidrs", cidrs},
                      {"subnet", subnet.name},
                      {"cidr", blocks.empty() ? "-" : gannet::to_string(*blocks.front())},
                      {"gateway", gateway ? ip_text(*gateway) : "-"},
                      {"route_table", subnet.route_table.is_given ? *subnet.route_table : "-"}});
    }
    if (vpc.subnets.empty()) {
      rows.push_back({{"vpc", vpc.name}, {"vni", vpc.vni->value}, {"cidrs", cidrs}});
    }
  }
  return rows;
}

Json show_enis(Controller& c) {
  const dataplane::Snapshot& snapshot = *c.dataplane().policy();
  std::vector<std::uint32_t> counts(snapshot.enis.size());
  for (unsigned i = 0; i < c.dataplane().worker_count(); ++i) {
    UsageCommand usage(counts);
    c.dataplane().execute(i, usage);
  }
  Json rows = Json::array();
  for (const Eni& eni : c.current().policy.enis) {
    const auto& names = c.names().enis;
    const auto index =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), eni.name) - names.begin());
    rows.push_back({{"eni", eni.name},
                    {"vpc", *eni.vpc},
                    {"subnet", *eni.subnet},
                    {"ips", addresses_of(eni.ips)},
                    {"mac", gannet::to_string(*eni.mac)},
                    {"port", eni.port.is_given ? *eni.port : "-"},
                    {"state", state_of(c, eni)},
                    {"security_groups", names_of(eni.security_groups)},
                    {"public_ip", addresses_of(eni.public_ips)},
                    {"worker", snapshot.enis[index].worker},
                    {"connections", counts[index]}});
  }
  return rows;
}

Json show_groups(Controller& c) {
  Json rows = Json::array();
  std::uint32_t id = 0;  // The compiler numbers rules in this order.
  const auto add = [&](const SecurityGroup& group, std::string_view direction, std::string name,
                       Action action, std::string proto, std::string ports, std::string remote) {
    rows.push_back({{"group", group.name},
                    {"direction", direction},
                    {"rule", std::move(name)},
                    {"action", to_string(action)},
                    {"proto", std::move(proto)},
                    {"ports", std::move(ports)},
                    {"remote", std::move(remote)},
                    {"mode", group.mode == GroupMode::kAudit ? "audit" : "enforce"},
                    {"hits", c.rule_hits(id++)}});
  };
  for (const SecurityGroup& group : c.current().policy.security_groups) {
    for (const Direction direction : {Direction::kIngress, Direction::kEgress}) {
      const bool is_ingress = direction == Direction::kIngress;
      const std::string_view word = is_ingress ? "ingress" : "egress";
      for (const Rule& rule : group.rules(direction)) {
        add(group, word, rule.name, rule.action, proto_text(rule.proto), ports_text(rule),
            remote_text(*rule.remote));
      }
      add(group, word, "default", is_ingress ? group.defaults->ingress : group.defaults->egress,
          "any", "any", "any");
    }
  }
  return rows;
}

Json show_routes(Controller& c) {
  Json rows = Json::array();
  for (const RouteTable& table : c.current().policy.route_tables) {
    for (const Route& route : table.routes) {
      rows.push_back({{"table", table.name},
                      {"to", gannet::to_string(*route.to)},
                      {"via", via_text(*route.via)},
                      {"comment", route.comment.empty() ? "-" : route.comment}});
    }
  }
  return rows;
}

Json show_mappings(Controller& c) {
  Json rows = Json::array();
  for (const Vpc& vpc : c.current().policy.vpcs) {
    for (const Mapping& mapping : vpc.mappings) {
      const Ip4 remote = mapping.underlay_ip->v4();
      const std::uint32_t neighbor = c.dataplane().neighbors().find_or_add(remote);
      const std::uint64_t mac =
          neighbor == flows::kNoNeighbor ? 0 : c.dataplane().neighbors().mac_of(neighbor);
      rows.push_back({{"vpc", vpc.name},
                      {"address", ip_text(*mapping.address)},
                      {"underlay_ip", ip_text(*mapping.underlay_ip)},
                      {"mac", gannet::to_string(*mapping.mac)},
                      {"underlay_mac", mac == 0 ? "-" : gannet::to_string(Mac::from_raw(mac))}});
    }
  }
  return rows;
}

Json show_nat(Controller& c) {
  const dataplane::Snapshot& snapshot = *c.dataplane().policy();
  Json rows = Json::array();
  for (std::size_t g = 0; g < snapshot.nat_gateways.size(); ++g) {
    const dataplane::NatGateway& gateway = snapshot.nat_gateways[g];
    for (std::size_t eni = 0; eni < gateway.block_of_eni.size(); ++eni) {
      const dataplane::PortBlock& block = gateway.block_of_eni[eni];
      if (block.count == 0) continue;
      const dataplane::NatAddress& address = snapshot.nat_addresses[block.address];
      std::array<unsigned, 3> open{};
      constexpr std::array<std::uint8_t, 3> kProtocols{packet::kProtoTcp, packet::kProtoUdp,
                                                       packet::kProtoIcmp};
      for (std::size_t p = 0; p < kProtocols.size(); ++p) {
        for (std::uint32_t port = block.first; port < block.first + std::uint32_t{block.count};
             ++port) {
          const auto state = address.ports->state(kProtocols[p], static_cast<std::uint16_t>(port));
          if (state == dataplane::NatPortState::kOpen) ++open[p];
        }
      }
      rows.push_back({{"gateway", c.names().nat_gateways[g]},
                      {"eni", SnapshotNames::at(c.names().enis, static_cast<std::uint32_t>(eni))},
                      {"public_ip", gannet::to_string(address.ip)},
                      {"ports", fmt::format("{}-{}", block.first, block.first + block.count - 1)},
                      {"tcp_open", open[0]},
                      {"udp_open", open[1]},
                      {"icmp_open", open[2]}});
    }
  }
  return rows;
}

Json show_load_balancers(Controller& c) {
  const dataplane::Snapshot& snapshot = *c.dataplane().policy();
  Json rows = Json::array();
  for (const LoadBalancer& balancer : c.current().policy.load_balancers) {
    for (const Listener& listener : balancer.listeners) {
      const std::string pool = balancer.name + "/" + *listener.backend_pool;
      const auto at = std::find(c.names().pools.begin(), c.names().pools.end(), pool);
      const auto& compiled = snapshot.pools[static_cast<std::size_t>(at - c.names().pools.begin())];
      const auto table = compiled.maglev.table();
      for (std::size_t i = 0; i < compiled.backends.size(); ++i) {
        const dataplane::Backend& b = compiled.backends[i];
        const auto share = std::count(table.begin(), table.end(), i);
        const BackendId id{pool, b.ip, b.port};
        const bool is_draining = c.backends().draining.contains(id);
        rows.push_back(
            {{"load_balancer", balancer.name},
             {"vip", ip_text(*balancer.vip)},
             {"listener", fmt::format("{}/{}", proto_text(listener.proto), listener.port->number)},
             {"pool", *listener.backend_pool},
             {"backend", fmt::format("{}:{}", ip_text(b.ip), b.port)},
             {"weight", b.weight},
             {"state", backend_state(b, is_draining)},
             {"probes", probes_text(c.backends(), id)},
             {"share_percent", table.empty() ? 0.0
                                             : 100.0 * static_cast<double>(share) /
                                                   static_cast<double>(table.size())}});
      }
    }
  }
  return rows;
}

}  // namespace gannet::control
