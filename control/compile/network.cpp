// SPDX-License-Identifier: BSD-3-Clause
// The underlay, VPCs with their subnets, ENIs and mappings: who is where.
#include "control/compile/work.hpp"

#include <algorithm>

namespace gannet::control {
namespace {

using dataplane::Endpoint;
using dataplane::EndpointKind;
using dataplane::HopPair;
using dataplane::kGatewayMac;
using dataplane::kNoIndex;

// Networks up to this size are reached host by host; in larger ones the gateway helps out.
constexpr unsigned kMinOnLinkLength = 22;

std::uint16_t ether_type(Family family) {
  return family == Family::kIpv4 ? packet::kEtherTypeIpv4 : packet::kEtherTypeIpv6;
}

// The neighbour through which an underlay address is reached; kNoNeighbor if nothing leads there.
std::uint32_t neighbor_towards(const CompileWork& work, Ip4 ip) {
  for (const InterfaceAddress& own : work.host.underlay_ips) {
    if (own.network().contains(ip)) return work.host.neighbor(ip);
  }
  return work.host.gateway ? work.host.neighbor(*work.host.gateway) : flows::kNoNeighbor;
}

// The largest packet inside a tunnel to a host.
std::uint16_t tunnel_mtu(const HostFacts& host, Ip4 remote) {
  const auto known = host.path_mtus.find(remote);
  const std::uint16_t outside =
      known == host.path_mtus.end() ? host.mtu : std::min(known->second, host.mtu);
  return static_cast<std::uint16_t>(outside - packet::kVxlanOverIpv4Bytes);
}

std::uint32_t add_tunnel_hop(CompileWork& work, Ip4 remote, std::uint16_t vpc, const Mac& inner_mac,
                             Family family) {
  const std::uint32_t neighbor = neighbor_towards(work, remote);
  if (neighbor == flows::kNoNeighbor) return dataplane::kNoHop;
  const dataplane::Underlay& underlay = work.snapshot.underlay;
  return add_hop(
      work, flows::make_tunnel_hop(underlay.port, neighbor, underlay.mac, underlay.vtep, remote,
                                   underlay.vxlan_port, work.snapshot.vpcs[vpc].vni.value,
                                   inner_mac, kGatewayMac, ether_type(family)));
}

void add_on_link_hops(CompileWork& work) {
  dataplane::Underlay& underlay = work.snapshot.underlay;
  for (const InterfaceAddress& own : work.host.underlay_ips) {
    if (!own.address.is_v4() || own.length < kMinOnLinkLength) continue;
    underlay.on_link = own.network();
    underlay.on_link_hops = static_cast<std::uint32_t>(work.snapshot.next_hops.size());
    const std::uint64_t count = std::uint64_t{1} << (32 - own.length);
    for (std::uint64_t i = 0; i < count; ++i) {
      const Ip4 ip = underlay.on_link.at(i)->v4();
      add_hop(work, flows::make_plain_hop(underlay.port, work.host.neighbor(ip), underlay.mac,
                                          packet::kEtherTypeIpv4));
    }
    return;
  }
}

std::uint16_t subnet_of(const CompileWork& work, std::uint16_t vpc, const IpAddress& ip) {
  const std::uint32_t found = work.subnets_of_vpc[vpc].find(ip);
  return found == dataplane::Lpm::kNone ? kNoIndex : static_cast<std::uint16_t>(found);
}

void add_subnet(CompileWork& work, const Vpc& vpc, std::uint16_t vpc_index, const Subnet& subnet) {
  const auto index = static_cast<std::uint16_t>(work.snapshot.subnets.size());
  dataplane::Subnet compiled;
  compiled.vpc = vpc_index;
  for (const Located<Prefix>& block : subnet.blocks()) {
    compiled.cidrs.push_back(*block);
    compiled.gateways.push_back(block->at(1).value_or(block->address));
    Endpoint gateway;
    gateway.kind = EndpointKind::kGateway;
    gateway.subnet = index;
    gateway.mac = kGatewayMac;
    add_endpoint(work, vpc_index, compiled.gateways.back(), gateway);
  }
  work.snapshot.subnets.push_back(std::move(compiled));
  work.subnets.emplace(std::pair(std::string_view(vpc.name), std::string_view(subnet.name)), index);
  work.names.subnets.push_back(vpc.name + "/" + subnet.name);
}

void index_subnets(CompileWork& work) {
  std::vector<std::vector<dataplane::Lpm::Entry>> blocks(work.snapshot.vpcs.size());
  const auto count = static_cast<std::uint16_t>(work.snapshot.subnets.size());
  for (std::uint16_t i = 0; i < count; ++i) {
    const dataplane::Subnet& subnet = work.snapshot.subnets[i];
    for (const Prefix& cidr : subnet.cidrs) blocks[subnet.vpc].push_back({cidr, i});
  }
  for (const auto& entries : blocks) work.subnets_of_vpc.emplace_back(entries);
}

std::uint16_t port_index(const HostFacts& host, const std::string& name) {
  const auto found = std::find(host.ports.begin(), host.ports.end(), name);
  return found == host.ports.end() ? kNoIndex
                                   : static_cast<std::uint16_t>(found - host.ports.begin());
}

dataplane::Eni make_eni(const CompileWork& work, const Eni& eni) {
  dataplane::Eni compiled;
  compiled.is_present = true;
  compiled.vpc = work.vpcs.at(*eni.vpc);
  compiled.subnet = work.subnets.at({*eni.vpc, *eni.subnet});
  compiled.mac = *eni.mac;
  for (const auto& ip : eni.ips) compiled.ips.push_back(*ip);
  for (const auto& ip : eni.public_ips) compiled.public_ips.push_back(*ip);
  for (const auto& group : eni.security_groups) compiled.groups.push_back(work.groups.at(*group));
  compiled.qos = {eni.qos.bandwidth.bytes_per_second(), eni.qos.new_flows_per_second,
                  eni.qos.max_flows};
  if (eni.port.is_given) compiled.port = port_index(work.host, *eni.port);
  if (compiled.is_local()) compiled.worker = work.host.worker_of_port[compiled.port];
  return compiled;
}

// Binds the ENI to its port and makes it reachable; one that is down keeps its port but is nowhere.
void place_eni(CompileWork& work, dataplane::Eni& eni, std::uint16_t index, bool is_down) {
  Endpoint endpoint;
  endpoint.kind = EndpointKind::kNowhere;
  endpoint.subnet = eni.subnet;
  endpoint.eni = index;
  endpoint.mac = eni.mac;
  if (eni.is_local()) {
    work.snapshot.ports[eni.port] = {dataplane::PortRole::kVm, is_down ? kNoIndex : index, is_down};
    if (is_down) {
      eni.is_present = false;
    } else {
      endpoint.kind = EndpointKind::kLocal;
      for (const Family family : {Family::kIpv4, Family::kIpv6}) {
        const std::uint32_t hop = add_hop(
            work, flows::make_local_hop(eni.port, eni.mac, kGatewayMac, ether_type(family)));
        (family == Family::kIpv4 ? eni.hop.v4 : eni.hop.v6) = hop;
      }
    }
  }
  for (const IpAddress& ip : eni.ips) add_endpoint(work, eni.vpc, ip, endpoint);
}

// Puts an address behind a tunnel; that of an ENI which lives here, or of a gateway, stays here.
void place_mapping(CompileWork& work, std::uint16_t vpc, const Mapping& mapping, Ip4 remote) {
  const auto known = work.endpoints.find({*mapping.address, vpc});
  Endpoint fresh;
  fresh.subnet = subnet_of(work, vpc, *mapping.address);
  Endpoint& endpoint = known == work.endpoints.end()
                           ? add_endpoint(work, vpc, *mapping.address, fresh)
                           : work.snapshot.endpoints[known->second];
  if (endpoint.kind != EndpointKind::kNowhere) return;
  endpoint.kind = EndpointKind::kRemote;
  endpoint.mac = *mapping.mac;
  endpoint.underlay_ip = remote;
  endpoint.max_ip_bytes = tunnel_mtu(work.host, remote);
  const Family family = mapping.address->family();
  const std::uint32_t hop = add_tunnel_hop(work, remote, vpc, *mapping.mac, family);
  (family == Family::kIpv4 ? endpoint.hop.v4 : endpoint.hop.v6) = hop;
}

// Hosts may send into a VPC if they have one of its addresses, or one of a VPC that is routed to
// it.
void add_peer(CompileWork& work, std::uint16_t vpc, Ip4 remote) {
  if (!work.known_peers.emplace(vpc, remote).second) return;
  dataplane::TunnelPeer peer;
  peer.underlay_ip = remote;
  peer.max_ip_bytes = tunnel_mtu(work.host, remote);
  peer.return_hop = {add_tunnel_hop(work, remote, vpc, kGatewayMac, Family::kIpv4),
                     add_tunnel_hop(work, remote, vpc, kGatewayMac, Family::kIpv6)};
  work.peers.push_back(
      {{remote, vpc}, static_cast<std::uint32_t>(work.snapshot.tunnel_peers.size())});
  work.snapshot.tunnel_peers.push_back(peer);
}

// VPCs that may send to each other, as pairs of names, both ways.
std::set<std::pair<std::string_view, std::string_view>> peered_vpcs(const Policy& policy) {
  std::set<std::pair<std::string_view, std::string_view>> pairs;
  for (const Vpc& vpc : policy.vpcs) {
    for (const Subnet& subnet : vpc.subnets) {
      if (!subnet.route_table.is_given) continue;
      for (const Route& route : policy.route_tables.find(*subnet.route_table)->routes) {
        if (route.via->kind() != ViaKind::kPeerVpc) continue;
        const std::string_view peer = policy.vpcs.find(*route.via->peer_vpc)->name;
        pairs.emplace(vpc.name, peer);
        pairs.emplace(peer, vpc.name);
      }
    }
  }
  return pairs;
}

}  // namespace

void compile_underlay(CompileWork& work) {
  const HostFacts& host = work.host;
  dataplane::Underlay& underlay = work.snapshot.underlay;
  if (host.uplink == kNoIndex) return;
  underlay.port = host.uplink;
  underlay.mac = host.uplink_mac;
  underlay.mtu = host.mtu;
  underlay.vxlan_port = host.vxlan_port;
  underlay.clamps_mss = host.clamps_mss;
  work.snapshot.ports[host.uplink].role = dataplane::PortRole::kUplink;
  for (const InterfaceAddress& own : host.underlay_ips) {
    underlay.addresses.push_back({own.address, own.length});
    if (own.address.is_v4() && underlay.vtep.is_zero()) underlay.vtep = own.address.v4();
  }
  if (host.gateway) {
    underlay.gateway_hop.v4 =
        add_hop(work, flows::make_plain_hop(underlay.port, host.neighbor(*host.gateway),
                                            underlay.mac, packet::kEtherTypeIpv4));
  }
  add_on_link_hops(work);
}

Result<void> compile_vpcs(CompileWork& work) {
  for (const Vpc& vpc : work.policy.vpcs) {
    const std::string key = vpc.name + "/" + std::to_string(vpc.vni->value);
    const auto index = work.identities.vpcs.get(key, work.conforming);
    if (!index) return fail("too many VPCs: this daemon can number 32,767");
    if (*index >= work.snapshot.vpcs.size()) {
      work.snapshot.vpcs.resize(*index + std::size_t{1});
      work.names.vpcs.resize(*index + std::size_t{1});
    }
    dataplane::Vpc& compiled = work.snapshot.vpcs[*index];
    compiled = {true, *vpc.vni, {}};
    for (const Located<Prefix>& cidr : vpc.cidrs) compiled.cidrs.push_back(*cidr);
    work.names.vpcs[*index] = vpc.name;
    work.vpcs.emplace(vpc.name, *index);
    work.vnis.push_back({{vpc.vni->value}, *index});
    for (const Subnet& subnet : vpc.subnets) add_subnet(work, vpc, *index, subnet);
  }
  index_subnets(work);
  return {};
}

Result<void> compile_enis(CompileWork& work) {
  for (const Eni& eni : work.policy.enis) {
    // Another port or MAC makes it another ENI: its flows live on another worker, or nowhere.
    const std::string key = *eni.vpc + "/" + eni.name + "/" + to_string(*eni.mac) + "/" +
                            (eni.port.is_given ? *eni.port : std::string());
    const auto index = work.identities.enis.get(key, work.conforming);
    if (!index) return fail("too many ENIs: this daemon can number 32,767");
    if (*index >= work.snapshot.enis.size()) {
      work.snapshot.enis.resize(*index + std::size_t{1});
      work.names.enis.resize(*index + std::size_t{1});
    }
    dataplane::Eni& compiled = work.snapshot.enis[*index];
    compiled = make_eni(work, eni);
    work.names.enis[*index] = eni.name;
    work.enis.emplace(eni.name, *index);
    const bool is_down = eni.admin == AdminState::kDown;
    place_eni(work, compiled, *index, is_down);
    if (!compiled.is_local() || is_down) continue;
    for (const IpAddress& ip : compiled.public_ips) {
      work.publics.push_back(
          {{ip, 0}, static_cast<std::uint32_t>(work.snapshot.public_addresses.size())});
      work.snapshot.public_addresses.push_back({ip, dataplane::PublicKind::kEni, *index});
    }
  }
  return {};
}

void compile_mappings(CompileWork& work) {
  const auto peered = peered_vpcs(work.policy);
  for (const Vpc& vpc : work.policy.vpcs) {
    const std::uint16_t index = work.vpcs.at(vpc.name);
    for (const Mapping& mapping : vpc.mappings) {
      const Ip4 remote = mapping.underlay_ip->v4();
      place_mapping(work, index, mapping, remote);
      add_peer(work, index, remote);
      for (const auto& [from, to] : peered) {
        if (from == vpc.name) add_peer(work, work.vpcs.at(to), remote);
      }
    }
  }
}

}  // namespace gannet::control
