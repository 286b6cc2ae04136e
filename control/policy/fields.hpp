// SPDX-License-Identifier: BSD-3-Clause
// The one table of fields: for each kind of object its fields with name, place in the model,
// whether they must be there, and a sentence. The decoder, the writer of JSON, the JSON Schema and
// the reference in docs/policy.md all read it, so none of them can forget a field.
//
// A visitor is shown an object by describe(visitor, object), which calls on it
//   object(word, sentence)               first: what such an object is called;
//   required(name, member, sentence)     a field that must be there;
//   optional(name, member, sentence)     one whose absence has a meaning of its own;
//   defaulted(name, member, sentence)    one that is what the member is initialised to, if absent;
//   alternative(name, member, sentence)  one of several of which exactly one must be there;
//   bare(name, member, sentence)         a required list that may also be written in place of the
//                                        whole object;
//   selector(name, member, sentence)     a required word that decides which fields follow; false if
//                                        it could not be read;
//   misplaced(name, sentence)            no field, but people will try it.
// Integers are followed by their range, rules by a prototype that knows their direction, lists that
// may be written as a single value by OneOrMore, required lists without which there can be an
// object all the same by MayBeEmpty, and times that cannot be zero by Positive.
#pragma once

#include "control/policy/model.hpp"
#include "control/policy/values.hpp"

#include <concepts>
#include <type_traits>

