// SPDX-License-Identifier: BSD-3-Clause
// What the card's parser sees of a packet: an image of each header it recognises, in fixed places,
// so that a rule's match is a mask over this key. Written by the ASIC thread for each packet and by
// control threads for each rule. Only the images of headers whose presence bit is set are valid: a
// mask that covers a header's bytes always covers its presence bit as well.
#pragma once

#include "flows/packet/headers.hpp"

#include <cstddef>
#include <cstdint>

namespace gannet::emudpu {

/// Bits of a layer's presence word.
enum Presence : std::uint32_t {
  kHasEth = 1u << 0,
  kHasVlan = 1u << 1,      // At least one tag.
  kHasMoreVlan = 1u << 2,  // At least two.
  kHasIpv4 = 1u << 3,
  kHasIpv6 = 1u << 4,
  kHasTcp = 1u << 5,
  kHasUdp = 1u << 6,
  kHasIcmp = 1u << 7,
  kHasIcmp6 = 1u << 8,
  kHasVxlan = 1u << 9,
  // What INTEGRITY items ask for: lengths fit, and nobody has found the checksum wrong.
  kIsL3Ok = 1u << 10,
  kIsL4Ok = 1u << 11,
  // IPv6 extension headers, in the order of the bits of rte_flow_item_ipv6.
  kHasHopByHop = 1u << 16,
  kHasRouting = 1u << 17,
  kHasFragment = 1u << 18,
  kHasAuthentication = 1u << 19,
  kHasEsp = 1u << 20,
  kHasDestination = 1u << 21,
  kHasMobility = 1u << 22,
  kHasHip = 1u << 23,
  kHasShim6 = 1u << 24,
};

inline constexpr unsigned kTagCount = 2;

struct LayerKey {
  packet::EthernetHeader eth;
  packet::VlanTag tags[kTagCount];
  std::uint8_t padding1[2];
  std::uint8_t l3[40];  // IPv4 (without options) or IPv6.
  packet::Ipv6FragmentHeader fragment;
  std::uint8_t l4[20];  // TCP (without options), UDP, ICMP or ICMPv6.
  std::uint8_t padding2[4];
  packet::VxlanHeader vxlan;
};
static_assert(sizeof(LayerKey) == 104);

/// Where a packet enters the switch: the wire of that number, or what the program sends on that
/// wire's representor.
using Source = std::uint16_t;
inline constexpr Source kFromProgram = 0x8000;

struct alignas(8) Key {
  std::uint32_t presence[2];  // Outer, inner.
  Source source;
  std::uint8_t padding[6];
  LayerKey layers[2];
};
static_assert(sizeof(Key) == 224);

inline constexpr unsigned kKeyWords = sizeof(Key) / 8;
/// Word 0 is presence, which is compared before any hashing.
inline constexpr unsigned kFirstHashedWord = 1;

[[nodiscard]] inline std::uint64_t key_word(const Key& key, unsigned index) {
  return load<std::uint64_t>(reinterpret_cast<const std::uint8_t*>(&key) + index * 8);
}

}  // namespace gannet::emudpu
