// SPDX-License-Identifier: BSD-3-Clause
// The fields of HostConfig; how such a table is read stands in fields.hpp.
#pragma once

#include "control/policy/fields.hpp"
#include "control/policy/host_config.hpp"

namespace gannet::control {

// Lcore ids are small; DPDK itself takes 128 of them by default.
inline constexpr Range kCoreRange{0, 1023};
// An IPv4 host must take 576 bytes (RFC 1122, 3.3.3); above 9,600 no card that we know follows.
inline constexpr Range kMtuRange{576, 9600};
// One record for each; a flow table index has 28 bits.
inline constexpr Range kConnectionRange{1, 1U << 28};

void describe(auto& v, As<Workers> auto& o) {
  v.object("workers", "The threads that move packets.");
  v.required("cores", o.cores, "One worker on each of these cores.", kCoreRange);
  v.defaulted(
      "idle", o.idle,
      "`spin` polls for ever, for the lowest latency; `adaptive` sleeps when there is nothing.");
}

void describe(auto& v, As<Memory> auto& o) {
  v.object("memory", "Taken at start, never grown.");
  v.defaulted("size", o.size, "For packet buffers and tables.");
  v.defaulted("hugepages", o.hugepages, "`auto` takes them where there are any.");
}

void describe(auto& v, As<Capacity> auto& o) {
  v.object("capacity", "Sizes of the tables.");
  v.defaulted("connections", o.connections, "Connections at one time.", kConnectionRange);
}

void describe(auto& v, As<UnderlayConfig> auto& o) {
  v.object("underlay", "This host as a tunnel endpoint (VTEP).");
  v.required("port", o.port, "The port that leads to the other hosts, of `ports`.");
  v.required("ips", o.ips,
             "Its addresses with the lengths of their networks; tunnels use the first IPv4.");
  v.optional("gateway", o.gateway, "The way to hosts of other networks.");
  v.defaulted("mtu", o.mtu, "Largest IP packet on the underlay.", kMtuRange);
  v.defaulted("vxlan_port", o.vxlan_port, "UDP port of VXLAN.", kPortRange);
  v.defaulted("clamp_mss", o.clamp_mss,
              "Whether the segment size that TCP endpoints announce is lowered to what fits.");
}

void describe_port_type(auto& v, As<HostPort> auto& o) {
  switch (o.type) {
    case PortType::kAfPacket:
    case PortType::kAfXdp:
    case PortType::kTap:
      v.required("interface", o.interface, "Name of the kernel's interface.");
      break;
    case PortType::kVhostUser:
      v.required("socket", o.socket, "Path of the Unix socket.");
      v.defaulted("mode", o.mode, "Who makes the socket: `client` if the hypervisor does.");
      break;
    case PortType::kPci: v.required("address", o.address, "PCI address of the function."); break;
    case PortType::kRepresentor:
      v.required("device", o.device, "PCI address of the card.");
      v.required("vf", o.vf, "Number of the virtual function.", Range{0, 65535});
      break;
    case PortType::kMemif:
      v.required("socket", o.socket, "Path of the Unix socket.");
      v.defaulted("id", o.id, "Number of the interface on that socket.", Range{});
      break;
    case PortType::kVdev:
      v.required("args", o.args, "Device and arguments as DPDK takes them.");
      break;
  }
}

void describe(auto& v, As<HostPort> auto& o) {
  v.object("port", "How to reach a port; the other fields depend on its type.");
  if (!v.selector("type", o.type, "What kind of port it is.")) return;
  describe_port_type(v, o);
  describe_comment(v, o);
}

void describe_nic_type(auto& v, As<Nic> auto& o) {
  if (o.type == NicType::kEmulated) {
    v.defaulted("profile", o.profile, "The capabilities that the emulated card has.");
    v.optional("args", o.arguments, "More arguments of its driver, such as `slots=40`.");
  }
}

void describe(auto& v, As<Nic> auto& o) {
  v.object("nic", "The card that the ports hang on. Absent: software only.");
  if (!v.selector("type", o.type, "Whether the card is there.")) return;
  describe_nic_type(v, o);
  v.required("uplink", o.uplink, "The port on its wire.");
  v.required("vfs", o.vfs, "The ports on its virtual functions, in their order.", MayBeEmpty{});
}

void describe(auto& v, As<OffloadConfig> auto& o) {
  v.object("offload", "Which connections go to the card.");
  v.defaulted("mode", o.mode, "`disabled` keeps all in software.");
  v.defaulted("min_packets", o.min_packets, "Packets after which a connection is worth a rule.",
              kCountRange);
  v.defaulted("max_rules_per_eni", o.max_rules_per_eni,
              "Rules that the connections of one ENI may have on the card; 0: no limit.", Range{});
}

void describe(auto& v, As<Timers> auto& o) {
  v.object("timers", "Idle times after which connections are forgotten.");
  v.defaulted("tcp_established", o.tcp_established, "An established TCP connection.", Positive{});
  v.defaulted("tcp_transitory", o.tcp_transitory, "A TCP connection that opens or closes.",
              Positive{});
  v.defaulted("udp", o.udp, "A UDP packet without an answer.", Positive{});
  v.defaulted("udp_stream", o.udp_stream, "UDP in both directions.", Positive{});
  v.defaulted("icmp", o.icmp, "An ICMP query.", Positive{});
  v.defaulted("fragment", o.fragment, "A fragment that waits for its first one.", Positive{});
}

void describe(auto& v, As<Tracking> auto& o) {
  v.object("tracking", "How strictly TCP is followed.");
  v.defaulted(
      "strict_tcp", o.strict_tcp,
      "`true` checks sequence numbers always and keeps connections in software unless the card "
      "can; `auto` checks while in software.");
  v.defaulted("midstream", o.midstream, "Whether to pick up TCP connections without their SYN.");
  v.defaulted("midstream_after_start", o.midstream_after_start,
              "For how long to do so after a cold start all the same.");
}

void describe(auto& v, As<ApiConfig> auto& o) {
  v.object("api", "Where gannetctl finds the daemon.");
  v.defaulted("socket", o.socket, "Path of the Unix socket.");
}

void describe(auto& v, As<MetricsConfig> auto& o) {
  v.object("metrics", "Prometheus metrics. Absent: not served.");
  v.required("listen", o.listen, "Address and port to serve them on.");
}

void describe(auto& v, As<HostConfig> auto& o) {
  v.object("HostConfig", "This machine; read at start.");
  v.required("workers", o.workers, "The threads that move packets.");
  v.defaulted("memory", o.memory, "Memory taken at start.");
  v.defaulted("capacity", o.capacity, "Sizes of the tables.");
  v.required("underlay", o.underlay, "The way to the other hosts.");
  v.required("ports", o.ports, "All ports, by name.");
  v.optional("nic", o.nic, "The card that the ports hang on; absent: software only.");
  v.defaulted("offload", o.offload, "Which connections go to the card.");
  v.defaulted("timers", o.timers, "When connections are forgotten.");
  v.defaulted("tracking", o.tracking, "How strictly TCP is followed.");
  v.defaulted("api", o.api, "Where the daemon is reached.");
  v.optional("metrics", o.metrics, "Where it is watched; absent: not served.");
}

}  // namespace gannet::control
