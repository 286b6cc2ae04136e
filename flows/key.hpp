// SPDX-License-Identifier: BSD-3-Clause
// The flow key: what the exact match compares. It is the tuple as the packet arrives, before any
// translation, and the zone that it arrives from, so that equal addresses of different tenants,
// and the same packet seen from the VM and from the tunnel, are different flows.
// Any thread; plain values.
#pragma once

#include "flows/base/byte_order.hpp"
#include "flows/base/ip.hpp"
#include "flows/packet/headers.hpp"
#include "flows/packet/parse.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace gannet::flows {

/// Where a packet comes in.
enum class ZoneKind : std::uint8_t {
  kNone = 0,
  kEni = 1,     // From the VM behind an ENI; the index is the ENI's.
  kTunnel = 2,  // Decapsulated; the index is the VPC's.
  kUplink = 3,  // Plain on the underlay; the index is 0.
};

struct Zone {
  ZoneKind kind = ZoneKind::kNone;
  std::uint16_t index = 0;
  friend constexpr bool operator==(const Zone&, const Zone&) = default;
};

/// Source and destination of a packet in one family, in the order in which IPv4 has them on the
/// wire.
template <typename Ip>
struct Tuple {
  Ip source;
  Ip destination;
  Be16 source_port;
  Be16 destination_port;
  friend constexpr bool operator==(const Tuple&, const Tuple&) = default;
};
using Ip4Tuple = Tuple<Ip4>;
using Ip6Tuple = Tuple<Ip6>;
static_assert(sizeof(Ip4Tuple) == 12 && sizeof(Ip6Tuple) == 36);

/// The key of an IPv4 flow, 16 bytes. It has the layout of bytes 8 to 23 of a plain IPv4 packet
/// (TTL, protocol, checksum, addresses, ports), so that one 16-byte load, with the zone put over
/// TTL and checksum, makes it. For ICMP queries source_port is the identifier and destination_port
/// is type << 8 | code; protocols without ports have zeros there.
struct alignas(16) Ip4Key {
  using Ip = Ip4;
  ZoneKind zone_kind;
  std::uint8_t protocol;
  std::uint16_t zone_index;
  Ip4Tuple tuple;

  friend bool operator==(const Ip4Key& a, const Ip4Key& b) {
    const auto x = words(a);
    const auto y = words(b);
    return ((x.w[0] ^ y.w[0]) | (x.w[1] ^ y.w[1])) == 0;
  }
  struct Words {
    std::uint64_t w[2];
  };
  [[nodiscard]] static Words words(const Ip4Key& key) { return load<Words>(&key); }
  /// The zone's share of the first word; the others are where kZoneMask has zeros.
  [[nodiscard]] static std::uint64_t zone_word(Zone zone) {
    return static_cast<std::uint64_t>(zone.kind) | std::uint64_t{zone.index} << 16;
  }
  static constexpr std::uint64_t kZoneMask = 0xffff'00ff;
  /// The key with these words. Stored at once: it is soon read again, as a whole or by words.
  [[nodiscard]] static Ip4Key of(const Words& k) {
    using Vector [[gnu::vector_size(16)]] = std::uint64_t;
    return std::bit_cast<Ip4Key>(Vector{k.w[0], k.w[1]});
  }
  // No tuple: it would go through memory.
  [[nodiscard]] static Ip4Key of(Zone zone, std::uint8_t protocol, Ip4 source, Ip4 destination,
                                 Be16 source_port, Be16 destination_port) {
    return of({{zone_word(zone) | std::uint64_t{protocol} << 8 | std::uint64_t{source.raw()} << 32,
                destination.raw() | std::uint64_t{source_port.raw()} << 32 |
                    std::uint64_t{destination_port.raw()} << 48}});
  }
};
static_assert(sizeof(Ip4Key) == 16);
static_assert(offsetof(Ip4Key, tuple) ==
              offsetof(packet::Ipv4Header, source) - offsetof(packet::Ipv4Header, ttl));

/// The key of an IPv6 flow, 40 bytes; the fields mean the same.
struct alignas(8) Ip6Key {
  using Ip = Ip6;
  ZoneKind zone_kind;
  std::uint8_t protocol;
  std::uint16_t zone_index;
  Ip6Tuple tuple;

