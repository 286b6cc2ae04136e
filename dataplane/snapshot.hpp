// SPDX-License-Identifier: BSD-3-Clause
// The compiled policy as workers see it: plain tables, names replaced by indices, nothing to
// resolve. The control thread builds one, publishes it by RCU and never touches it again; workers
// read it without any synchronisation until they report a quiescent state. Every flow remembers the
// generation of the snapshot that composed it.
//
// Indices of ENIs and VPCs are part of flow keys, so the compiler keeps them for as long as the
// object exists, from one snapshot to the next. All other indices are good for one snapshot only.
// Free of DPDK.
#pragma once

#include "dataplane/nat_ports.hpp"
#include "dataplane/tables/acl.hpp"
#include "dataplane/tables/exact_map.hpp"
#include "dataplane/tables/lpm.hpp"
#include "dataplane/tables/maglev.hpp"
#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"
#include "flows/base/vni.hpp"
#include "flows/connection.hpp"
#include "flows/next_hop.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace gannet::dataplane {

inline constexpr std::uint16_t kNoIndex = 0xffff;
inline constexpr std::uint32_t kNoHop = flows::kNoNextHop;

/// The MAC of the virtual router: the gateway of every subnet, on every host the same, so that a VM
/// may move without noticing. Locally administered.
inline constexpr Mac kGatewayMac{{0x02, 0x67, 0x6e, 0x74, 0x00, 0x01}};
/// Its link-local address (RFC 4291, 2.5.6; modified EUI-64 of the MAC).
inline constexpr Ip6 kGatewayLinkLocal{
    {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x00, 0x67, 0x6e, 0xff, 0xfe, 0x74, 0x00, 0x01}};

/// Next hops of an endpoint by family; kNoHop where there is none.
struct HopPair {
  std::uint32_t v4 = kNoHop;
  std::uint32_t v6 = kNoHop;
  [[nodiscard]] std::uint32_t of(Family family) const { return family == Family::kIpv4 ? v4 : v6; }
};

enum class PortRole : std::uint8_t { kNone, kVm, kUplink };

struct PortBinding {
  PortRole role = PortRole::kNone;
  std::uint16_t eni = kNoIndex;  // Of a VM port.
  bool is_down = false;          // Its ENI is administratively down.
};

/// This host on the underlay.
struct Underlay {
  std::uint16_t port = kNoIndex;
  Mac mac{};
  Ip4 vtep{};                     // The first address; tunnels start and end here.
  std::vector<Prefix> addresses;  // All, with the length of their network.
  std::uint16_t mtu = 1500;
  std::uint16_t vxlan_port = packet::kVxlanPort;
  bool clamps_mss = false;  // Of TCP connections, to what the path carries (G24).
  HopPair gateway_hop;      // Plain hop to the gateway.
  Prefix on_link;           // Network whose hosts are reached directly, and
  std::uint32_t on_link_hops =
      kNoHop;  // the first of a run of hops, one for each of its addresses.
};

struct Qos {
  std::uint64_t bytes_per_second = 0;      // Each direction; 0: no limit.
  std::uint32_t new_flows_per_second = 0;  // 0: no limit.
  std::uint32_t max_flows = 0;             // 0: no limit.
};

struct Eni {
  bool is_present = false;
  std::uint16_t vpc = kNoIndex;
  std::uint16_t subnet = kNoIndex;
  std::uint16_t port = kNoIndex;  // kNoIndex: lives on another host.
  std::uint16_t worker = 0;       // That owns its connections.
  Mac mac{};
  std::vector<IpAddress> ips;
  std::vector<std::uint16_t> groups;  // Security groups; empty: deny in, allow out.
  std::vector<IpAddress> public_ips;  // 1:1 NAT, at most one of each family.
  HopPair hop;                        // Delivery from the gateway, MACs rewritten.
  Qos qos;

  [[nodiscard]] bool is_local() const { return port != kNoIndex; }
  [[nodiscard]] bool has_ip(const IpAddress& ip) const;
  [[nodiscard]] const IpAddress* public_ip(Family family) const;
};

struct Subnet {
  std::uint16_t vpc = kNoIndex;
  std::uint16_t route_table = kNoIndex;  // kNoIndex: only the VPC's own addresses are reachable.
  std::vector<Prefix> cidrs;             // At most one of each family.
  std::vector<IpAddress> gateways;       // The first host address of each.
};

struct Vpc {
  bool is_present = false;
  Vni vni;
  std::vector<Prefix> cidrs;

  /// Whether an address is the VPC's own, in use or not.
  [[nodiscard]] bool has(const IpAddress& ip) const {
    return std::any_of(cidrs.begin(), cidrs.end(), [&](const Prefix& p) { return p.contains(ip); });
  }
};

enum class EndpointKind : std::uint8_t {
  kLocal,    // An ENI with a port of this host.
  kRemote,   // Behind a tunnel.
  kNowhere,  // An ENI of another host that no mapping places.
  kGateway,  // A subnet's gateway: the switch itself.
};

