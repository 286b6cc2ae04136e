// SPDX-License-Identifier: BSD-3-Clause
#include "flows/key.hpp"

#include <type_traits>

namespace gannet::flows {

template <typename Key>
Key make_key(Zone zone, const std::uint8_t* frame, const packet::Parsed& parsed) {
  using Header =
      std::conditional_t<std::is_same_v<Key, Ip4Key>, packet::Ipv4Header, packet::Ipv6Header>;
  const auto& ip = packet::header_at<Header>(frame + parsed.l3_offset);
  Key key{};
  key.zone_kind = zone.kind;
  key.zone_index = zone.index;
  key.protocol = parsed.protocol;
  key.tuple = {ip.source, ip.destination, Be16(parsed.source_port), Be16(parsed.destination_port)};
  return key;
}

template <typename Key>
Key reply_key(const Key& key, Zone zone) {
  Key reply{};
  reply.zone_kind = zone.kind;
  reply.zone_index = zone.index;
  reply.protocol = key.protocol;
  reply.tuple.source = key.tuple.destination;
  reply.tuple.destination = key.tuple.source;
  if (key.protocol == packet::kProtoIcmp || key.protocol == packet::kProtoIcmp6) {
    const auto type = static_cast<std::uint8_t>(key.tuple.destination_port.host() >> 8);
    const int answer = packet::icmp_answer_type(key.protocol, type);
    const int counterpart = answer < 0 ? packet::icmp_question_type(key.protocol, type) : answer;
    reply.tuple.source_port = key.tuple.source_port;
    reply.tuple.destination_port = counterpart < 0
                                       ? key.tuple.destination_port
                                       : Be16(static_cast<std::uint16_t>(counterpart << 8));
  } else {
    reply.tuple.source_port = key.tuple.destination_port;
    reply.tuple.destination_port = key.tuple.source_port;
  }
  return reply;
}

template Ip4Key make_key<Ip4Key>(Zone, const std::uint8_t*, const packet::Parsed&);
template Ip6Key make_key<Ip6Key>(Zone, const std::uint8_t*, const packet::Parsed&);
template Ip4Key reply_key<Ip4Key>(const Ip4Key&, Zone);
template Ip6Key reply_key<Ip6Key>(const Ip6Key&, Zone);

}  // namespace gannet::flows
