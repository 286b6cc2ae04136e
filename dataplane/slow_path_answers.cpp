// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/bare_segment.hpp"
#include "dataplane/layers/neighbor.hpp"
#include "dataplane/slow_path.hpp"

namespace gannet::dataplane {
namespace {

// The address under which the switch reports about a packet: the gateway that the sender sees.
bool reporter(const Ingress& in, const IpTuple& tuple, const Snapshot& policy, IpAddress& out) {
  const Endpoint* endpoint = nullptr;
  if (in.is_vm()) endpoint = policy.find_endpoint(in.vpc, tuple.source);
  if (in.is_tunnel()) endpoint = policy.find_endpoint(in.vpc, tuple.destination);
  if (endpoint != nullptr && endpoint->subnet != kNoIndex) {
    for (const IpAddress& gateway : policy.subnets[endpoint->subnet].gateways) {
      if (gateway.family() != tuple.family()) continue;
      out = gateway;
      return true;
    }
  }
  if (tuple.family() == Family::kIpv6) {
    out = kGatewayLinkLocal;
    return !in.is_uplink();
  }
  out = policy.underlay.vtep;
  return in.is_uplink();
}

}  // namespace

// A packet that the policy does not let through. If a rule says so its sender learns of it (F50).
Outcome SlowPath::refuse(SlowPacket& packet, const IpTuple& tuple, const Admission& admission,
                         const Snapshot& policy, Nanos now) {
  const bool rejects = admission.rule != flows::kNoRule && policy.rules[admission.rule].rejects;
  Outcome outcome = Outcome::drop(admission.reason);
  if (rejects && tuple.protocol == packet::kProtoTcp) {
    outcome = reset(packet, tuple, admission.reason, now);
  } else if (rejects) {
    outcome = report(packet, admission.reason, IcmpProblem::kProhibited, 0, policy, now);
  }
  outcome.rule = admission.rule;
  return outcome;
}

// Drops a TCP segment and, unless it is itself a reset, answers with one.
Outcome SlowPath::reset(SlowPacket& packet, const IpTuple& tuple, DropReason reason, Nanos now) {
  Outcome outcome = Outcome::drop(reason);
  if (packet.parsed.is_fragment || !may_report(packet.frame, packet.parsed)) return outcome;
  const flows::TcpSegment segment = segment_of(packet);
  if ((segment.flags & packet::kTcpRst) != 0) return outcome;
  if (!connections_.may_send_icmp_error(packet.in.zone, now)) return outcome;
  if (make_reset(packet.frame, packet.parsed, tuple, segment)) {
    outcome.disposition = Disposition::kReturn;
  }
  return outcome;
}

// Drops a packet and, where that is allowed, tells its sender why.
Outcome SlowPath::report(SlowPacket& packet, DropReason reason, IcmpProblem problem,
                         std::uint16_t mtu, const Snapshot& policy, Nanos now) {
  Outcome outcome = Outcome::drop(reason);
  IpAddress source;
  const IpTuple addresses = address_tuple(packet.frame, packet.parsed);
  if (!may_report(packet.frame, packet.parsed)) return outcome;
  if (!reporter(packet.in, addresses, policy, source)) return outcome;
  if (!connections_.may_send_icmp_error(packet.in.zone, now)) return outcome;
  if (make_icmp_error(packet.frame, packet.parsed, problem, source, mtu)) {
    outcome.disposition = Disposition::kReturn;
  }
  return outcome;
}

}  // namespace gannet::dataplane
