// SPDX-License-Identifier: BSD-3-Clause
// Rules that are never reached, because earlier ones decide all that they name.
//
// Every rule is taken apart into pieces: one other side, one protocol, one range of ports. A piece
// is covered if one earlier piece holds it: its block or a wider one, or anybody; its protocol or
// any; its range. For each (other side, protocol) the ranges of the rules so far are kept, without
// those that lie inside others, so that one look-up answers. A rule all of whose pieces are covered
// is never reached. What several ranges cover only together is not noticed.
#include "control/policy/check.hpp"

#include <bitset>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gannet::control {
namespace {

/// The ranges of ports of some rules, none inside another: sorted by their first port they are
/// sorted by their last one too.
class Ranges {
 public:
  [[nodiscard]] const Rule* find_cover(PortRange range) const {
    auto next = by_first_.upper_bound(range.first);
    if (next == by_first_.begin()) return nullptr;
    const auto& [last, rule] = (--next)->second;
    return last >= range.last ? rule : nullptr;
  }

  void add(PortRange range, const Rule& rule) {
    if (find_cover(range) != nullptr) return;
    auto inside = by_first_.lower_bound(range.first);
    while (inside != by_first_.end() && inside->second.first <= range.last) {
      inside = by_first_.erase(inside);
    }
    by_first_.emplace(range.first, std::pair(range.last, &rule));
  }

 private:
  std::map<std::uint16_t, std::pair<std::uint16_t, const Rule*>> by_first_;
};

/// One other side of a rule: a block, or a name, of a list or of a group.
struct Side {
  Prefix block;
  std::string_view name;
  RemoteKind kind = RemoteKind::kCidrs;
  friend bool operator==(const Side&, const Side&) = default;
};

struct Key {
  Side side;
  std::uint16_t protocol;
  friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const std::size_t text = std::hash<std::string_view>{}(key.side.name);
    const std::size_t rest = std::size_t{key.side.block.length} << 16 | key.protocol;
    return (std::hash<IpAddress>{}(key.side.block.address) ^ text) * 31 + rest * 0x9e3779b97f4a7c15;
  }
};

class RulesSoFar {
 public:
  /// An earlier rule that decides part of what this one names, if all of it is decided.
  [[nodiscard]] const Rule* find_cover(const Rule& rule) const {
    const Rule* cover = nullptr;
    for (const Side& side : sides_of(rule)) {
      for (const PortRange& range : ranges_of(rule)) {
        cover = find_cover(side, rule.proto->number, range);
        if (cover == nullptr) return nullptr;
      }
    }
    return cover;
  }

  void add(const Rule& rule) {
    for (const Side& side : sides_of(rule)) {
      if (side.kind == RemoteKind::kCidrs) lengths_.set(length_index(side.block));
      for (const PortRange& range : ranges_of(rule)) {
        ranges_[{side, rule.proto->number}].add(range, rule);
      }
    }
  }

 private:
  static constexpr std::size_t kLengths = 33 + 129;

  static std::size_t length_index(const Prefix& block) {
    return block.length + (block.address.is_v4() ? 0U : 33U);
  }

  // Anybody is everybody of both families; a name may be anybody.
  static std::vector<Side> sides_of(const Rule& rule) {
    const Remote& remote = *rule.remote;
    std::vector<Side> sides;
    for (const auto& block : remote.cidrs) sides.push_back({*block, {}, RemoteKind::kCidrs});
    switch (remote.kind()) {
      case RemoteKind::kAny:
        sides.push_back({Prefix::of(Ip4{}, 0), {}, RemoteKind::kCidrs});
        sides.push_back({Prefix::of(Ip6{}, 0), {}, RemoteKind::kCidrs});
        sides.push_back({{}, {}, RemoteKind::kAny});
        break;
      case RemoteKind::kPrefixList:
        sides.push_back({{}, *remote.prefix_list, RemoteKind::kPrefixList});
        break;
      case RemoteKind::kSecurityGroup:
        sides.push_back({{}, *remote.security_group, RemoteKind::kSecurityGroup});
        break;
      case RemoteKind::kCidrs: break;
    }
    return sides;
  }

  static std::vector<PortRange> ranges_of(const Rule& rule) {
    if (rule.ports.empty()) return {{0, 65535}};
    std::vector<PortRange> ranges;
    for (const auto& range : rule.ports) ranges.push_back(*range);
    return ranges;
  }

  [[nodiscard]] const Rule* find_cover(const Side& side, std::uint16_t protocol,
                                       PortRange range) const {
    if (const Rule* const rule = look_up(side, protocol, range)) return rule;
    if (side.kind != RemoteKind::kCidrs)
      return look_up({{}, {}, RemoteKind::kAny}, protocol, range);
    for (unsigned length = 0; length < side.block.length; ++length) {
      const Side wider{Prefix::of(side.block.address, length), {}, RemoteKind::kCidrs};
      if (!lengths_.test(length_index(wider.block))) continue;
      if (const Rule* const rule = look_up(wider, protocol, range)) return rule;
    }
    return nullptr;
  }

  [[nodiscard]] const Rule* look_up(const Side& side, std::uint16_t protocol,
                                    PortRange range) const {
    for (const std::uint16_t wanted : {protocol, Protocol::kAny}) {
      const auto found = ranges_.find({side, wanted});
      if (found == ranges_.end()) continue;
      if (const Rule* const rule = found->second.find_cover(range)) return rule;
    }
    return nullptr;
  }

  std::unordered_map<Key, Ranges, KeyHash> ranges_;
  std::bitset<kLengths> lengths_;  // Of blocks that there are.
};

}  // namespace

void lint_unreachable_rules(const std::vector<Rule>& rules, Diagnostics& diagnostics) {
  RulesSoFar earlier;
  for (const Rule& rule : rules) {
    if (const Rule* const cover = earlier.find_cover(rule)) {
      diagnostics
          .warning(Slug::unreachable_rule, rule.place,
                   fmt::format("rule '{}' is never reached: earlier rules decide all that it names",
                               rule.name))
          .note(cover->place, fmt::format("'{}' is one of them", cover->name));
    } else {
      earlier.add(rule);
    }
  }
}

}  // namespace gannet::control
