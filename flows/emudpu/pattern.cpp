// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/pattern.hpp"

#include "flows/emudpu/item_layouts.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace gannet::emudpu {
namespace {

struct State {
  const PatternContext& context;
  Match& match;
  PatternHeaders& headers;
  rte_flow_error* error;
  unsigned layer = 0;
  unsigned rank = 0;
  bool has_port = false;
  bool is_below_tunnel = false;
};

int refuse(const State& state, int code, rte_flow_error_type type, const void* cause,
           const char* message) {
  return rte_flow_error_set(state.error, code, type, cause, message);
}

int refuse_item(const State& state, const rte_flow_item& item, const char* message,
                int code = EINVAL) {
  return refuse(state, code, RTE_FLOW_ERROR_TYPE_ITEM, &item, message);
}

bool is_zero(const std::uint8_t* bytes, unsigned size) {
  return std::all_of(bytes, bytes + size, [](std::uint8_t b) { return b == 0; });
}

// Whether `last` makes a range of a field: it must be set and differ from spec.
bool has_range(const ItemField& field, const std::uint8_t* spec, const std::uint8_t* last,
               const std::uint8_t* mask) {
  bool differs = false;
  bool is_set = false;
  for (unsigned i = field.offset; i < field.offset + field.size; ++i) {
    is_set |= (last[i] & mask[i]) != 0;
    differs |= ((last[i] ^ spec[i]) & mask[i]) != 0;
  }
  return is_set && differs;
}

int add_range(State& state, const rte_flow_item& item, const ItemLayout& layout,
              const ItemField& field, const std::uint8_t* mask, std::size_t key_offset) {
  const bool is_fragment_offset =
      (layout.type == RTE_FLOW_ITEM_TYPE_IPV4 && field.offset == 6) ||
      (layout.type == RTE_FLOW_ITEM_TYPE_IPV6_FRAG_EXT && field.offset == 2);
  if (!state.context.profile.has_ranges && !is_fragment_offset) {
    return refuse(state, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_LAST, item.last,
                  "range not supported for this field");
  }
  const auto* const spec = static_cast<const std::uint8_t*>(item.spec) + field.offset;
  const auto* const last = static_cast<const std::uint8_t*>(item.last) + field.offset;
  Range range;
  range.offset = static_cast<std::uint16_t>(key_offset + field.offset);
  range.size = field.size;
  for (unsigned i = 0; i < field.size; ++i) {
    range.mask[i] = mask[field.offset + i];
    range.low[i] = spec[i] & range.mask[i];
    range.high[i] = last[i] & range.mask[i];
  }
  if (std::memcmp(range.low, range.high, field.size) > 0) {
    return refuse(state, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_LAST, item.last, "last is below spec");
  }
  state.match.ranges.push_back(range);
  return 0;
}

// Copies a header's masked image into the match; fields with a range go to the list of ranges.
int add_image(State& state, const rte_flow_item& item, const ItemLayout& layout,
              const std::uint8_t* mask, std::size_t key_offset) {
  auto* const value_bytes = reinterpret_cast<std::uint8_t*>(&state.match.value) + key_offset;
  auto* const mask_bytes = reinterpret_cast<std::uint8_t*>(&state.match.mask) + key_offset;
  const auto* const spec = static_cast<const std::uint8_t*>(item.spec);
  for (unsigned i = 0; i < layout.size; ++i) {
    mask_bytes[i] = mask[i];
    value_bytes[i] = spec[i] & mask[i];
  }
  if (item.last == nullptr) return 0;
  const auto* const last = static_cast<const std::uint8_t*>(item.last);
  for (unsigned i = 0; i < layout.field_count; ++i) {
    const ItemField& field = layout.fields[i];
    if (!has_range(field, spec, last, mask)) continue;
    if (const int status = add_range(state, item, layout, field, mask, key_offset); status != 0) {
      return status;
    }
    std::memset(mask_bytes + field.offset, 0, field.size);
    std::memset(value_bytes + field.offset, 0, field.size);
  }
  return 0;
}

// The bits behind the image: has_vlan, has_more_vlan, the extension headers of IPv6.
int add_flags(State& state, const rte_flow_item& item, const ItemLayout& layout, const void* mask) {
  std::uint32_t bits = 0;
  std::uint32_t value = 0;
  if (layout.type == RTE_FLOW_ITEM_TYPE_ETH) {
    const auto& m = *static_cast<const rte_flow_item_eth*>(mask);
    const auto& s = *static_cast<const rte_flow_item_eth*>(item.spec);
    if (m.reserved != 0)
      return refuse(state, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_MASK, mask, "reserved");
    bits = m.has_vlan * kHasVlan;
    value = s.has_vlan * kHasVlan;
  } else if (layout.type == RTE_FLOW_ITEM_TYPE_VLAN) {
    const auto& m = *static_cast<const rte_flow_item_vlan*>(mask);
    const auto& s = *static_cast<const rte_flow_item_vlan*>(item.spec);
    if (m.reserved != 0)
      return refuse(state, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_MASK, mask, "reserved");
    if (m.has_more_vlan != 0 && state.rank == kSecondTagRank) {
      return refuse(state, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK, mask, "no third tag is parsed");
    }
    bits = m.has_more_vlan * kHasMoreVlan;
    value = s.has_more_vlan * kHasMoreVlan;
  } else if (layout.type == RTE_FLOW_ITEM_TYPE_IPV6) {
    const auto read = [](const void* from) {
      return load<std::uint32_t>(static_cast<const std::uint8_t*>(from) + sizeof(rte_ipv6_hdr));
    };
    if (read(mask) >> 9 != 0) {
      return refuse(state, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_MASK, mask, "reserved");
    }
    bits = read(mask) * kHasHopByHop;
    value = read(item.spec) * kHasHopByHop;
  }
  state.match.mask.presence[state.layer] |= bits;
  state.match.value.presence[state.layer] |= value & bits;
  return 0;
}

// Moves on in the stack of headers; refuses an order that no packet has.
int advance(State& state, const rte_flow_item& item, const ItemLayout& layout, std::uint32_t& bit) {
  bit = layout.presence;
  unsigned rank = layout.rank;
  if (layout.type == RTE_FLOW_ITEM_TYPE_ETH && state.is_below_tunnel) {
    state.layer = 1;
    state.rank = 0;
    state.is_below_tunnel = false;
  }
  if (state.is_below_tunnel) return refuse_item(state, item, "VXLAN carries Ethernet frames");
  if (layout.type == RTE_FLOW_ITEM_TYPE_VLAN && state.rank == kTagRank) {
    rank = kSecondTagRank;
    bit = kHasMoreVlan;
  }
  if (rank <= state.rank) return refuse_item(state, item, "items are not stacked as headers are");
  const std::uint32_t above = state.headers.presence[state.layer];
  if (layout.type == RTE_FLOW_ITEM_TYPE_IPV6_FRAG_EXT && (above & kHasIpv6) == 0) {
    return refuse_item(state, item, "a fragment header needs an IPv6 item before it");
  }
  if (layout.type == RTE_FLOW_ITEM_TYPE_VXLAN) {
    if ((above & kHasUdp) == 0) return refuse_item(state, item, "VXLAN needs a UDP item before it");
    if (state.layer == 1) return refuse_item(state, item, "one tunnel only is parsed", ENOTSUP);
    state.is_below_tunnel = true;
  }
  if ((layout.presence == kHasIcmp && (above & kHasIpv6) != 0) ||
      (layout.presence == kHasIcmp6 && (above & kHasIpv4) != 0)) {
    return refuse_item(state, item, "ICMP of the other IP version");
  }
  // The layers between must be what they are: IP directly on Ethernet means no tag.
  if (rank == kL3Rank && (above & kHasEth) != 0) {
    const std::uint32_t absent = (above & kHasVlan) == 0       ? std::uint32_t{kHasVlan}
                                 : (above & kHasMoreVlan) == 0 ? std::uint32_t{kHasMoreVlan}
                                                               : 0;
    if ((state.match.mask.presence[state.layer] & absent) == 0) {
      state.match.mask.presence[state.layer] |= absent;
    }
  }
  if (rank == kL4Rank && state.context.profile.needs_headers &&
      (above & (kHasIpv4 | kHasIpv6)) == 0) {
    return refuse_item(state, item,
                       "L3 is needed before L4");  // mlx5: "L3 is mandatory to filter on L4"
  }
  state.rank = rank;
  return 0;
}

int add_header(State& state, const rte_flow_item& item, const ItemLayout& layout,
               const void* template_mask) {
  std::uint32_t bit = 0;
  if (const int status = advance(state, item, layout, bit); status != 0) return status;
  state.headers.presence[state.layer] |= bit;
  state.match.mask.presence[state.layer] |= bit;
  state.match.value.presence[state.layer] |= bit;
  if (item.spec == nullptr) {
    // A template's pattern has masks alone: the rules bring the values.
    if (template_mask == nullptr && (item.mask != nullptr || item.last != nullptr)) {
      return refuse_item(state, item, "mask or last without spec");
    }
    if (template_mask == nullptr ||
        is_zero(static_cast<const std::uint8_t*>(template_mask), layout.item_size)) {
      return 0;
    }
    return refuse(state, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_SPEC, &item,
                  "the template asks for a value");
  }
  std::uint8_t default_mask[64] = {};
  std::memcpy(default_mask, layout.default_mask, layout.size);
  const void* const mask = template_mask != nullptr ? template_mask
                           : item.mask != nullptr   ? item.mask
                                                    : default_mask;
  std::size_t offset = offsetof(Key, layers) + state.layer * sizeof(LayerKey) + layout.key_offset;
  if (bit == kHasMoreVlan) offset += sizeof(packet::VlanTag);
  if (const int status = add_flags(state, item, layout, mask); status != 0) return status;
  return add_image(state, item, layout, static_cast<const std::uint8_t*>(mask), offset);
}

// INTEGRITY: what the parser says of a layer's L3 and L4. Only good packets can be asked for, as
// mlx5 has it ("negative integrity item verification is not supported").
int add_integrity(State& state, const rte_flow_item& item, const void* template_mask) {
  const void* const given_mask = template_mask != nullptr ? template_mask : item.mask;
  if (item.spec == nullptr || given_mask == nullptr) {
    return refuse_item(state, item, "INTEGRITY needs spec and mask");
  }
  const auto& spec = *static_cast<const rte_flow_item_integrity*>(item.spec);
  const auto& mask = *static_cast<const rte_flow_item_integrity*>(given_mask);
  if (spec.level > 2) return refuse_item(state, item, "no such level of tunnels", ENOTSUP);
  rte_flow_item_integrity known{};
  known.l3_ok = known.ipv4_csum_ok = known.l4_ok = known.l4_csum_ok = 1;
  if ((mask.value & ~known.value) != 0 || (mask.value & ~spec.value) != 0) {
    return refuse(state, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK, given_mask,
                  "only l3_ok, ipv4_csum_ok, l4_ok, l4_csum_ok, and only as true");
  }
  std::uint32_t bits = 0;
  if (mask.l3_ok != 0 || mask.ipv4_csum_ok != 0) bits |= kIsL3Ok;
  if (mask.l4_ok != 0 || mask.l4_csum_ok != 0) bits |= kIsL4Ok;
  const unsigned layer = spec.level == 2 ? 1 : 0;
  state.match.mask.presence[layer] |= bits;
  state.match.value.presence[layer] |= bits;
  return 0;
}

void match_source(State& state, Source value, Source mask) {
  state.match.mask.source = mask;
  state.match.value.source = value & mask;
  state.has_port = true;
}

// REPRESENTED_PORT, PORT_REPRESENTOR, and PORT_ID, which means the former.
int add_port(State& state, const rte_flow_item& item, const void* template_mask) {
  if (state.context.domain != Domain::kTransfer) {
    return refuse_item(state, item, "port items are for transfer rules");
  }
  if (state.has_port) return refuse_item(state, item, "one port item only", ENOTSUP);
  const Source side = item.type == RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR ? kFromProgram : Source{0};
  const void* const given_mask = template_mask != nullptr ? template_mask : item.mask;
  if (item.spec == nullptr) {
    match_source(state, side, kFromProgram);
    return 0;
  }
  std::uint32_t id;
  std::uint32_t mask;
  if (item.type == RTE_FLOW_ITEM_TYPE_PORT_ID) {
    id = static_cast<const rte_flow_item_port_id*>(item.spec)->id;
    mask = given_mask == nullptr ? ~0u : static_cast<const rte_flow_item_port_id*>(given_mask)->id;
    if (mask != 0 && mask != ~0u) mask = mask == 0xffff ? ~0u : 1;
  } else {
    id = static_cast<const rte_flow_item_ethdev*>(item.spec)->port_id;
    mask = given_mask == nullptr ? 0xffff
                                 : static_cast<const rte_flow_item_ethdev*>(given_mask)->port_id;
    if (mask == 0xffff) mask = ~0u;
  }
  if (mask == 0) {
    match_source(state, side, kFromProgram);
    return 0;
  }
  if (mask != ~0u) {
    return refuse(state, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK, given_mask,
                  "no partial mask here");
  }
  const int index = state.context.ports.find_index(id);
  if (index < 0) {
    return refuse(state, ENODEV, RTE_FLOW_ERROR_TYPE_ITEM_SPEC, item.spec,
                  "not a port of this card");
  }
  match_source(state, static_cast<Source>(index | side), 0xffff);
  return 0;
}

// What the rule is for if no item says it.
void add_default_source(State& state) {
  const PatternContext& context = state.context;
  if (context.domain == Domain::kEgress) {
    match_source(state, static_cast<Source>(context.port | kFromProgram), 0xffff);
  } else if (context.domain == Domain::kIngress) {
    return;  // The table belongs to the port, whatever the packet's way there.
  } else if (!context.is_template && (context.profile.has_implicit_source || context.port != 0)) {
    match_source(state, context.port, 0xffff);
  } else {
    match_source(state, 0, kFromProgram);
  }
}

}  // namespace