/// Who has an address of a VPC.
struct Endpoint {
  EndpointKind kind = EndpointKind::kNowhere;
  std::uint16_t subnet = kNoIndex;
  std::uint16_t eni = kNoIndex;
  Mac mac{};
  Ip4 underlay_ip{};
  HopPair hop;                     // Of kRemote: tunnel, inner MACs rewritten.
  std::uint16_t max_ip_bytes = 0;  // Of kRemote: what the path of the tunnel carries inside.
};

enum class RouteKind : std::uint8_t { kLocal, kDrop, kInternet, kNatGateway, kPeerVpc };

struct Route {
  RouteKind kind = RouteKind::kLocal;
  Prefix prefix;
  std::uint16_t target = kNoIndex;  // NAT gateway or VPC.
};

/// Routes of one subnet: its route table and, with them, the VPC's own networks.
struct RouteTable {
  Lpm lpm;  // Values index `routes`.
  std::vector<Route> routes;
};

/// One side of a security group.
struct GroupSide {
  Acl acl;  // Values are rule ids.
  bool allows_by_default = false;
  std::uint32_t default_rule = 0;  // Its rule id.
};

struct SecurityGroup {
  GroupSide ingress;
  GroupSide egress;
  bool is_audit = false;
};

/// What a matched rule says.
struct Rule {
  bool allows = false;
  bool persists = false;  // Connections that it allowed outlive its removal (R21).
  bool rejects = false;   // Denies, and the sender is told (F50).
  bool logs = false;      // Its matches are told to the control thread (F51).
};

/// A range of ports of one public address, all of one ENI.
struct PortBlock {
  std::uint16_t address = kNoIndex;  // NatAddress.
  std::uint16_t first = 0;
  std::uint16_t count = 0;
};

struct NatGateway {
  std::uint16_t vpc = kNoIndex;
  std::uint16_t block_ports = 0;
  std::vector<PortBlock> block_of_eni;  // By ENI index; count 0: none.
};

/// One public address of a NAT gateway.
struct NatAddress {
  Ip4 ip{};
  std::uint16_t gateway = kNoIndex;
  std::uint16_t block_ports = 0;
  std::vector<std::uint16_t> eni_of_block;  // By (port - kFirstNatPort) / block_ports.
  NatPorts* ports = nullptr;                // Outlives all snapshots: mappings are not policy.

  /// The ENI whose block holds the port, or kNoIndex.
  [[nodiscard]] std::uint16_t eni_of_port(std::uint16_t port) const {
    if (port < kFirstNatPort) return kNoIndex;
    const std::size_t block = (port - std::size_t{kFirstNatPort}) / block_ports;
    return block < eni_of_block.size() ? eni_of_block[block] : kNoIndex;
  }
};

struct Backend {
  IpAddress ip;
  std::uint16_t port = 0;    // 0: the port that the client asked for.
  std::uint16_t weight = 0;  // 0: no new connections.
  bool is_healthy = true;
};

struct BackendPool {
  std::vector<Backend> backends;
  Maglev maglev;  // Over the healthy ones with a weight.
};

struct Listener {
  std::uint16_t vpc = kNoIndex;
  std::uint32_t pool = 0;
  bool by_source_ip = false;
};

/// What a public address of this host is for.
enum class PublicKind : std::uint8_t { kEni, kNat, kLoadBalancer };
struct PublicAddress {
  IpAddress ip;
  PublicKind kind = PublicKind::kEni;
  std::uint16_t index = kNoIndex;  // ENI or NatAddress; of a load balancer its VPC.
};

struct AddressKey {
  IpAddress ip;
  std::uint16_t vpc = 0;
  [[nodiscard]] std::uint64_t hash() const {
    return (std::hash<IpAddress>{}(ip) + vpc) * 0x9e3779b97f4a7c15;
  }
  friend bool operator==(const AddressKey&, const AddressKey&) = default;
};

/// A listener's address; the most exact one wins (L10). Port 0 is any port, protocol kAnyProtocol
/// any protocol; protocol 0 with port 0 only says that the address is a VIP.
struct ListenerKey {
  static constexpr std::uint8_t kAnyProtocol = 255;
  IpAddress vip;
  std::uint16_t vpc = 0;  // kNoIndex: reached from the public side.
  std::uint16_t port = 0;
  std::uint8_t protocol = 0;
  [[nodiscard]] std::uint64_t hash() const {
    const std::uint64_t rest = std::uint64_t{vpc} << 32 | std::uint64_t{port} << 8 | protocol;
    return (std::hash<IpAddress>{}(vip) ^ (rest * 0xbf58476d1ce4e5b9)) * 0x9e3779b97f4a7c15;
  }
  friend bool operator==(const ListenerKey&, const ListenerKey&) = default;
};

struct NumberKey {
  std::uint32_t value = 0;
  [[nodiscard]] std::uint64_t hash() const {
    return (std::uint64_t{value} + 1) * 0x9e3779b97f4a7c15;
  }
  friend bool operator==(const NumberKey&, const NumberKey&) = default;
};

