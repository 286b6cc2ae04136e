// SPDX-License-Identifier: BSD-3-Clause
// What the patterns of rules and of watches have in common. Any thread.
#pragma once

#include "flows/base/mac.hpp"
#include "flows/offload/compile.hpp"
#include "flows/packet/headers.hpp"

#include <cstdint>
#include <cstring>

namespace gannet::offload {

inline constexpr std::uint16_t kAll16 = 0xffff;
inline constexpr std::uint32_t kAll32 = 0xffff'ffff;

inline std::uint16_t wire16(std::uint16_t host) { return Be16(host).raw(); }

inline void put(rte_ether_addr& to, const Mac& mac) {
  std::memcpy(to.addr_bytes, mac.bytes.data(), 6);
}

inline void match_ethernet(Pattern& pattern, const Mac& destination, const Mac& source) {
  const auto item = pattern.add(RTE_FLOW_ITEM_TYPE_ETH);
  put(item.spec.eth.dst, destination);
  put(item.mask.eth.dst, kBroadcastMac);
  if (source.is_zero()) return;
  put(item.spec.eth.src, source);
  put(item.mask.eth.src, kBroadcastMac);
}

// Version 4, no options, no fragment.
inline void match_plain_ipv4(const Pattern::Item& item) {
  item.spec.ipv4.hdr.version_ihl = packet::kIpv4PlainVersionIhl;
  item.mask.ipv4.hdr.version_ihl = 0xff;
  item.mask.ipv4.hdr.fragment_offset = wire16(packet::kIpv4MoreFragments | packet::kIpv4OffsetMask);
}

}  // namespace gannet::offload
