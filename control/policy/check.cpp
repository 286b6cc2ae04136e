// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/check.hpp"

#include "control/policy/names.hpp"

#include <algorithm>
#include <array>

namespace gannet::control {
namespace {

struct Special {
  const char* block;
  const char* kind;
  bool may_be_matched;  // Rules and routes can mean it.
};

// IANA special-purpose registries (RFC 6890), as far as hosts can never have the addresses.
constexpr auto kSpecials = std::to_array<Special>({
    {"0.0.0.0/8", "an address of 'this network'", false},
    {"127.0.0.0/8", "a loopback address", false},
    {"169.254.0.0/16", "a link-local address", true},
    {"224.0.0.0/4", "a multicast address", false},
    {"240.0.0.0/4", "a reserved address", false},
    {"::/128", "the unspecified address", false},
    {"::1/128", "a loopback address", false},
    {"::ffff:0:0/96", "an IPv4 address in IPv6 clothes", false},
    {"fe80::/10", "a link-local address", true},
    {"ff00::/8", "a multicast address", false},
});

struct SpecialBlock {
  Prefix block;
  const Special* special;
};

const std::array<SpecialBlock, kSpecials.size()>& special_blocks() {
  static const auto blocks = [] {
    std::array<SpecialBlock, kSpecials.size()> out;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = {*parse_prefix(kSpecials[i].block), &kSpecials[i]};
    }
    return out;
  }();
  return blocks;
}

// Addresses compare by their bytes; blocks that can contain each other must lie together.
bool by_family(const Prefix& a, const Prefix& b) {
  return a.family() != b.family() ? a.family() < b.family() : a < b;
}

const Special* find_special(const Prefix& block) {
  for (const auto& [special_block, special] : special_blocks()) {
    if (special_block.contains(block)) return special;
  }
  return nullptr;
}

}  // namespace

const char* special_kind(const Prefix& block) {
  const Special* const special = find_special(block);
  return special == nullptr ? nullptr : special->kind;
}

bool check_unicast(const Located<IpAddress>& ip, Diagnostics& diagnostics) {
  if (!ip.is_given) return false;
  const char* const kind = special_kind(Prefix::host(*ip));
  if (kind == nullptr) return true;
  diagnostics.error(Slug::not_unicast, ip.place,
                    fmt::format("'{}' is {}; no host can have it", gannet::to_string(*ip), kind));
  return false;
}

bool check_host_block(const Located<Prefix>& block, Diagnostics& diagnostics) {
  if (!block.is_given) return false;
  for (const auto& [special_block, special] : special_blocks()) {
    if (!special_block.overlaps(*block)) continue;
    diagnostics.error(Slug::special_block, block.place,
                      fmt::format("'{}' holds addresses of {} that no host can have",
                                  gannet::to_string(*block), gannet::to_string(special_block)));
    return false;
  }
  return true;
}

void check_match_block(const Located<Prefix>& block, Diagnostics& diagnostics) {
  const Special* const special = block.is_given ? find_special(*block) : nullptr;
  if (special == nullptr || special->may_be_matched) return;
  diagnostics.error(
      Slug::special_block, block.place,
      fmt::format("no packet that is not dropped anyway has an address of '{}': each is {}",
                  gannet::to_string(*block), special->kind));
}

bool check_mac(const Located<Mac>& mac, Diagnostics& diagnostics) {
  if (!mac.is_given) return false;
  if (!mac->is_zero() && !mac->is_group()) return true;
  diagnostics.error(Slug::invalid_mac, mac.place,
                    fmt::format("'{}' is {}; no host can have it", gannet::to_string(*mac),
                                mac->is_zero() ? "zero" : "a group address"));
  return false;
}

void check_name(std::string_view name, const Place& place, Diagnostics& diagnostics) {
  if (const char* const flaw = name_flaw(name)) diagnostics.error(Slug::invalid_name, place, flaw);
}