  friend bool operator==(const Ip6Key& a, const Ip6Key& b) {
    const auto x = words(a);
    const auto y = words(b);
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < 5; ++i) difference |= x.w[i] ^ y.w[i];
    return difference == 0;
  }
  struct Words {
    std::uint64_t w[5];
  };
  [[nodiscard]] static Words words(const Ip6Key& key) { return load<Words>(&key); }
};
static_assert(sizeof(Ip6Key) == 40);

template <typename Key>
[[nodiscard]] inline Zone zone_of(const Key& key) {
  return {key.zone_kind, key.zone_index};
}

/// Secret, random for each start: without it nobody can compute which keys collide.
struct HashSeed {
  std::uint64_t words[4];
};

namespace detail {
[[nodiscard]] inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}
}  // namespace detail

/// A keyed hash by folded multiplication (NH of UMAC, RFC 4418, 5.2.2, then one more round to mix).
[[nodiscard]] inline std::uint64_t hash(const Ip4Key::Words& k, const HashSeed& seed) {
  const auto mixed = detail::multiply_fold(k.w[0] + seed.words[0], k.w[1] + seed.words[1]);
  return detail::multiply_fold(mixed ^ seed.words[2], seed.words[3]);
}
[[nodiscard]] inline std::uint64_t hash(const Ip4Key& key, const HashSeed& seed) {
  return hash(Ip4Key::words(key), seed);
}
[[nodiscard]] inline std::uint64_t hash(const Ip6Key& key, const HashSeed& seed) {
  const auto k = Ip6Key::words(key);
  const auto a = detail::multiply_fold(k.w[0] + seed.words[0], k.w[1] + seed.words[1]);
  const auto b = detail::multiply_fold(k.w[2] + seed.words[2], k.w[3] + seed.words[3]);
  const auto mixed = detail::multiply_fold(a + seed.words[3], (b ^ k.w[4]) + seed.words[1]);
  return detail::multiply_fold(mixed ^ seed.words[2], seed.words[0] | 1);
}

/// What stands for the destination port in the answer to an ICMP query, or in the question of an
/// answer.
[[nodiscard]] Be16 answered_echo(std::uint8_t protocol, Be16 type_and_code);

/// The key of a parsed packet from `zone`. The packet is IP of the key's family; it is not a later
/// fragment and not an ICMP error (those have no key of their own).
template <typename Key>
[[nodiscard]] inline Key make_key(Zone zone, const std::uint8_t* frame,
                                  const packet::Parsed& parsed) {
  const Be16 source_port(parsed.source_port);
  const Be16 destination_port(parsed.destination_port);
  if constexpr (sizeof(Key) == sizeof(Ip4Key)) {
    const auto& ip = packet::header_at<packet::Ipv4Header>(frame + parsed.l3_offset);
    return Ip4Key::of(zone, parsed.protocol, ip.source, ip.destination, source_port,
                      destination_port);
  } else {
    const auto& ip = packet::header_at<packet::Ipv6Header>(frame + parsed.l3_offset);
    return Key{zone.kind,
               parsed.protocol,
               zone.index,
               {ip.source, ip.destination, source_port, destination_port}};
  }
}

/// The same key with the tuple turned round and the ports of an ICMP query answered: what the reply
/// to a packet with this tuple looks like when it arrives from `zone`. Of an answer: its question.
template <typename Key>
[[nodiscard]] inline Key reply_key(const Key& key, Zone zone) {
  const auto& t = key.tuple;
  const std::uint8_t protocol = key.protocol;
  const bool is_icmp = protocol == packet::kProtoIcmp || protocol == packet::kProtoIcmp6;
  const Be16 source_port = is_icmp ? t.source_port : t.destination_port;
  const Be16 destination_port =
      is_icmp ? answered_echo(protocol, t.destination_port) : t.source_port;
  if constexpr (sizeof(Key) == sizeof(Ip4Key)) {
    return Ip4Key::of(zone, protocol, t.destination, t.source, source_port, destination_port);
  } else {
    return Key{
        zone.kind, protocol, zone.index, {t.destination, t.source, source_port, destination_port}};
  }
}

}  // namespace gannet::flows
