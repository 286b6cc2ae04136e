// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/nat.hpp"

#include "dataplane/layers/load_balancer.hpp"
#include "dataplane/layers/route.hpp"

namespace gannet::dataplane {
namespace {

// The NAT gateway for a VM's packet: the route's, or, on a route to the internet, the VPC's first.
const NatGateway* gateway_for(const FirstPacket& first) {
  if (first.route->kind == RouteKind::kNatGateway) {
    return &first.policy.nat_gateways[first.route->target];
  }
  for (const NatGateway& gateway : first.policy.nat_gateways) {
    if (gateway.vpc == first.sender().vpc) return &gateway;
  }
  return nullptr;
}

// The ENI's address to which its public address of a family leads.
const IpAddress* inside_ip(const Eni& eni, Family family) {
  for (const IpAddress& ip : eni.ips) {
    if (ip.family() == family) return &ip;
  }
  return nullptr;
}

}  // namespace

DropReason Nat::translate_by_gateway(FirstPacket& first, const NatGateway& gateway) {
  IpTuple& t = first.current;
  if (!t.source.is_v4()) return DropReason::no_public_address;
  if (nat_port_space(t.protocol) < 0) return DropReason::nat_unsupported_protocol;
  const std::uint16_t eni = first.in.zone.index;
  if (eni >= gateway.block_of_eni.size() || gateway.block_of_eni[eni].count == 0) {
    return DropReason::no_public_address;
  }
  std::uint32_t index = NatMappings::kNone;
  if (mappings_ != nullptr) {
    index = first.is_rehearsal ? mappings_->find(gateway, first.policy, eni, t.protocol,
                                                 t.source.v4(), t.source_port)
                               : mappings_->find_or_make(gateway, first.policy, eni, t.protocol,
                                                         t.source.v4(), t.source_port, first.now);
  }
  if (index == NatMappings::kNone) {
    if (!first.is_rehearsal) return DropReason::nat_out_of_ports;
    const PortBlock& block = gateway.block_of_eni[eni];
    t.source = first.policy.nat_addresses[block.address].ip;
    t.source_port = block.first;
    return DropReason::kNone;
  }
  first.mapping.index = index;
  t.source = (*mappings_)[index].public_ip;
  t.source_port = (*mappings_)[index].public_port;
  return DropReason::kNone;
}

DropReason Nat::translate_source(FirstPacket& first) noexcept {
  const Eni& eni = first.sender();
  const Family family = first.current.family();
  const IpAddress* const public_ip = eni.public_ip(family);
  // The public address belongs to the ENI's first address; the others go by the NAT gateway.
  const bool is_one_to_one = first.route->kind == RouteKind::kInternet && public_ip != nullptr &&
                             *inside_ip(eni, family) == first.current.source;
  DropReason reason = DropReason::kNone;
  if (is_one_to_one) {
    first.current.source = *public_ip;
  } else {
    const NatGateway* const gateway = gateway_for(first);
    reason =
        gateway == nullptr ? DropReason::no_public_address : translate_by_gateway(first, *gateway);
  }
  if (reason == DropReason::kNone) first.note(Step::kSourceNat);
  return reason;
}

DropReason Nat::translate_destination(FirstPacket& first) noexcept {
  IpTuple& t = first.current;
  const PublicAddress* const address = first.policy.find_public(t.destination);
  if (address == nullptr) return DropReason::no_public_address;
  switch (address->kind) {
    case PublicKind::kEni: {
      const Eni& eni = first.policy.enis[address->index];
      t.destination = *inside_ip(eni, t.family());
      first.vpc = eni.vpc;
      break;
    }
    case PublicKind::kNat: {
      const NatAddress& nat = first.policy.nat_addresses[address->index];
      if (!t.has_ports()) return DropReason::nat_no_mapping;
      const InsideEndpoint inside = nat.ports->find(t.protocol, t.destination_port);
      const Eni* const eni = inside.is_valid() ? first.policy.find_eni(inside.eni) : nullptr;
      if (eni == nullptr || nat.eni_of_port(t.destination_port) != inside.eni) {
        return DropReason::nat_no_mapping;
      }
      // Who calls the port from outside keeps it, or it could go to another host behind the gateway
      // under the connection. Of a hairpin the caller's own port is held; the called one is another
      // worker's.
      if (first.in.is_uplink() && mappings_ != nullptr) {
        first.mapping.index = mappings_->find(first.policy.nat_gateways[nat.gateway], first.policy,
                                              inside.eni, t.protocol, inside.ip, inside.port);
      }
      t.destination = inside.ip;
      t.destination_port = inside.port;
      first.vpc = eni->vpc;
      break;
    }
    case PublicKind::kLoadBalancer: {
      first.vpc = kNoIndex;
      const DropReason reason = LoadBalancer::judge(first);
      if (reason != DropReason::kNone) return reason;
      break;
    }
  }
  first.note(Step::kDestinationNat);
  return Router::judge_endpoint(first);
}

}  // namespace gannet::dataplane
