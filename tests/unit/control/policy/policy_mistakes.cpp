// SPDX-License-Identifier: BSD-3-Clause
// Mistakes in what a policy means (P2), and what is right but probably not meant.
#include "tests/unit/control/policy/findings.hpp"

#include <array>

namespace gannet::control {
namespace {

constexpr std::string_view kWebIp = "ips: [10.10.1.11]";
constexpr std::string_view kDbIp = "ips: [10.10.2.11]";
constexpr std::string_view kWebSubnet = "web: {cidr: 10.10.1.0/24, route_table: public}";
constexpr std::string_view kMapping =
    "10.10.2.20: {underlay_ip: 192.0.2.12, mac: \"02:00:0a:0a:02:14\"}";
constexpr std::string_view kHttps =
    "{name: https, action: allow, proto: tcp, ports: [80, 443], from: any}";
constexpr std::string_view kNat =
    "{vpc: shop, public_ips: [203.0.113.20, 203.0.113.21], ports_per_eni: 1024}";
constexpr std::string_view kListener = "- {proto: tcp, port: 443, backend_pool: servers}";
constexpr std::string_view kBackend = "- {ip: 10.10.1.12, port: 8443, weight: 50}";
constexpr std::string_view kOffice = "office: [198.51.100.0/24";
constexpr std::string_view kPeerRoute = "- {to: 10.20.0.0/16, via: {peer_vpc: analytics}}";

constexpr auto kPolicyMistakes = std::to_array<Mistake>({
    // Names.
    {"unknown security group", "security_groups: [web-frontend]",
     "security_groups: [«unknown-reference|web-fronted»]",
     "note: did you mean 'web-frontend', defined here?"},
    {"unknown VPC", "egress: {vpc: shop", "egress: {vpc: «unknown-reference|shp»"},
    {"unknown subnet", "subnet: db", "subnet: «unknown-reference|dbs»", "in VPC 'shop'"},
    {"unknown route table", "route_table: public", "route_table: «unknown-reference|publik»"},
    {"unknown prefix list", "prefix_list: office", "prefix_list: «unknown-reference|offices»"},
    {"unknown NAT gateway", "nat_gateway: egress", "nat_gateway: «unknown-reference|egres»"},
    {"unknown peer", "peer_vpc: analytics", "peer_vpc: «unknown-reference|analytic»"},
    {"unknown pool", "backend_pool: servers", "backend_pool: «unknown-reference|server»"},
    {"unknown backend", "eni: web-1", "eni: «unknown-reference|web-2»"},
    {"two rules of one name", "name: ssh", "name: «duplicate-name|https»"},
    {"group listed twice", "security_groups: [database]",
     "security_groups: [database, «duplicate-item|database»]"},
    // VPCs and subnets.
    {"VNI twice", "vni: 5002", "vni: «duplicate-vni|5001»", "first used here"},
    {"loopback block", "cidrs: [10.20.0.0/16]",
     "cidrs: [«special-block|127.0.0.0/8», 10.20.0.0/16]"},
    {"multicast block", "cidrs: [10.20.0.0/16]",
     "cidrs: [10.20.0.0/16, «special-block|224.0.0.0/4»]"},
    {"link-local block", "cidrs: [10.20.0.0/16]",
     "cidrs: [10.20.0.0/16, «special-block|169.254.0.0/16»]"},
    {"blocks that overlap", "cidrs: [10.20.0.0/16]",
     "cidrs: [10.20.0.0/16, «overlap|10.20.1.0/24»]"},
    {"subnets that overlap", kWebSubnet,
     "web: {cidr: 10.10.1.0/24, route_table: public}\n      x: {cidr: «overlap|10.10.1.128/25»}"},
    {"subnet outside", kWebSubnet,
     "web: {cidr: 10.10.1.0/24, route_table: public}\n      x: {cidr: «outside-vpc|10.11.1.0/24»}"},
    {"subnet of two addresses", kWebSubnet,
     "web: {cidr: 10.10.1.0/24, route_table: public}\n      x: {cidr: "
     "«subnet-too-small|10.10.3.0/31»}"},
    {"second block of IPv4", kWebSubnet,
     "web: {cidr: 10.10.1.0/24, cidr6: «mixed-families|10.10.3.0/24», route_table: public}"},
    {"mapping of a gateway", kMapping,
     "«reserved-address|10.10.2.1»: {underlay_ip: 192.0.2.12, mac: \"02:00:0a:0a:02:14\"}"},
    {"mapping outside", kMapping,
     "«outside-vpc|10.11.2.1»: {underlay_ip: 192.0.2.12, mac: \"02:00:0a:0a:02:14\"}"},
    {"mapping to IPv6", kMapping,
     "10.10.2.20: {underlay_ip: «mixed-families|\"2001:db8::1\"», mac: \"02:00:0a:0a:02:14\"}"},
    {"mapping to a multicast group", kMapping,
     "10.10.2.20: {underlay_ip: «not-unicast|239.1.1.1», mac: \"02:00:0a:0a:02:14\"}"},
    {"mapping of an ENI that is here", kMapping,
     "«mapping-conflict|10.10.2.11»: {underlay_ip: 192.0.2.12, mac: \"02:00:0a:0a:02:14\"}"},
    // ENIs.
    {"address of the gateway", kWebIp, "ips: [«reserved-address|10.10.1.1»]", "the gateway"},
    {"network address", kWebIp, "ips: [«reserved-address|10.10.1.0»]"},
    {"broadcast address", kWebIp, "ips: [«reserved-address|10.10.1.255»]"},
    {"loopback address", kWebIp, "ips: [«not-unicast|127.0.0.1»]"},
    {"address outside the subnet", kWebIp, "ips: [«outside-subnet|10.10.2.12»]"},
    {"address twice", kWebIp, "ips: [10.10.1.11, «duplicate-ip|10.10.1.11»]"},
    {"MAC twice", "mac: \"02:00:0a:0a:02:0b\"", "mac: «duplicate-mac|\"02:00:0a:0a:01:0b\"»"},
    {"port twice", "port: vm2", "port: «duplicate-port|vm1»"},
    {"public address of another", kNat,
     "{vpc: shop, public_ips: [203.0.113.20, «duplicate-public-ip|203.0.113.11»], ports_per_eni: "
     "1024}",
     "is used twice"},
    {"public address from inside", "public_ip: 203.0.113.11", "public_ip: «inside-vpc|10.10.3.3»"},
    {"public address of the wrong family", "public_ip: 203.0.113.11",
     "public_ip: «mixed-families|\"2001:db8::1\"»"},
    {"two public addresses", "public_ip: 203.0.113.11",
     "public_ip: [203.0.113.11, «duplicate-item|203.0.113.12»]"},
    // Routes and NAT.
    {"route twice", kPeerRoute,
     "- {to: 10.20.0.0/16, via: {peer_vpc: analytics}}\n    - {to: «duplicate-route|10.20.0.0/16», "
     "via: drop}"},
    {"route to a multicast block", kPeerRoute, "- {to: «special-block|224.0.0.0/8», via: drop}"},
    {"NAT of IPv6", kPeerRoute,
     "- {to: «mixed-families|\"2000::/3\"», via: {nat_gateway: egress}}"},
    {"own peer", "peer_vpc: analytics", "peer_vpc: «wrong-vpc|shop»"},
    {"NAT of another VPC", "egress: {vpc: shop", "egress: {vpc: analytics", "serves VPC",
     "nat_gateway: egress", "nat_gateway: «wrong-vpc|egress»"},
    {"NAT address from inside", kNat,
     "{vpc: shop, public_ips: [«inside-vpc|10.10.9.1»], ports_per_eni: 1024}"},
    {"NAT address of IPv6", kNat,
     "{vpc: shop, public_ips: [«mixed-families|\"2001:db8::7\"»], ports_per_eni: 1024}"},
    {"NAT without room", kNat,
     "{vpc: shop, public_ips: [203.0.113.20], ports_per_eni: «nat-capacity|64512»}",
     "2 ENIs go out", "route_table: public", "route_table: private"},
    // Rules.
    {"ports of ICMP", kHttps,
     "{name: https, action: allow, proto: icmp, ports: "
     "[«ports-without-protocol|80»], from: any}"},
    {"ports of anything", kHttps,
     "{name: https, action: allow, proto: any, ports: "
     "[«ports-without-protocol|80»], from: any}",
     "a rule for each"},
    {"all ports (P2)", kHttps,
     "{name: https, action: allow, proto: tcp, ports: [«full-port-range|1-65535»], from: "
     "198.51.100.0/24}"},
    {"ICMP of IPv6", kHttps,
     "{name: https, action: allow, proto: icmp, from: «mixed-families|\"2001:db8::/32\"»}"},
    {"ICMPv6 of IPv4", kHttps,
     "{name: https, action: allow, proto: icmp6, from: {cidr: [«mixed-families|10.0.0.0/8»]}}"},
    {"prefix list with loopback", kOffice, "office: [«special-block|127.0.0.0/8»"},
    // Load balancers.
    {"VIP of a gateway", "vip: 10.10.9.9", "vip: «reserved-address|10.10.1.1»"},
    {"VIP of an ENI", "vip: 10.10.9.9", "vip: «duplicate-ip|10.10.2.11»"},
    {"VIP of a mapping", "vip: 10.10.9.9", "vip: «duplicate-ip|10.10.2.20»"},
    {"VIP of another VPC", "vip: 10.10.9.9", "vip: «wrong-vpc|10.20.9.9»"},
    {"VIP of a NAT gateway", "vip: 10.10.9.9", "vip: «duplicate-public-ip|203.0.113.20»"},
    {"listener twice", kListener,
     "- {proto: tcp, port: 443, backend_pool: servers}\n      - «duplicate-listener|{»proto: tcp, "
     "port: 443, backend_pool: servers}"},
    {"listener of ICMP", kListener,
     "- {proto: «invalid-value|icmp», port: 443, backend_pool: servers}"},
    {"any protocol, one port", kListener,
     "- {proto: any, port: «ports-without-protocol|443», backend_pool: servers}"},
    {"backend outside", kBackend, "- {ip: «outside-vpc|10.20.1.12», port: 8443}"},
    {"backend of the other family", kBackend,
     "- {ip: «mixed-families|\"fd00:10::5\"», port: 8443}"},
    {"backend that is the VIP", kBackend, "- «duplicate-ip|{»ip: 10.10.9.9, port: 8443}"},
    {"backend twice", kBackend, "- «duplicate-item|{»ip: 10.10.1.11, port: 8443}"},
    {"probe without a port",
     "{type: tcp, port: 8080, interval: 2s, timeout: 1s}\n        "
     "backends:\n          - {eni: web-1, port: 8443}",
     "{type: tcp, interval: 2s}\n        backends:\n          - «missing-field|{»eni: web-1}",
     "which port to probe"},
    {"timeout over interval",
     "servers:\n        health_check: {type: tcp, port: 8080, interval: 2s, timeout: 1s}",
     "«out-of-range|servers»:\n        health_check: {type: tcp, port: 8080, interval: 1s, "
     "timeout: "
     "2s}",
     "longer than its interval"},
    // Advice.
    {"unreachable rule", "name: ssh, action: allow, proto: tcp, ports: [22]",
     "name: «~unreachable-rule|ssh», action: deny, proto: tcp, ports: [443]", "never reached"},
    {"unused list", "prefix_lists:", "prefix_lists:\n  «~unused|idle»: [1.2.3.4]"},
    {"SSH for all", kHttps,
     "{name: «~open-admin-port|https», action: allow, proto: tcp, ports: [\"20-80\"], from: any}",
     "", "ports: [22], from: {prefix_list: office}", "ports: [81], from: {prefix_list: office}"},
    {"backend of nowhere is one mistake", "web-1:\n    vpc: shop",
     "web-1:\n    vpc: «unknown-reference|shp»"},
    {"RDP for all", kHttps,
     "{name: «~open-admin-port|https», action: allow, proto: tcp, ports: [3389], from: 0.0.0.0/0}"},
    {"open by default", "database:\n    default: {ingress: deny",
     "«~allow-by-default|database»:\n    default: {ingress: allow"},
    {"public address without a way", "- {to: 0.0.0.0/0, via: internet}",
     "- {to: 0.0.0.0/0, via: drop}", "no route via internet", "public_ip: 203.0.113.11",
     "public_ip: «~no-internet-route|203.0.113.11»"},
    {"ENI of nowhere", "  db-1:\n", "  «~unplaced-eni|db-1»:\n", "nothing reaches it",
     "    port: vm2\n", ""},
    {"mapping with another MAC", kMapping,
     "10.10.2.11: {underlay_ip: 192.0.2.12, mac: «~mac-mismatch|\"02:00:0a:0a:02:14\"»}",
     "the ENI's is here", "    port: vm2\n", ""},
    {"peer without such addresses", kPeerRoute,
     "- {to: «~unreachable-peer|10.30.0.0/16», via: {peer_vpc: analytics}}"},
    {"dual stack is fine", kDbIp, "ips: [10.10.2.11, 10.10.2.12]"},
});

}  // namespace

std::span<const Mistake> policy_mistakes() { return kPolicyMistakes; }

}  // namespace gannet::control
