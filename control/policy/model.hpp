// SPDX-License-Identifier: BSD-3-Clause
// The policy as it was written: what operators say, typed, with every name still a name. Plain
// data; what a field means stands in docs/policy.md, its name in the text and its sentence in
// fields.hpp, its default here. A policy that passed validation has all required fields given.
// Control thread and command line.
#pragma once

#include "control/policy/dictionary.hpp"
#include "control/policy/source.hpp"
#include "control/policy/units.hpp"
#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"
#include "flows/base/vni.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gannet::control {

using Sources = std::vector<std::shared_ptr<const SourceFile>>;

/// An IP protocol number, or any.
struct Protocol {
  static constexpr std::uint16_t kAny = 256;
  std::uint16_t number = kAny;

  [[nodiscard]] constexpr bool has_ports() const { return number == 6 || number == 17; }
  friend constexpr bool operator==(const Protocol&, const Protocol&) = default;
};
inline constexpr Protocol kProtocolIcmp{1};
inline constexpr Protocol kProtocolTcp{6};
inline constexpr Protocol kProtocolUdp{17};
inline constexpr Protocol kProtocolIcmp6{58};

/// Ports from `first` to `last`, both included.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  friend constexpr auto operator<=>(const PortRange&, const PortRange&) = default;
};

/// An address of a host together with the length of its network: 192.0.2.11/24.
struct InterfaceAddress {
  IpAddress address;
  std::uint8_t length = 0;

  [[nodiscard]] Prefix network() const { return Prefix::of(address, length); }
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;
  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

struct Label {
  std::string key;
  std::string value;
  friend bool operator==(const Label&, const Label&) = default;
};

struct Metadata {
  Reference name;
  std::vector<Label> labels;
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

struct PrefixList : Named {
  std::vector<Located<Prefix>> prefixes;
  friend bool operator==(const PrefixList&, const PrefixList&) = default;
};

struct Subnet : Named {
  Located<Prefix> cidr;
  Located<Prefix> cidr6;  // A second block, of IPv6.
  Reference route_table;  // Not given: only the VPC's own addresses are reachable.
  friend bool operator==(const Subnet&, const Subnet&) = default;

  /// Both blocks, those that are given.
  [[nodiscard]] std::vector<Located<Prefix>> blocks() const {
    std::vector<Located<Prefix>> all;
    if (cidr.is_given) all.push_back(cidr);
    if (cidr6.is_given) all.push_back(cidr6);
    return all;
  }
};

/// An overlay address and the host that has it. Its name is the address as to_string() writes it.
struct Mapping : Named {
  Located<IpAddress> address;
  Located<IpAddress> underlay_ip;
  Located<Mac> mac;
  friend bool operator==(const Mapping&, const Mapping&) = default;
};

struct Vpc : Named {
  Located<Vni> vni;
  std::vector<Located<Prefix>> cidrs;
  Dictionary<Subnet> subnets;
  Dictionary<Mapping> mappings;
  friend bool operator==(const Vpc&, const Vpc&) = default;
};

enum class ViaKind : std::uint8_t { kDrop, kInternet, kNatGateway, kPeerVpc };
/// Where a route leads: one word, or one of the names.
struct Via {
  bool is_internet = false;
  Reference nat_gateway;
  Reference peer_vpc;
  friend bool operator==(const Via&, const Via&) = default;

  [[nodiscard]] ViaKind kind() const {
    if (is_internet) return ViaKind::kInternet;
    if (nat_gateway.is_given) return ViaKind::kNatGateway;
    return peer_vpc.is_given ? ViaKind::kPeerVpc : ViaKind::kDrop;
  }
};

struct Route {
  Located<Prefix> to;
  Located<Via> via;
  Place place;
  std::string comment;
  friend bool operator==(const Route&, const Route&) = default;
};

struct RouteTable : Named {
  std::vector<Route> routes;
  friend bool operator==(const RouteTable&, const RouteTable&) = default;
};

enum class Action : std::uint8_t { kDeny, kAllow, kReject };
enum class Direction : std::uint8_t { kIngress, kEgress };

enum class RemoteKind : std::uint8_t { kAny, kCidrs, kPrefixList, kSecurityGroup };
/// The other side of a connection, as a rule names it: one of these, or none for any.
struct Remote {
  std::vector<Located<Prefix>> cidrs;
  Reference prefix_list;
  Reference security_group;
  friend bool operator==(const Remote&, const Remote&) = default;

