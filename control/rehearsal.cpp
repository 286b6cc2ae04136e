// SPDX-License-Identifier: BSD-3-Clause
#include "control/rehearsal.hpp"

#include "dataplane/judge.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace gannet::control {
namespace {

using dataplane::Endpoint;
using dataplane::EndpointKind;
using dataplane::Ingress;
using dataplane::IpTuple;
using dataplane::kNoIndex;
using dataplane::Snapshot;
using flows::ZoneKind;

constexpr std::uint16_t kEphemeralPort = 49'152;
const IpAddress kImaginedVtep = Ip4(192, 0, 2, 1);

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case packet::kProtoTcp: return "tcp";
    case packet::kProtoUdp: return "udp";
    case packet::kProtoIcmp: return "icmp";
    case packet::kProtoIcmp6: return "icmp6";
    default: return "proto " + std::to_string(protocol);
  }
}

std::string endpoint_text(const IpAddress& ip, std::uint16_t port) {
  const std::string address = gannet::to_string(ip);
  return ip.is_v6() ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

IpTuple tuple_of(const TestPacket& packet, const IpAddress& source, const IpAddress& destination) {
  IpTuple tuple;
  tuple.source = source;
  tuple.destination = destination;
  const std::uint16_t number = packet.proto.is_given ? packet.proto->number : Protocol::kAny;
  tuple.protocol = number == Protocol::kAny ? packet::kProtoTcp : static_cast<std::uint8_t>(number);
  tuple.source_port = packet.source_port != 0 ? packet.source_port : kEphemeralPort;
  tuple.destination_port = packet.port;
  if (tuple.is_icmp()) {
    const std::uint8_t request =
        tuple.family() == Family::kIpv4 ? packet::kIcmpEchoRequest : packet::kIcmp6EchoRequest;
    tuple.destination_port = static_cast<std::uint16_t>(request << 8);
  } else if (!tuple.has_ports()) {
    tuple.source_port = tuple.destination_port = 0;
  }
  return tuple;
}

const IpAddress* address_of(const dataplane::Eni& eni, const Located<IpAddress>& other) {
  for (const IpAddress& ip : eni.ips) {
    if (!other.is_given || ip.family() == other->family()) return &ip;
  }
  return nullptr;
}

Ingress from_eni(const Snapshot& snapshot, std::uint16_t eni) {
  Ingress in;
  in.zone = {ZoneKind::kEni, eni};
  in.vpc = snapshot.enis[eni].vpc;
  in.port = snapshot.enis[eni].port;
  in.source_mac = snapshot.enis[eni].mac;
  in.destination_mac = dataplane::kGatewayMac;
  return in;
}

// Where a packet from `source` to an ENI would come in, and to which address.
Ingress towards_eni(const Snapshot& snapshot, const dataplane::Eni& eni, const IpAddress& source,
                    IpAddress& destination) {
  const Endpoint* const sender = snapshot.find_endpoint(eni.vpc, source);
  if (sender != nullptr && sender->kind == EndpointKind::kLocal) {
    return from_eni(snapshot, sender->eni);
  }
  Ingress in;
  in.destination_mac = dataplane::kGatewayMac;
  if (sender != nullptr && sender->kind == EndpointKind::kRemote) {
    in.zone = {ZoneKind::kTunnel, eni.vpc};
    in.vpc = eni.vpc;
    in.tunnel_source = sender->underlay_ip;
    return in;
  }
  in.zone = {ZoneKind::kUplink, 0};
  if (const IpAddress* const own = eni.public_ip(source.family())) destination = *own;
  return in;
}

std::string target_text(const dataplane::FirstPacket& first, const SnapshotNames& names) {
  if (first.target == dataplane::Target::kInternet) return "internet";
  if (first.to == nullptr) return "nowhere";
  if (first.to->kind == EndpointKind::kLocal) {
    return "eni " + SnapshotNames::at(names.enis, first.to->eni);
  }
  return fmt::format("host {} (vni {})", gannet::to_string(first.to->underlay_ip),
                     first.policy.vpcs[first.vpc].vni.value);
}

std::string rule_text(const SnapshotNames& names, std::uint32_t rule) {
  return rule == flows::kNoRule ? std::string() : SnapshotNames::at(names.rules, rule);
}

std::string_view route_text(std::uint32_t kind) {
  switch (static_cast<dataplane::RouteKind>(kind)) {
    case dataplane::RouteKind::kLocal: return "inside the VPC";
    case dataplane::RouteKind::kDrop: return "drop";
    case dataplane::RouteKind::kInternet: return "internet";
    case dataplane::RouteKind::kNatGateway: return "NAT gateway";
    case dataplane::RouteKind::kPeerVpc: return "peer VPC";
  }
  return "?";
}

std::string step_text(const dataplane::TraceStep& step, const SnapshotNames& names) {
  using dataplane::Step;
  switch (step.step) {
    case Step::kAntiSpoof:
      return "anti-spoofing: sent by " + SnapshotNames::at(names.enis, step.value);
    case Step::kEgressGroups:
      return "egress groups: " +
             (step.value == flows::kNoRule ? "none, allowed" : rule_text(names, step.value));
    case Step::kIngressGroups:
      return "ingress groups: " +
             (step.value == flows::kNoRule ? "none, denied" : rule_text(names, step.value));
    case Step::kLoadBalancer:
      return fmt::format("load balancer: backend {}, now {}", step.value, to_string(step.tuple));
    case Step::kRoute: return fmt::format("route: {}", route_text(step.value));
    case Step::kSourceNat: return "source NAT: now " + to_string(step.tuple);
    case Step::kDestinationNat: return "destination NAT: now " + to_string(step.tuple);
    default: return {};
  }
}

RehearsalResult judge(const IpTuple& tuple, const Ingress& in, const Snapshot& snapshot,
                      const SnapshotNames& names) {
  RehearsalResult result;
  result.original = tuple;
  dataplane::FirstPacket first(snapshot, in, tuple);
  first.is_rehearsal = true;
  first.trace = &result.trace;
  dataplane::Judge judge(nullptr);
  result.reason = judge.decide(first);
  result.leaving = first.current;
  const bool asked_receiver = first.ingress_rule != flows::kNoRule;
  result.rule = rule_text(names, asked_receiver ? first.ingress_rule : first.egress_rule);
  result.goes_to = result.is_allowed() ? target_text(first, names) : "nowhere";
  return result;
}

}  // namespace

