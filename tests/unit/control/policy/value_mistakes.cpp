// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/policy/findings.hpp"

#include <array>

namespace gannet::control {
namespace {

constexpr std::string_view kVni = "vni: 5001";
constexpr std::string_view kRuleName = "name: https";
constexpr std::string_view kRulePorts = "ports: [80, 443]";
constexpr std::string_view kRuleSide = "ports: [80, 443], from: any";
constexpr std::string_view kWebMac = "mac: \"02:00:0a:0a:01:0b\"";
constexpr std::string_view kInterval = "interval: 2s";
constexpr std::string_view kOfficeList = "office: [198.51.100.0/24";
constexpr std::string_view kPublicIp = "public_ip: 203.0.113.11";

constexpr auto kValueMistakes = std::to_array<Mistake>({
    // Fields.
    {"unknown section", "load_balancers:", "«unknown-field|load_balancer»:", "did you mean"},
    {"unknown field", kVni, "vni: 5001\n    «unknown-field|mtu»: 1500", "known fields are"},
    {"space missing", "web-1:\n    vpc: shop",
     "«missing-field|web-1»:\n    «unknown-field|vpc:shop»:", "space is missing"},
    {"missing field", "web-1:\n    vpc: shop\n    subnet: web",
     "«missing-field|web-1»:\n    vpc: shop", "lacks the required field 'subnet'"},
    {"two of one", "via: {peer_vpc: analytics}",
     "via: {nat_gateway: egress, «conflicting-fields|peer_vpc»: analytics}", "only one of them"},
    {"none of one", "from: {prefix_list: office}", "«missing-field|from»: {}", "needs"},
    {"from in egress", "to: any}", "to: any, «unknown-field|from»: any}", "say 'to'"},
    // Types.
    {"text for a list", "ips: [10.10.1.11]", "ips: «wrong-type|10.10.1.11»", "write [10.10.1.11]"},
    {"list for a mapping", "    default: {ingress: deny, egress: allow}",
     "    default: «wrong-type|[»]"},
    {"nothing for a mapping",
     "nat_gateways:\n  egress: {vpc: shop, public_ips: [203.0.113.20, "
     "203.0.113.21], ports_per_eni: 1024}",
     "«wrong-type|nat_gateways»:", "found nothing"},
    {"mapping for a text", "name: shop-prod", "name: «wrong-type|{»a: b}"},
    {"quoted number", kVni, "vni: «wrong-type|\"5001\"»", "remove the quotes"},
    {"float for an integer", kVni, "vni: «wrong-type|5e3»"},
    {"hexadecimal", kVni, "vni: «wrong-type|0x10»"},
    {"octal", kRulePorts, "ports: [«leading-zero|010»]", "write 10"},
    {"octal VNI", kVni, "vni: «leading-zero|05001»"},
    {"zeros alone", kVni, "vni: «leading-zero|000»", "write 0"},
    {"yes", kRuleName, "name: https, persist: «ambiguous-boolean|yes»", "write true"},
    {"Off", kRuleName, "name: https, persist: «ambiguous-boolean|Off»", "write false"},
    {"quoted true", kRuleName, "name: https, persist: «ambiguous-boolean|\"true\"»"},
    {"no boolean at all", kRuleName, "name: https, persist: «wrong-type|maybe»"},
    // Numbers and words.
    {"VNI too large", kVni, "vni: «out-of-range|16777216»", "from 0 to 16777215"},
    {"VNI negative", kVni, "vni: «out-of-range|-1»"},
    {"number of a hundred digits", kVni,
     "vni: «out-of-range|99999999999999999999999999999999999999999999»"},
    {"port 0 (P2)", kRulePorts, "ports: [«out-of-range|0»]"},
    {"port 65536", kRulePorts, "ports: [80, «out-of-range|65536»]"},
    {"range that ends too late", kRulePorts, "ports: [«out-of-range|\"1-65536\"»]"},
    {"range reversed", kRulePorts, "ports: [«reversed-range|2000-1000»]", "write \"1000-2000\""},
    {"range of nothing", kRulePorts, "ports: [«invalid-value|\"80-\"»]"},
    {"action misspelt", "name: https, action: allow", "name: https, action: «invalid-value|alow»",
     "did you mean 'allow'"},
    {"protocol misspelt", "proto: udp", "proto: «invalid-value|ucp»"},
    {"protocol 256", "action: allow, proto: udp, ports: [123]",
     "action: allow, proto: «out-of-range|256»"},
    {"next hop misspelt", "via: internet", "via: «invalid-value|internat»"},
    // Quantities.
    {"time without a unit", kInterval, "interval: «missing-unit|2»", "write for instance 2s"},
    {"bandwidth without a unit", "10Gbps", "«missing-unit|10»"},
    {"unit of something else", "10Gbps", "«invalid-quantity|10GiB»"},
    {"time of nothing", kInterval, "interval: «out-of-range|0s»", "cannot be zero"},
    {"time of three centuries", kInterval, "interval: «out-of-range|3000000h»"},
    {"fraction of a nanosecond", kInterval, "interval: «out-of-range|0.5ns»"},
    {"units in the wrong order", kInterval, "interval: «invalid-quantity|1s1m»"},
    // Addresses.
    {"no address", kPublicIp, "public_ip: «invalid-address|203.0.113.256»"},
    {"address with a zero in front", kPublicIp, "public_ip: «invalid-address|203.0.113.011»"},
    {"a block for an address", kPublicIp, "public_ip: «invalid-address|203.0.113.11/32»",
     "remove '/32'"},
    {"no block", kOfficeList, "office: [«invalid-prefix|198.51.100/24»"},
    {"length 33", kOfficeList, "office: [«invalid-prefix|198.51.100.0/33»"},
    {"length with a zero in front", kOfficeList, "office: [«invalid-prefix|198.51.100.0/024»"},
    {"host bits", kOfficeList, "office: [«host-bits|198.51.100.1/24»", "write 198.51.100.0/24"},
    {"other side with host bits", kRuleSide, "ports: [80, 443], from: «host-bits|10.10.0.1/16»"},
    {"other side of nonsense", kRuleSide, "ports: [80, 443], from: «invalid-prefix|anyone»"},
    {"no MAC", kWebMac, "mac: «invalid-mac|\"02:00:0a:0a:01\"»"},
    {"MAC of a group", kWebMac, "mac: «invalid-mac|\"01:00:5e:00:00:01\"»", "group"},
    {"MAC of zeros", kWebMac, "mac: «invalid-mac|\"00:00:00:00:00:00\"»", "zero"},
    // What other readers make of it.
    {"MAC that is a number elsewhere", kWebMac, "mac: «~unquoted-mac|52:54:00:12:34:56»",
     "is a number"},
    {"MAC without quotes", kWebMac, "mac: «~unquoted-mac|02:00:0a:0a:01:0b»"},
    {"boolean for a name", "labels: {owner: netops}", "labels: {owner: «~unquoted-text|yes»}"},
    {"date for a text", "labels: {owner: netops}", "labels: {owner: «~unquoted-text|2024-01-01»}"},
    {"number for a name",
     "prefix_lists:", "prefix_lists:\n  «~unquoted-text+~unused|1e3»: [1.2.3.4]"},
    // Names (P10).
    {"empty name", "name: shop-prod", "name: «invalid-name|\"\"»", "cannot be empty"},
    {"name of a dot", "name: shop-prod", "name: «invalid-name|.»"},
    {"name of two dots", "name: shop-prod", "name: «invalid-name|..»"},
    {"name with a slash", "name: shop-prod", "name: «invalid-name|a/b»"},
    {"name with a blank", "name: shop-prod", "name: «invalid-name|a b»"},
    {"reserved name", "name: shop-prod", "name: «invalid-name|main»", "reserved"},
    {"name of 64 characters", "name: shop-prod",
     "name: «invalid-name|a123456789a123456789a123456789a123456789a123456789a123456789a123»",
     "at most 63"},
    {"name of an object", "prefix_lists:", "prefix_lists:\n  «invalid-name|a/b»: [1.2.3.4]"},
    {"rule called default", kRuleName, "name: «invalid-name|default»"},
    // Lists.
    {"other side of nothing", kRuleSide, "ports: [80, 443], from: {cidr: «empty-list|[»]}"},
    {"no address at all", "ips: [10.10.1.11]", "ips: «empty-list|[»]"},
});

}  // namespace

std::span<const Mistake> value_mistakes() { return kValueMistakes; }

}  // namespace gannet::control
