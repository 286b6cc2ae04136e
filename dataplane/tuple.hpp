// SPDX-License-Identifier: BSD-3-Clause
// Addresses and ports of a packet in either family: how the slow path speaks of packets. The packet
// path proper uses the family's own key (flows/key.hpp). Any thread; a plain value.
#pragma once

#include "flows/base/ip.hpp"
#include "flows/key.hpp"

#include <cstdint>

namespace gannet::dataplane {

/// Ports are in host order. For ICMP queries source_port is the identifier and destination_port is
/// type << 8 | code, as in the flow key.
struct IpTuple {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;

  [[nodiscard]] Family family() const { return source.family(); }
  [[nodiscard]] bool is_icmp() const {
    return protocol == packet::kProtoIcmp || protocol == packet::kProtoIcmp6;
  }
  [[nodiscard]] bool has_ports() const {
    return protocol == packet::kProtoTcp || protocol == packet::kProtoUdp;
  }
  /// What security groups and listeners call the port: 0 for protocols without ports.
  [[nodiscard]] std::uint16_t service_port() const { return has_ports() ? destination_port : 0; }
  friend bool operator==(const IpTuple&, const IpTuple&) = default;
};

/// The tuple of a key.
template <typename Key>
[[nodiscard]] inline IpTuple tuple_of(const Key& key) {
  return {key.tuple.source, key.tuple.destination, key.tuple.source_port.host(),
          key.tuple.destination_port.host(), key.protocol};
}

/// An address as the family's own type; it is of that family.
template <typename Ip>
[[nodiscard]] inline Ip address_as(const IpAddress& ip) {
  if constexpr (sizeof(Ip) == 4) {
    return ip.v4();
  } else {
    return ip.v6();
  }
}

/// The key of a tuple that arrives from `zone`; the tuple is of the key's family.
template <typename Key>
[[nodiscard]] inline Key key_of(const IpTuple& tuple, flows::Zone zone) {
  using Ip = typename Key::Ip;
  const Ip source = address_as<Ip>(tuple.source);
  const Ip destination = address_as<Ip>(tuple.destination);
  const Be16 source_port(tuple.source_port);
  const Be16 destination_port(tuple.destination_port);
  if constexpr (sizeof(Key) == sizeof(flows::Ip4Key)) {
    return Key::of(zone, tuple.protocol, source, destination, source_port, destination_port);
  } else {
    return Key{zone.kind,
               tuple.protocol,
               zone.index,
               {source, destination, source_port, destination_port}};
  }
}

/// The tuple of the answer to a packet with this one.
[[nodiscard]] inline IpTuple reply_tuple(const IpTuple& t) {
  if (t.family() == Family::kIpv4) {
    return tuple_of(flows::reply_key(key_of<flows::Ip4Key>(t, {}), {}));
  }
  return tuple_of(flows::reply_key(key_of<flows::Ip6Key>(t, {}), {}));
}

}  // namespace gannet::dataplane
