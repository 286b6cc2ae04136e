// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/judge.hpp"

#include "dataplane/layers/anti_spoof.hpp"
#include "dataplane/layers/load_balancer.hpp"
#include "dataplane/layers/route.hpp"
#include "dataplane/layers/security_group.hpp"

// Goes on to the next layer unless this one drops the packet.
#define GANNET_PASS(layer)                                    \
  if (const DropReason r = (layer); r != DropReason::kNone) { \
    return r;                                                 \
  }                                                           \
  static_assert(true)

namespace gannet::dataplane {

DropReason Judge::decide_from_vm(FirstPacket& first) noexcept {
  first.from = first.policy.find_endpoint(first.in.vpc, first.original.source);
  GANNET_PASS(AntiSpoof::judge(first));
  GANNET_PASS(SecurityGroups::judge_egress(first));
  GANNET_PASS(LoadBalancer::judge(first));
  // A load balancer may have crossed into the VPC of its backends: those need no route.
  GANNET_PASS(first.vpc == first.in.vpc ? Router::judge(first) : Router::judge_endpoint(first));
  if (first.target != Target::kInternet) return DropReason::kNone;
  GANNET_PASS(Router::judge_underlay(first));
  GANNET_PASS(nat_.translate_source(first));
  const bool is_public = first.policy.find_public(first.current.destination) != nullptr;
  return is_public ? nat_.translate_destination(first) : DropReason::kNone;
}

DropReason Judge::decide_from_tunnel(FirstPacket& first) noexcept {
  first.from = first.policy.find_endpoint(first.in.vpc, first.original.source);
  if (first.from != nullptr && first.from->kind == EndpointKind::kLocal) {
    return DropReason::vxlan_spoofed_ip;
  }
  // Another host's probe of a backend here: only a switch speaks for a gateway (AntiSpoof there),
  // and whether a backend is up is no question of the tenant's rules.
  if (first.from != nullptr && first.from->kind == EndpointKind::kGateway) {
    first.skips_ingress = true;
  }
  const bool is_balanced = LoadBalancer::is_vip(first.policy, first.vpc, first.current.destination);
  GANNET_PASS(LoadBalancer::judge(first));
  GANNET_PASS(Router::judge_endpoint(first));
  // Hosts send to the host that has the VM; only what is for a load balancer may have to go on.
  const bool stays = first.to->kind == EndpointKind::kLocal || is_balanced;
  return stays ? DropReason::kNone : DropReason::not_local;
}

DropReason Judge::decide_from_uplink(FirstPacket& first) noexcept {
  GANNET_PASS(nat_.translate_destination(first));
  // Or anybody could write an address that the security groups trust.
  const bool is_inside = first.policy.vpcs[first.vpc].has(first.current.source);
  return is_inside ? DropReason::internet_spoofed_ip : DropReason::kNone;
}

DropReason Judge::decide(FirstPacket& first) noexcept {
  GANNET_PASS(AntiSpoof::judge_addresses(first.original));
  switch (first.in.zone.kind) {
    case flows::ZoneKind::kEni: GANNET_PASS(decide_from_vm(first)); break;
    case flows::ZoneKind::kTunnel: GANNET_PASS(decide_from_tunnel(first)); break;
    case flows::ZoneKind::kUplink: GANNET_PASS(decide_from_uplink(first)); break;
    case flows::ZoneKind::kNone: return DropReason::not_for_us;
  }
  const bool is_delivered = first.to != nullptr && first.to->kind == EndpointKind::kLocal;
  if (is_delivered) GANNET_PASS(SecurityGroups::judge_ingress(first));
  return DropReason::kNone;
}

}  // namespace gannet::dataplane