std::string to_string(const IpTuple& t) {
  const std::string name = protocol_name(t.protocol);
  if (t.has_ports()) {
    return fmt::format("{} {} -> {}", name, endpoint_text(t.source, t.source_port),
                       endpoint_text(t.destination, t.destination_port));
  }
  const std::string addresses = fmt::format("{} {} -> {}", name, gannet::to_string(t.source),
                                            gannet::to_string(t.destination));
  return t.is_icmp() ? fmt::format("{} id {}", addresses, t.source_port) : addresses;
}

Result<RehearsalResult> rehearse(const TestPacket& packet, const Snapshot& snapshot,
                                 const SnapshotNames& names) {
  const auto found = std::find(names.enis.begin(), names.enis.end(), *packet.eni);
  if (found == names.enis.end()) return fail("there is no ENI '" + *packet.eni + "'");
  const auto index = static_cast<std::uint16_t>(found - names.enis.begin());
  const dataplane::Eni& eni = snapshot.enis[index];
  if (!eni.is_present) return fail("ENI '" + *packet.eni + "' is down");
  if (!eni.is_local()) return fail("ENI '" + *packet.eni + "' lives on another host");
  const bool is_egress = packet.direction == Direction::kEgress;
  const Located<IpAddress>& other = is_egress ? packet.to : packet.from;
  const Located<IpAddress>& own = is_egress ? packet.from : packet.to;
  if (!other.is_given) {
    return fail(is_egress ? "an outgoing packet needs 'to'" : "an incoming packet needs 'from'");
  }
  const IpAddress* const address = own.is_given ? &*own : address_of(eni, other);
  if (address == nullptr) return fail("the ENI has no address of the family of the other side");

  IpAddress source = is_egress ? *address : *other;
  IpAddress destination = is_egress ? *other : *address;
  const Ingress in =
      is_egress ? from_eni(snapshot, index) : towards_eni(snapshot, eni, source, destination);
  return judge(tuple_of(packet, source, destination), in, snapshot, names);
}

RehearsalResult rehearse(const IpTuple& tuple, flows::Zone zone, const Snapshot& snapshot,
                         const SnapshotNames& names) {
  Ingress in;
  in.zone = zone;
  if (in.is_vm() && snapshot.find_eni(zone.index) == nullptr) {
    RehearsalResult gone;
    gone.original = tuple;
    gone.reason = dataplane::DropReason::port_has_no_eni;
    return gone;
  }
  if (in.is_vm()) in = from_eni(snapshot, zone.index);
  if (in.is_tunnel()) in.vpc = zone.index;
  return judge(tuple, in, snapshot, names);
}

std::vector<std::string> describe(const RehearsalResult& result, const SnapshotNames& names) {
  std::vector<std::string> lines{"packet: " + to_string(result.original)};
  for (const dataplane::TraceStep& step : result.trace) {
    if (std::string text = step_text(step, names); !text.empty()) lines.push_back(std::move(text));
  }
  if (result.is_allowed()) {
    lines.push_back(
        fmt::format("allowed: leaves as {} to {}", to_string(result.leaving), result.goes_to));
  } else {
    lines.push_back(fmt::format("dropped: {} — {}", dataplane::name_of(result.reason),
                                dataplane::sentence_of(result.reason)));
  }
  return lines;
}

HostFacts imagined_host(const Policy& policy) {
  HostFacts host;
  host.ports.emplace_back("(uplink)");
  host.uplink = 0;
  host.uplink_mac = Mac{{0x02, 0, 0, 0, 0, 1}};
  host.underlay_ips.push_back({kImaginedVtep, 24});
  host.gateway = Ip4(192, 0, 2, 254);
  for (const Eni& eni : policy.enis) {
    if (eni.port.is_given) host.ports.push_back(*eni.port);
  }
  host.worker_of_port.assign(host.ports.size(), 0);
  host.neighbor = [](Ip4) { return std::uint32_t{0}; };
  return host;
}

}  // namespace gannet::control