void check_overlaps(std::vector<Located<Prefix>> blocks, std::string_view what,
                    Diagnostics& diagnostics) {
  // Of two blocks that overlap one contains the other, so after sorting, the containing one is the
  // last that no other contains.
  std::sort(blocks.begin(), blocks.end(),
            [](const auto& a, const auto& b) { return by_family(*a, *b); });
  const Located<Prefix>* outer = nullptr;
  for (const auto& block : blocks) {
    if (!block.is_given) continue;
    if (outer == nullptr || !outer->value.contains(*block)) {
      outer = &block;
      continue;
    }
    const bool is_in_order =
        outer->place.file != block.place.file || outer->place.offset < block.place.offset;
    const auto& [first, second] = is_in_order ? std::pair{outer, &block} : std::pair{&block, outer};
    diagnostics
        .error(Slug::overlap, second->place,
               fmt::format("{} '{}' overlaps with '{}'", what, gannet::to_string(second->value),
                           gannet::to_string(first->value)))
        .note(first->place, "the other one is here");
  }
}

bool contains(const std::vector<Located<Prefix>>& blocks, const IpAddress& ip) {
  return contains(blocks, Prefix::host(ip));
}

bool contains(const std::vector<Located<Prefix>>& blocks, const Prefix& block) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&block](const auto& b) { return b.is_given && b->contains(block); });
}

std::string join(const std::vector<Located<Prefix>>& blocks) {
  std::string text;
  for (const auto& block : blocks) {
    if (!block.is_given) continue;
    text += (text.empty() ? "" : " and ") + gannet::to_string(*block);
  }
  return text;
}

const Vpc* find_vpc_of(const Policy& policy, const IpAddress& ip) {
  const auto found = std::find_if(policy.vpcs.begin(), policy.vpcs.end(),
                                  [&ip](const Vpc& vpc) { return contains(vpc.cidrs, ip); });
  return found == policy.vpcs.end() ? nullptr : &*found;
}

void check_not_underlay(const HostConfig* host, const Located<IpAddress>& ip,
                        Diagnostics& diagnostics) {
  if (host == nullptr || !ip.is_given) return;
  for (const auto& own : host->underlay.ips) {
    if (!own.is_given || own->address != *ip) continue;
    diagnostics
        .error(
            Slug::underlay_address, ip.place,
            fmt::format("'{}' is this host's own address on the underlay", gannet::to_string(*ip)))
        .note(own.place, "it is given here");
  }
}

const char* reserved_role(const Prefix& block, const IpAddress& ip) {
  if (ip == block.address) {
    return block.address.is_v4() ? "the network address" : "the subnet-router anycast address";
  }
  if (block.at(1) == ip) return "the gateway";
  if (ip.is_v6() || block.length > 30) return nullptr;
  const std::uint64_t last = (std::uint64_t{1} << (32 - block.length)) - 1;
  return block.at(last) == ip ? "the broadcast address" : nullptr;
}

SubnetIndex::SubnetIndex(const Vpc& vpc) {
  for (const Subnet& subnet : vpc.subnets) {
    for (const auto& block : subnet.blocks()) blocks_.push_back(*block);
  }
  std::sort(blocks_.begin(), blocks_.end(), by_family);
}

const Prefix* SubnetIndex::find(const IpAddress& ip) const {
  const auto next = std::upper_bound(blocks_.begin(), blocks_.end(), Prefix::host(ip), by_family);
  if (next == blocks_.begin() || !(next - 1)->contains(ip)) return nullptr;
  return &*(next - 1);
}

bool check_not_reserved(const SubnetIndex& subnets, const Located<IpAddress>& ip,
                        Diagnostics& diagnostics) {
  const Prefix* const block = subnets.find(*ip);
  const char* const role = block == nullptr ? nullptr : reserved_role(*block, *ip);
  if (role == nullptr) return true;
  diagnostics.error(Slug::reserved_address, ip.place,
                    fmt::format("'{}' is {} of the subnet {}", gannet::to_string(*ip), role,
                                gannet::to_string(*block)));
  return false;
}

}  // namespace gannet::control
