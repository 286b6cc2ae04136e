// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/policy/findings.hpp"

#include <array>

namespace gannet::control {
namespace {

constexpr std::string_view kUplinkIp = "ips: [192.0.2.11/24]";
constexpr std::string_view kTap = "vm1: {type: tap, interface: vm1}";
constexpr std::string_view kSocket =
    "vm2: {type: vhost-user, socket: /run/gannet/vm2.sock, mode: client}";
constexpr std::string_view kProfile = "profile: unlimited, ";
constexpr std::string_view kCard = "card: {type: pci, address: \"0000:3b:00.0\"}";

constexpr auto kHost = std::to_array<Mistake>({
    {"core twice", "cores: [1]", "cores: [1, «duplicate-item|1»]"},
    {"core of no machine", "cores: [1]", "cores: [«out-of-range|4096»]"},
    {"no core", "cores: [1]", "cores: «empty-list|[»]"},
    {"too little memory", "size: 512MiB", "size: «out-of-range|1MiB»", "at least 32MiB"},
    {"memory without a unit", "size: 512MiB", "size: «missing-unit|512»"},
    {"no such interface", kTap, "vm1: {type: tap, interface: «invalid-value|a-name-of-16-chr»}"},
    {"interface twice", kTap, "«duplicate-interface|vm1»: {type: tap, interface: up0}"},
    {"relative socket", kSocket, "vm2: {type: vhost-user, socket: «invalid-value|vm2.sock»}"},
    {"no PCI address", kCard, "card: {type: pci, address: «invalid-value|\"3b:00.0\"»}"},
    {"no such type", kTap, "vm1: {type: «invalid-value|tab», interface: vm1}",
     "did you mean 'tap'"},
    {"field of another type", kTap, "vm1: {type: tap, interface: vm1, «unknown-field|socket»: /a}"},
    {"MTU too small", "mtu: 1600", "mtu: «out-of-range|100»"},
    {"underlay on no port", "  port: uplink", "  port: «unknown-reference|uplnk»",
     "did you mean 'uplink'"},
    {"underlay of IPv6 alone", kUplinkIp, "ips: [«missing-ipv4|\"2001:db8::1/64\"»]", "",
     "  gateway: 192.0.2.1\n", ""},
    {"underlay at the network address", kUplinkIp, "ips: [«reserved-address|192.0.2.0/24»]"},
    {"underlay address without its length", kUplinkIp, "ips: [«invalid-prefix|192.0.2.11»]"},
    {"underlay address twice", kUplinkIp, "ips: [192.0.2.11/24, «duplicate-item|192.0.2.11/24»]"},
    {"gateway elsewhere", "gateway: 192.0.2.1", "gateway: «gateway-unreachable|192.0.3.1»"},
    {"own gateway", "gateway: 192.0.2.1", "gateway: «underlay-address|192.0.2.11»"},
    {"uplink as a virtual function", "vfs: [vm1]", "vfs: [«port-in-use+port-in-use|uplink»]"},
    {"no time", "udp: 120s", "udp: «out-of-range|0s»"},
    {"timer without a unit", "udp: 120s", "udp: «missing-unit|120»"},
    {"address without a port", "listen: \"127.0.0.1:9462\"",
     "listen: «invalid-address|\"127.0.0.1\"»"},
    {"yes for a boolean", "midstream: false", "midstream: «ambiguous-boolean|no»"},
    {"no such profile", "profile: unlimited", "profile: «invalid-value|connectx6d»",
     "did you mean 'connectx6dx'"},
    {"argument that the card has not", kProfile, "args: «invalid-value|\"slot=40\"», ",
     "did you mean 'slots'"},
    {"argument out of its range", kProfile,
     "args: «invalid-value|\"slots=40,fault_insert_percent=101\"», ", "a number of 0 to 100"},
    {"argument without a value", kProfile, "args: «invalid-value|\"idle\"», ", "spin or adaptive"},
    {"card that is turned by hand", kProfile, "args: «invalid-value|\"manual=1\"», ",
     "is for tests"},
    {"argument that follows from others", kProfile, "args: «invalid-value|\"vf=net_ring0\"», "},
    {"core of no card", kProfile, "args: «invalid-value|\"core=4096\"», "},
    {"error of no name", kProfile, "args: «invalid-value|\"fault_errno=EWHAT\"», "},
    {"ports that hang on no real card",
     "nic: {type: emulated, profile: unlimited, uplink: uplink, vfs: [vm1]",
     "nic: {type: pci, uplink: «invalid-value|uplink», vfs: [«invalid-value|vm1»]",
     "of type af_packet"},
    {"card without its uplink", "nic: {type: emulated, profile: unlimited, uplink: uplink, ",
     "«missing-field|nic»: {type: emulated, "},
    {"second host", "metrics: {listen: \"127.0.0.1:9462\"}\n",
     "---\napiVersion: gannet/v1\nkind: «duplicate-name|HostConfig»\n", "one HostConfig"},
    {"ENI at the uplink", "metrics:",
     "---\napiVersion: gannet/v1\nkind: Policy\nvpcs: {v: {vni: 1, cidrs: [10.0.0.0/8], subnets: "
     "{s: "
     "{cidr: 10.0.0.0/24}}}}\nenis: {e: {vpc: v, subnet: s, ips: [10.0.0.5], mac: "
     "\"02:00:00:00:00:01\", port: «port-in-use|uplink»}}\n#"},
    {"ENI at no port", "metrics:",
     "---\napiVersion: gannet/v1\nkind: Policy\nvpcs: {v: {vni: 1, cidrs: [10.0.0.0/8], subnets: "
     "{s: "
     "{cidr: 10.0.0.0/24}}}}\nenis: {e: {vpc: v, subnet: s, ips: [10.0.0.5], mac: "
     "\"02:00:00:00:00:01\", port: «unknown-reference|vm9»}}\n#"},
    {"public address of the host itself", "metrics:",
     "---\napiVersion: gannet/v1\nkind: Policy\nvpcs: {v: {vni: 1, cidrs: "
     "[10.0.0.0/8]}}\nnat_gateways: "
     "{n: {vpc: v, public_ips: [«underlay-address|192.0.2.11»], ports_per_eni: 64}}\n#"},
});

constexpr auto kTests = std::to_array<Mistake>({
    {"another policy", "policy: shop-prod", "policy: «unknown-reference|shop»"},
    {"unknown ENI", "eni: db-1, direction", "eni: «unknown-reference|db-2», direction"},
    {"unknown rule", "rule: web-frontend/ingress/https",
     "rule: «unknown-reference|web-frontend/ingress/http»", "did you mean 'https'"},
    {"rule without its side", "rule: web-frontend/ingress/https", "rule: «invalid-value|https»"},
    {"unknown reason", "reason: sg_ingress_denied", "reason: «unknown-reference|sg_ingres_denied»",
     "did you mean 'sg_ingress_denied'"},
    {"reason of what is allowed", "verdict: deny,", "verdict: allow,", "no drop reason",
     "reason: sg_ingress_denied", "reason: «conflicting-fields|sg_ingress_denied»"},
    {"case twice", "- name: nobody reaches the database",
     "- name: «duplicate-name|the internet reaches the shop»"},
    {"any protocol", "proto: udp, from: 10.10.1.77, port: 53",
     "proto: «invalid-value|any», from: 10.10.1.77"},
    {"port of ICMP", "proto: udp, from: 10.10.1.77",
     "proto: «ports-without-protocol|icmp», from: 10.10.1.77"},
    {"no port", "- name: nobody reaches the database",
     "- name: «missing-field|nobody reaches the database»", "needs 'port'",
     "from: 10.10.1.77, port: 53", "from: 10.10.1.77"},
    {"nobody sends", "- name: nobody reaches the database",
     "- name: «missing-field|nobody reaches the database»", "needs 'from'",
     "from: 10.10.1.77, port: 53", "port: 53"},
    {"family that the ENI has not", "from: 10.10.1.77", "from: «mixed-families|\"fd00:10::77\"»"},
    {"no cases", "cases:", "cases: «empty-list|[»]\n#", "cannot be empty",
     "  - name: the internet reaches the shop\n    packet: {eni: web-1, direction: ingress, proto: "
     "tcp, from: 8.8.8.8, port: 443}\n    expect: {verdict: allow, rule: "
     "web-frontend/ingress/https}\n  - name: nobody reaches the database\n    packet: {eni: db-1, "
     "direction: ingress, proto: udp, from: 10.10.1.77, port: 53}\n    expect: {verdict: deny, "
     "reason: sg_ingress_denied}\n",
     ""},
});

}  // namespace

std::span<const Mistake> host_mistakes() { return kHost; }
std::span<const Mistake> test_mistakes() { return kTests; }

}  // namespace gannet::control