/// A host that may send into a VPC, and the way back to it for sources that no mapping places.
struct TunnelPeer {
  Ip4 underlay_ip{};
  HopPair return_hop;
  std::uint16_t max_ip_bytes = 0;  // What the path of the tunnel carries inside.
};

struct TunnelPeerKey {
  Ip4 underlay_ip{};
  std::uint16_t vpc = 0;
  [[nodiscard]] std::uint64_t hash() const {
    return (std::uint64_t{underlay_ip.raw()} << 16 | vpc) * 0x9e3779b97f4a7c15;
  }
  friend bool operator==(const TunnelPeerKey&, const TunnelPeerKey&) = default;
};

class Changes;

class Snapshot {
 public:
  std::uint32_t generation = 0;
  std::shared_ptr<const Changes> changes;  // Null: nothing is known of the policy before.
  // Whether TCP connections from before a cold start may still be joined without their SYN (R6):
  // only until somebody changes the policy, or a connection that the change has cut would be back
  // with the next packet of the other side.
  bool is_first_policy = false;
  Underlay underlay;
  std::vector<PortBinding> ports;  // By dataplane port id.
  std::vector<Eni> enis;           // By stable ENI index.
  std::vector<Vpc> vpcs;           // By stable VPC index.
  std::vector<Subnet> subnets;
  std::vector<RouteTable> route_tables;
  std::vector<SecurityGroup> groups;
  std::vector<Rule> rules;  // By rule id.
  std::vector<NatGateway> nat_gateways;
  std::vector<NatAddress> nat_addresses;
  std::vector<BackendPool> pools;
  std::vector<Listener> listeners;
  std::vector<Endpoint> endpoints;
  std::vector<PublicAddress> public_addresses;
  std::vector<TunnelPeer> tunnel_peers;
  std::vector<flows::NextHop> next_hops;

  ExactMap<NumberKey> vpc_of_vni;
  ExactMap<AddressKey> endpoint_of_address;
  ExactMap<AddressKey> public_of_address;  // With vpc 0.
  ExactMap<ListenerKey> listener_of_key;
  ExactMap<TunnelPeerKey> peer_of_key;
  ExactMap<AddressKey> tunnel_hosts;      // With vpc 0.
  ExactMap<AddressKey> probed_addresses;  // Backends with a health check.

  [[nodiscard]] const Endpoint* find_endpoint(std::uint16_t vpc, const IpAddress& ip) const {
    const std::uint32_t i = endpoint_of_address.find({ip, vpc});
    return i == ExactMap<AddressKey>::kNone ? nullptr : &endpoints[i];
  }
  [[nodiscard]] const PublicAddress* find_public(const IpAddress& ip) const {
    const std::uint32_t i = public_of_address.find({ip, 0});
    return i == ExactMap<AddressKey>::kNone ? nullptr : &public_addresses[i];
  }
  /// Whether an address is that of a host with which any VPC has a tunnel.
  [[nodiscard]] bool is_tunnel_host(const IpAddress& ip) const {
    return tunnel_hosts.find({ip, 0}) != ExactMap<AddressKey>::kNone;
  }
  [[nodiscard]] std::uint16_t find_vpc(Vni vni) const {
    const std::uint32_t i = vpc_of_vni.find({vni.value});
    return i == ExactMap<NumberKey>::kNone ? kNoIndex : static_cast<std::uint16_t>(i);
  }
  [[nodiscard]] const TunnelPeer* find_peer(std::uint16_t vpc, Ip4 underlay_ip) const {
    const std::uint32_t i = peer_of_key.find({underlay_ip, vpc});
    return i == ExactMap<TunnelPeerKey>::kNone ? nullptr : &tunnel_peers[i];
  }
  /// Whether an address of a VPC is a backend that this host probes.
  [[nodiscard]] bool is_probed(std::uint16_t vpc, const IpAddress& ip) const {
    return probed_addresses.find({ip, vpc}) != ExactMap<AddressKey>::kNone;
  }
  [[nodiscard]] const Eni* find_eni(std::uint16_t index) const {
    return index < enis.size() && enis[index].is_present ? &enis[index] : nullptr;
  }

  /// Counts a match of a rule by a worker. Each worker has its own counters.
  void count_rule(unsigned worker, std::uint32_t rule) const {
    auto& hits = rule_hits_[worker * rules.size() + rule];
    hits.store(hits.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  /// Matches of a rule by all workers. Called by the control thread while workers count.
  [[nodiscard]] std::uint64_t rule_hits(std::uint32_t rule) const;
  /// Makes room for counting; after the last rule has been added.
  void prepare_rule_hits(unsigned worker_count);

 private:
  std::unique_ptr<std::atomic<std::uint64_t>[]> rule_hits_;
  unsigned worker_count_ = 0;
};

}  // namespace gannet::dataplane
