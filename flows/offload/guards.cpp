// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/guards.hpp"

#include "flows/packet/headers.hpp"

#include <vector>

namespace gannet::offload {
namespace {

constexpr std::uint16_t kIpv6HeaderBytes = 40;

// Which IP header of a packet a guard looks at.
struct Place {
  bool is_tunneled;
  bool is_v4;
};
constexpr Place kPlaces[] = {{false, true}, {false, false}, {true, true}, {true, false}};

// A range of 16-bit values as a mask says it: (value & mask) == spec.
struct MaskedValue {
  std::uint16_t spec;
  std::uint16_t mask;
};

// All values above `limit`: for each zero bit of it the values that have a one there and the same
// above.
std::vector<MaskedValue> values_above(std::uint16_t limit) {
  std::vector<MaskedValue> values;
  for (int bit = 15; bit >= 0; --bit) {
    const auto one = static_cast<std::uint16_t>(1u << bit);
    if ((limit & one) != 0) continue;
    const auto mask = static_cast<std::uint16_t>(0xffffu << bit);
    values.push_back({static_cast<std::uint16_t>((limit | one) & mask), mask});
  }
  return values;
}

void match_outer(const GuardConfig& config, Pattern& pattern) {
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_ETH);
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_IPV4);
  const auto udp = pattern.add(RTE_FLOW_ITEM_TYPE_UDP);
  udp.spec.udp.hdr.dst_port = Be16(config.vxlan_port).raw();
  udp.mask.udp.hdr.dst_port = 0xffff;
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_VXLAN);
}

Pattern::Item match_place(const GuardConfig& config, Place place, Pattern& pattern) {
  pattern.clear();
  // Of all ports: on some cards a rule without a port is for that of its proxy alone.
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);
  if (place.is_tunneled) match_outer(config, pattern);
  pattern.add_bare(RTE_FLOW_ITEM_TYPE_ETH);
  return pattern.add(place.is_v4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6);
}

class Installer {
 public:
  using Install = std::function<bool(const rte_flow_attr&, const Pattern&, const Actions&)>;

  Installer(const GuardConfig& config, const Capabilities& can, const Install& install)
      : config_(config), can_(can), install_(install) {
    attributes_.transfer = 1;
  }

  bool run() {
    for (const Place place : kPlaces) {
      if (place.is_tunneled && !can_.has(Ability::match_tunnel)) continue;
      if (!place.is_v4 && !can_.has(Ability::ipv6)) continue;
      if (can_.has(Ability::match_ttl) && !keep_back_ttl(place)) return false;
      if (can_.has(Ability::match_length) && !keep_back_long(place)) return false;
    }
    if (can_.has(Ability::guard_count) && !count_arrivals()) return false;
    return let_through_v4() && (!can_.has(Ability::ipv6) || let_through_v6());
  }

 private:
  bool jump(std::uint32_t group, std::uint32_t priority, std::uint32_t from = kGuardGroup) {
    attributes_.group = from;
    attributes_.priority = priority;
    actions_.clear();
    actions_.jump.group = group;
    actions_.add(RTE_FLOW_ACTION_TYPE_JUMP, &actions_.jump);
    return install_(attributes_, pattern_, actions_);
  }

  bool keep_back_ttl(Place place) {
    const auto ip = match_place(config_, place, pattern_);
    // 0 and 1 are the values with nothing but the last bit.
    if (place.is_v4) {
      ip.mask.ipv4.hdr.time_to_live = 0xfe;
    } else {
      ip.mask.ipv6.hdr.hop_limits = 0xfe;
    }
    return jump(kSoftwareGroup, 0);
  }

  bool keep_back_long(Place place) {
    if (config_.max_ip_bytes == 0xffff) return true;
    const auto limit =
        static_cast<std::uint16_t>(config_.max_ip_bytes - (place.is_v4 ? 0 : kIpv6HeaderBytes));
    const auto set = [&](ItemSpace& space, std::uint16_t value) {
      if (place.is_v4) {
        space.ipv4.hdr.total_length = Be16(value).raw();
      } else {
        space.ipv6.hdr.payload_len = Be16(value).raw();
      }
    };
    if (can_.has(Ability::length_range)) {
      const auto ip = match_place(config_, place, pattern_);
      set(ip.spec, static_cast<std::uint16_t>(limit + 1));
      set(ip.mask, 0xffff);
      set(pattern_.last(), 0xffff);
      return jump(kSoftwareGroup, 0);
    }
    for (const MaskedValue& above : values_above(limit)) {
      const auto ip = match_place(config_, place, pattern_);
      set(ip.spec, above.spec);
      set(ip.mask, above.mask);
      if (!jump(kSoftwareGroup, 0)) return false;
    }
    return true;
  }

  // What no flow's rule takes, and all that goes to software, passes a counter on its way.
  bool count_arrivals() {
    for (const bool is_v4 : {true, false}) {
      if (!is_v4 && !can_.has(Ability::ipv6)) continue;
      static_cast<void>(match_place(config_, {false, is_v4}, pattern_));
      if (!jump(kNowhereGroup, 0, kSoftwareGroup)) return false;
      if (!jump(kSoftwareGroup, kMissPriority, kFlowGroup)) return false;
    }
    return true;
  }

  bool let_through_v4() {
    const auto ip = match_place(config_, {false, true}, pattern_);
    ip.spec.ipv4.hdr.version_ihl = packet::kIpv4PlainVersionIhl;
    ip.mask.ipv4.hdr.version_ihl = 0xff;
    ip.mask.ipv4.hdr.fragment_offset =
        Be16(packet::kIpv4MoreFragments | packet::kIpv4OffsetMask).raw();
    return jump(kFlowGroup, 1);
  }

  bool let_through_v6() {
    static_cast<void>(match_place(config_, {false, false}, pattern_));
    return jump(kFlowGroup, 1);
  }

  const GuardConfig& config_;
  const Capabilities& can_;
  const Install& install_;
  rte_flow_attr attributes_{};
  Pattern pattern_;
  Actions actions_;
};

}  // namespace

bool for_each_guard(
    const GuardConfig& config, const Capabilities& can,
    const std::function<bool(const rte_flow_attr&, const Pattern&, const Actions&)>& install) {
  return Installer(config, can, install).run();
}

}  // namespace gannet::offload