int parse_attributes(const rte_flow_attr& attr, const Profile& profile, Domain& domain,
                     rte_flow_error* error) {
  if (attr.reserved != 0) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ATTR, &attr,
                              "reserved bits are set");
  }
  if (attr.transfer != 0 && attr.egress != 0) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_EGRESS, &attr,
                              "a transfer rule has no direction");
  }
  // Ingress beside transfer is deprecated but still in use.
  if (attr.transfer == 0 && (attr.ingress ^ attr.egress) == 0) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ATTR, &attr,
                              "one of ingress, egress and transfer is needed");
  }
  domain = attr.transfer != 0  ? Domain::kTransfer
           : attr.ingress != 0 ? Domain::kIngress
                               : Domain::kEgress;
  if (attr.group > profile.max_group) {
    return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_GROUP, &attr,
                              "the card has no such group");
  }
  const bool is_root = domain != Domain::kTransfer && attr.group == 0;
  if (attr.priority > (is_root ? profile.max_root_priority : profile.max_priority)) {
    return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ATTR_PRIORITY, &attr,
                              "priority out of range");
  }
  return 0;
}

int parse_pattern(const PatternContext& context, const rte_flow_item* items,
                  const rte_flow_item* masks, Match& match, PatternHeaders& headers,
                  rte_flow_error* error) {
  State state{context, match, headers, error};
  for (unsigned i = 0; items[i].type != RTE_FLOW_ITEM_TYPE_END; ++i) {
    const rte_flow_item& item = items[i];
    if (item.type == RTE_FLOW_ITEM_TYPE_VOID) continue;
    if (!context.profile.items.has(item.type)) {
      return refuse_item(state, item, "item not supported", ENOTSUP);
    }
    const ItemLayout* const layout = find_layout(item.type);
    const void* template_mask = nullptr;
    if (masks != nullptr) {
      template_mask = masks[i].mask;
      if (template_mask == nullptr && layout != nullptr && item.spec != nullptr) {
        template_mask = layout->default_mask;
      }
    }
    const int status = layout != nullptr ? add_header(state, item, *layout, template_mask)
                       : item.type == RTE_FLOW_ITEM_TYPE_INTEGRITY
                           ? add_integrity(state, item, template_mask)
                           : add_port(state, item, template_mask);
    if (status != 0) return status;
  }
  if (!state.has_port) add_default_source(state);
  return 0;
}

}  // namespace gannet::emudpu
