// SPDX-License-Identifier: BSD-3-Clause
// Documents without any finding, for tests to spoil.
#pragma once

#include <string_view>

namespace gannet::control {

inline constexpr std::string_view kSamplePolicy = R"(apiVersion: gannet/v1
kind: Policy
metadata: {name: shop-prod, labels: {owner: netops}}
prefix_lists:
  office: [198.51.100.0/24, "2001:db8:100::/48"]
vpcs:
  shop:
    vni: 5001
    cidrs: [10.10.0.0/16, "fd00:10::/56"]
    subnets:
      web: {cidr: 10.10.1.0/24, route_table: public}
      db: {cidr: 10.10.2.0/24, route_table: private}
    mappings:
      10.10.2.20: {underlay_ip: 192.0.2.12, mac: "02:00:0a:0a:02:14"}
  analytics:
    vni: 5002
    cidrs: [10.20.0.0/16]
route_tables:
  public:
    - {to: 0.0.0.0/0, via: internet}
    - {to: 10.20.0.0/16, via: {peer_vpc: analytics}}
  private:
    - {to: 0.0.0.0/0, via: {nat_gateway: egress}}
security_groups:
  web-frontend:
    default: {ingress: deny, egress: allow}
    ingress:
      - {name: https, action: allow, proto: tcp, ports: [80, 443], from: any}
      - {name: ssh, action: allow, proto: tcp, ports: [22], from: {prefix_list: office}}
  database:
    default: {ingress: deny, egress: deny}
    ingress:
      - {name: pg, action: allow, proto: tcp, ports: [5432], from: {security_group: web-frontend}}
    egress:
      - {name: ntp, action: allow, proto: udp, ports: [123], to: any}
enis:
  web-1:
    vpc: shop
    subnet: web
    ips: [10.10.1.11]
    mac: "02:00:0a:0a:01:0b"
    port: vm1
    security_groups: [web-frontend]
    public_ip: 203.0.113.11
    qos: {bandwidth: 10Gbps, max_flows: 1000}
  db-1:
    vpc: shop
    subnet: db
    ips: [10.10.2.11]
    mac: "02:00:0a:0a:02:0b"
    port: vm2
    security_groups: [database]
nat_gateways:
  egress: {vpc: shop, public_ips: [203.0.113.20, 203.0.113.21], ports_per_eni: 1024}
load_balancers:
  shop-vip:
    vpc: shop
    vip: 10.10.9.9
    listeners:
      - {proto: tcp, port: 443, backend_pool: servers}
    backend_pools:
      servers:
        health_check: {type: tcp, port: 8080, interval: 2s, timeout: 1s}
        backends:
          - {eni: web-1, port: 8443}
          - {ip: 10.10.1.12, port: 8443, weight: 50}
)";

inline constexpr std::string_view kSampleHost = R"(apiVersion: gannet/v1
kind: HostConfig
workers: {cores: [1], idle: adaptive}
memory: {size: 512MiB, hugepages: auto}
underlay:
  port: uplink
  ips: [192.0.2.11/24]
  gateway: 192.0.2.1
  mtu: 1600
ports:
  uplink: {type: af_packet, interface: up0}
  vm1: {type: tap, interface: vm1}
  vm2: {type: vhost-user, socket: /run/gannet/vm2.sock, mode: client}
  card: {type: pci, address: "0000:3b:00.0"}
nic: {type: emulated, profile: unlimited, uplink: uplink, vfs: [vm1]}
offload: {mode: auto, min_packets: 1}
timers: {udp: 120s, fragment: 200ms}
tracking: {strict_tcp: auto, midstream: false}
api: {socket: /run/gannet/api.sock}
metrics: {listen: "127.0.0.1:9462"}
)";

inline constexpr std::string_view kSampleTest = R"(apiVersion: gannet/v1
kind: PolicyTest
policy: shop-prod
cases:
  - name: the internet reaches the shop
    packet: {eni: web-1, direction: ingress, proto: tcp, from: 8.8.8.8, port: 443}
    expect: {verdict: allow, rule: web-frontend/ingress/https}
  - name: nobody reaches the database
    packet: {eni: db-1, direction: ingress, proto: udp, from: 10.10.1.77, port: 53}
    expect: {verdict: deny, reason: sg_ingress_denied}
)";

}  // namespace gannet::control