namespace gannet::control {

/// U or const U: the writer of JSON only reads.
template <typename T, typename U>
concept As = std::same_as<std::remove_const_t<T>, U>;

struct OneOrMore {};
struct MayBeEmpty {};
struct Positive {};

inline constexpr Range kPortRange{1, 65535};
inline constexpr Range kCountRange{1, 0xffff'ffff};

void describe_comment(auto& v, auto& o) {
  v.optional("comment", o.comment, "For people; has no effect.");
}

void describe(auto& v, As<Metadata> auto& o) {
  v.object("metadata", "What a policy is called and who cares for it.");
  v.required("name", o.name, "Name of the policy.");
  v.optional("labels", o.labels, "Any texts by any keys; shown, not interpreted.");
}

void describe(auto& v, As<PrefixList> auto& o) {
  v.object("prefix list", "Address blocks that rules refer to by one name.");
  v.bare("prefixes", o.prefixes, "The blocks, of either family.");
  describe_comment(v, o);
}

void describe(auto& v, As<Subnet> auto& o) {
  v.object("subnet",
           "A part of a VPC. Its first host address is the gateway, which the switch answers for.");
  v.required("cidr", o.cidr, "Its address block, inside the VPC's.");
  v.optional("cidr6", o.cidr6, "A second block, of IPv6, if `cidr` is IPv4.");
  v.optional("route_table", o.route_table,
             "Routes of its ENIs; without it only the VPC's own addresses are reachable.");
  describe_comment(v, o);
}

void describe(auto& v, As<Mapping> auto& o) {
  v.object("mapping", "The host that has an overlay address, by that address.");
  v.required("underlay_ip", o.underlay_ip, "The other host's tunnel endpoint, IPv4.");
  v.required("mac", o.mac, "MAC address of the interface that has the overlay address.");
  describe_comment(v, o);
}

void describe(auto& v, As<Vpc> auto& o) {
  v.object("VPC", "An isolated network: one VXLAN segment with its subnets.");
  v.required("vni", o.vni, "VXLAN network identifier (RFC 7348); no two VPCs have the same.");
  v.required("cidrs", o.cidrs, "Its address blocks, of either family; they do not overlap.");
  v.optional("subnets", o.subnets, "Its parts, by name.");
  v.optional("mappings", o.mappings, "Addresses that live on other hosts, by address.");
  describe_comment(v, o);
}

void describe(auto& v, As<Via> auto& o) {
  v.object(
      "next hop",
      "`internet` leaves un-encapsulated by the uplink and needs a public address; `drop` drops.");
  v.alternative("nat_gateway", o.nat_gateway, "Leaves by this NAT gateway of the same VPC.");
  v.alternative("peer_vpc", o.peer_vpc, "Leads to the addresses of this other VPC.");
}

void describe(auto& v, As<Route> auto& o) {
  v.object("route", "Where packets for a block of addresses go.");
  v.required("to", o.to, "Destination block; of several that match, the longest wins.");
  v.required("via", o.via, "Next hop.");
  describe_comment(v, o);
}

void describe(auto& v, As<RouteTable> auto& o) {
  v.object("route table", "Routes that subnets refer to by one name.");
  v.bare("routes", o.routes, "The routes, in any order.");
  describe_comment(v, o);
}

void describe(auto& v, As<Remote> auto& o) {
  v.object("other side",
           "The other end of a connection: `any`, an address block, or exactly one of these.");
  v.alternative("cidr", o.cidrs, "One address block or a list of them.", OneOrMore{});
  v.alternative("prefix_list", o.prefix_list, "The blocks of this prefix list.");
  v.alternative("security_group", o.security_group, "The addresses of the ENIs in this group.");
}

void describe(auto& v, As<Rule> auto& o) {
  const bool is_ingress = o.direction == Direction::kIngress;
  v.object(is_ingress ? "ingress rule" : "egress rule",
           is_ingress ? "What may, or may not, be opened towards an ENI."
                      : "What an ENI may, or may not, open.");
  v.required("name", o.name, "Unique in its list; `default` stands for the group's default.");
  v.required("action", o.action,
             "What becomes of a connection that matches; `reject` denies it and tells the sender.");
  v.required("proto", o.proto, "Protocol by name or number; `any` is all.");
  v.optional("ports", o.ports,
             "Destination ports and \"first-last\" ranges, of tcp and udp only; absent: all.");
  v.required(is_ingress ? "from" : "to", o.remote, "The other end of the connection.");
  v.misplaced(is_ingress ? "to" : "from",
              is_ingress ? "rules of 'ingress' say 'from'" : "rules of 'egress' say 'to'");
  v.defaulted("log", o.logs,
              "Whether connections that it decides about are shown by `gannetctl log`.");
  v.defaulted("persist", o.persists,
              "Whether open connections live on when a change of policy denies them.");
  describe_comment(v, o);
}

inline Rule rule_of(Direction direction) {
  Rule rule;
  rule.direction = direction;
  return rule;
}

void describe(auto& v, As<DefaultActions> auto& o) {
  v.object("default", "What becomes of what no rule matches.");
  v.required("ingress", o.ingress, "Towards the ENI.");
  v.required("egress", o.egress, "From the ENI.");
}

void describe(auto& v, As<SecurityGroup> auto& o) {
  v.object("security group",
           "Stateful rules at an ENI, in the order of the list; the first that matches decides.");
  v.defaulted("mode", o.mode, "`audit` counts and logs what would be denied and denies nothing.");
  v.required("default", o.defaults, "What becomes of what no rule matches.");
  v.optional("ingress", o.ingress, "Rules for connections to the ENI.",
             rule_of(Direction::kIngress));
  v.optional("egress", o.egress, "Rules for connections from the ENI.",
             rule_of(Direction::kEgress));
  describe_comment(v, o);
}

void describe(auto& v, As<Qos> auto& o) {
  v.object("qos", "Limits of one ENI; what is absent or zero is not limited.");
  v.optional("bandwidth", o.bandwidth, "In each direction.");
  v.optional("new_flows_per_second", o.new_flows_per_second, "Connections that may be opened.",
             Range{});
  v.optional("max_flows", o.max_flows, "Connections at one time.", Range{});
}

void describe(auto& v, As<Eni> auto& o) {
  v.object("ENI", "A network card of a VM.");
  v.required("vpc", o.vpc, "The VPC that it is in.");
  v.required("subnet", o.subnet, "The subnet of that VPC.");
  v.required("ips", o.ips, "Its addresses, inside the subnet; it may send from no others.");
  v.required("mac", o.mac, "Its MAC address; it may send from no other.");
  v.optional("port", o.port, "A port of HostConfig; absent: it lives on another host.");
  v.optional("security_groups", o.security_groups,
             "Every one must allow; absent: nothing comes in, everything goes out.");
  v.optional("public_ip", o.public_ips, "Translated 1:1; one of each family at most.", OneOrMore{});
  v.optional("qos", o.qos, "Limits.");
  v.defaulted("admin", o.admin, "`down` drops all its packets.");
  describe_comment(v, o);
}

void describe(auto& v, As<NatGateway> auto& o) {
  v.object("NAT gateway",
           "Lets ENIs of a VPC out by shared public addresses, a block of ports for each (IPv4).");
  v.required("vpc", o.vpc, "The VPC that it serves.");
  v.required("public_ips", o.public_ips, "Its public addresses.");
  v.required("ports_per_eni", o.ports_per_eni, "Ports of each ENI.", Range{1, 64512});
  describe_comment(v, o);
}

void describe(auto& v, As<Listener> auto& o) {
  v.object("listener", "What a load balancer accepts, and who serves it.");
  v.required("proto", o.proto, "tcp or udp; `any` together with port `any`.");
  v.required("port", o.port, "Port, or `any` for all that no other listener names.");
  v.required("backend_pool", o.backend_pool, "A pool of the same load balancer.");
  v.defaulted("affinity", o.affinity, "What of a packet chooses its backend.");
}

void describe(auto& v, As<HealthCheck> auto& o) {
  v.object("health check", "How backends are found to be up.");
  v.required("type", o.type, "Kind of probe; a TCP connection is opened and closed.");
  v.optional("port", o.port, "Port that is probed; absent: the backend's own.", kPortRange);
  v.defaulted("interval", o.interval, "Time between probes.", Positive{});
  v.defaulted("timeout", o.timeout, "Time after which a probe has failed.", Positive{});
  v.defaulted("rise", o.rise, "Good probes in a row that bring a backend up.", kCountRange);
  v.defaulted("fall", o.fall, "Failed probes in a row that take it down.", kCountRange);
}

void describe(auto& v, As<Backend> auto& o) {
  v.object("backend", "Who serves: an ENI or an address.");
  v.alternative("eni", o.eni, "An ENI of the VPC, by name.");
  v.alternative("ip", o.ip, "An address of the VPC.");
  v.optional("port", o.port, "Port that it serves on; absent: the one that was asked for.",
             kPortRange);
  v.defaulted("weight", o.weight, "Share of new connections; 0: none.", Range{0, 65535});
}

void describe(auto& v, As<BackendPool> auto& o) {
  v.object("backend pool", "Backends among which connections are shared out.");
  v.optional("health_check", o.health_check, "Absent: all backends are always up.");
  v.optional(
      "drain", o.drain,
      "After this time connections to a removed backend are cut; absent: they end by themselves.");
  v.required("backends", o.backends, "Who serves; may be empty.", MayBeEmpty{});
  describe_comment(v, o);
}

void describe(auto& v, As<LoadBalancer> auto& o) {
  v.object("load balancer", "A virtual address and the backends behind it.");
  v.required("vpc", o.vpc, "The VPC of its backends.");
  v.required("vip", o.vip, "The address: one of the VPC, or a public one.");
  v.required("listeners", o.listeners, "What it accepts.");
  v.required("backend_pools", o.backend_pools, "Who serves, by name.");
  describe_comment(v, o);
}

void describe(auto& v, As<Policy> auto& o) {
  v.object("Policy", "The goal state of a host's network, applied as a whole.");
  v.optional("metadata", o.metadata, "What the policy is called.");
  v.optional("prefix_lists", o.prefix_lists, "Reusable sets of addresses, by name.");
  v.optional("vpcs", o.vpcs, "Networks, by name.");
  v.optional("route_tables", o.route_tables, "Sets of routes, by name.");
  v.optional("security_groups", o.security_groups, "Sets of rules, by name.");
  v.optional("enis", o.enis, "Network cards of VMs, by name.");
  v.optional("nat_gateways", o.nat_gateways,
             "Ways out for ENIs without a public address, by name.");
  v.optional("load_balancers", o.load_balancers, "Virtual addresses, by name.");
}

}  // namespace gannet::control