  [[nodiscard]] RemoteKind kind() const {
    if (prefix_list.is_given) return RemoteKind::kPrefixList;
    if (security_group.is_given) return RemoteKind::kSecurityGroup;
    return cidrs.empty() ? RemoteKind::kAny : RemoteKind::kCidrs;
  }
};

struct Rule : Named {
  Direction direction = Direction::kIngress;
  Action action = Action::kDeny;
  Located<Protocol> proto;
  std::vector<Located<PortRange>> ports;  // Empty: all.
  Located<Remote> remote;                 // `from` of an ingress rule, `to` of an egress rule.
  bool logs = false;                      // Matches are written to the rule log.
  bool persists = false;                  // Connections live on when the rule turns to deny (R21).
  friend bool operator==(const Rule&, const Rule&) = default;
};

struct DefaultActions {
  Action ingress = Action::kDeny;
  Action egress = Action::kAllow;
  friend bool operator==(const DefaultActions&, const DefaultActions&) = default;
};

enum class GroupMode : std::uint8_t { kEnforce, kAudit };

struct SecurityGroup : Named {
  GroupMode mode = GroupMode::kEnforce;
  Located<DefaultActions> defaults;
  std::vector<Rule> ingress;
  std::vector<Rule> egress;
  friend bool operator==(const SecurityGroup&, const SecurityGroup&) = default;

  [[nodiscard]] const std::vector<Rule>& rules(Direction direction) const {
    return direction == Direction::kIngress ? ingress : egress;
  }
};

/// Zero: no limit.
struct Qos {
  Bandwidth bandwidth;
  std::uint32_t new_flows_per_second = 0;
  std::uint32_t max_flows = 0;
  friend bool operator==(const Qos&, const Qos&) = default;
};

enum class AdminState : std::uint8_t { kUp, kDown };

struct Eni : Named {
  Reference vpc;
  Reference subnet;
  std::vector<Located<IpAddress>> ips;
  Located<Mac> mac;
  Reference port;                              // Not given: lives on another host.
  std::vector<Reference> security_groups;      // Every one must allow; empty: deny in, allow out.
  std::vector<Located<IpAddress>> public_ips;  // 1:1 NAT, at most one of each family.
  Qos qos;
  AdminState admin = AdminState::kUp;
  friend bool operator==(const Eni&, const Eni&) = default;
};

struct NatGateway : Named {
  Reference vpc;
  std::vector<Located<IpAddress>> public_ips;
  Located<std::uint32_t> ports_per_eni;
  friend bool operator==(const NatGateway&, const NatGateway&) = default;
};

enum class Affinity : std::uint8_t { kFiveTuple, kSourceIp };

/// A port that a load balancer listens on, or any.
struct ListenerPort {
  static constexpr std::uint16_t kAny = 0;
  std::uint16_t number = kAny;
  friend constexpr bool operator==(const ListenerPort&, const ListenerPort&) = default;
};

struct Listener {
  Located<Protocol> proto;  // TCP, UDP, or any together with any port.
  Located<ListenerPort> port;
  Reference backend_pool;
  Affinity affinity = Affinity::kFiveTuple;
  Place place;
  friend bool operator==(const Listener&, const Listener&) = default;
};

enum class HealthCheckType : std::uint8_t { kTcp };
struct HealthCheck {
  HealthCheckType type = HealthCheckType::kTcp;
  std::uint16_t port = 0;  // 0: the backend's own.
  Duration interval = std::chrono::seconds(2);
  Duration timeout = std::chrono::seconds(1);
  std::uint32_t rise = 2;
  std::uint32_t fall = 3;
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct Backend {
  Reference eni;                // Either this
  Located<IpAddress> ip;        // or this is given.
  Located<std::uint16_t> port;  // 0, not given: the port that the client asked for.
  std::uint16_t weight = 100;   // 0: no new connections.
  Place place;
  friend bool operator==(const Backend&, const Backend&) = default;
};

struct BackendPool : Named {
  std::optional<HealthCheck> health_check;  // None: always up.
  std::optional<Duration> drain;  // None: connections to a removed backend end by themselves.
  std::vector<Backend> backends;
  friend bool operator==(const BackendPool&, const BackendPool&) = default;
};

struct LoadBalancer : Named {
  Reference vpc;
  Located<IpAddress> vip;
  std::vector<Listener> listeners;
  Dictionary<BackendPool> backend_pools;
  friend bool operator==(const LoadBalancer&, const LoadBalancer&) = default;
};

struct Policy {
  Located<Metadata> metadata;
  Dictionary<PrefixList> prefix_lists;
  Dictionary<Vpc> vpcs;
  Dictionary<RouteTable> route_tables;
  Dictionary<SecurityGroup> security_groups;
  Dictionary<Eni> enis;
  Dictionary<NatGateway> nat_gateways;
  Dictionary<LoadBalancer> load_balancers;
  Sources sources;  // Keep the places alive.

  friend bool operator==(const Policy& a, const Policy& b) {
    return a.metadata == b.metadata && a.prefix_lists == b.prefix_lists && a.vpcs == b.vpcs &&
           a.route_tables == b.route_tables && a.security_groups == b.security_groups &&
           a.enis == b.enis && a.nat_gateways == b.nat_gateways &&
           a.load_balancers == b.load_balancers;
  }
};

}  // namespace gannet::control
