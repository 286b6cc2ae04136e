// SPDX-License-Identifier: BSD-3-Clause
// Security groups. The rules of a list that are in both policies, say the same and stand in the
// same order are kept; then a packet is decided by the same rule as before, unless for one of the
// prefixes that contain its remote address the first rule for its protocol and port is another one.
// Those prefixes and ports are the region of the change.
#include "control/reconcile/compare_work.hpp"

#include <array>
#include <string_view>
#include <unordered_map>

namespace gannet::control {
namespace {

using dataplane::Acl;
using dataplane::AclRule;
using dataplane::Changes;

constexpr std::uint32_t kLastKey = 0xff'ffff;  // Of protocol << 16 | port.

// Rules of one side of a group: numbers from `first` up to the default's.
struct Rules {
  const dataplane::GroupSide& side;
  std::uint32_t first;
};

class SideComparison {
 public:
  SideComparison(CompareWork& work, const Rules& before, const Rules& after)
      : work_(work), before_(before), after_(after) {}

  /// \return the region, or Changes::kNone if there is no difference.
  std::uint32_t run(bool is_all) {
    keep_rules();
    const std::uint32_t old_default = before_.side.default_rule;
    const std::uint32_t new_default = after_.side.default_rule;
    if (is_same_rule(old_default, new_default)) {
      work_.changes.rules[old_default] = new_default;
    } else {
      is_all = true;
    }
    if (is_all) {
      add(Prefix::of(IpAddress(Ip4(0, 0, 0, 0)), 0), 0, kLastKey);
      add(Prefix::of(IpAddress(Ip6{}), 0), 0, kLastKey);
    } else {
      compare_tables();
    }
    if (entries_.empty()) return Changes::kNone;
    work_.changes.group_regions.emplace_back(entries_);
    return static_cast<std::uint32_t>(work_.changes.group_regions.size() - 1);
  }

 private:
  [[nodiscard]] bool is_same_rule(std::uint32_t old_rule, std::uint32_t new_rule) const {
    const dataplane::Rule& a = work_.before.snapshot.rules[old_rule];
    const dataplane::Rule& b = work_.after.snapshot.rules[new_rule];
    return a.allows == b.allows && a.persists == b.persists && a.rejects == b.rejects &&
           a.logs == b.logs &&
           work_.before.names.rules[old_rule] == work_.after.names.rules[new_rule];
  }

  // What is equal at the top and at the end stays; of what lies between, the longest list of rules
  // that are in both in the same order.
  void keep_rules() {
    std::uint32_t old_at = before_.first;
    std::uint32_t new_at = after_.first;
    std::uint32_t old_end = before_.side.default_rule;
    std::uint32_t new_end = after_.side.default_rule;
    auto& kept = work_.changes.rules;
    for (; old_at < old_end && new_at < new_end && is_same_rule(old_at, new_at); ++old_at) {
      kept[old_at] = new_at++;
    }
    while (old_at < old_end && new_at < new_end && is_same_rule(old_end - 1, new_end - 1)) {
      kept[--old_end] = --new_end;
    }
    std::unordered_map<std::string_view, std::uint32_t> by_name;
    for (; new_at < new_end; ++new_at) by_name.emplace(work_.after.names.rules[new_at], new_at);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;  // In the order of the old list.
    for (; old_at < old_end; ++old_at) {
      const auto found = by_name.find(work_.before.names.rules[old_at]);
      if (found == by_name.end() || !is_same_rule(old_at, found->second)) continue;
      pairs.emplace_back(old_at, found->second);
      by_name.erase(found);
    }
    keep_longest(pairs);
  }

  // The longest ascending subsequence of the second numbers, by patience sorting.
  void keep_longest(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& pairs) {
    std::vector<std::size_t> tops;  // Of each pile, the pair on it.
    std::vector<std::size_t> before(pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto pile =
          static_cast<std::size_t>(std::lower_bound(tops.begin(), tops.end(), pairs[i].second,
                                                    [&](std::size_t top, std::uint32_t n) {
                                                      return pairs[top].second < n;
                                                    }) -
                                   tops.begin());
      before[i] = pile == 0 ? i : tops[pile - 1];
      if (pile == tops.size()) {
        tops.push_back(i);
      } else {
        tops[pile] = i;
      }
    }
    if (tops.empty()) return;
    std::size_t i = tops.back();
    for (std::size_t left = tops.size(); left != 0; --left, i = before[i]) {
      work_.changes.rules[pairs[i].first] = pairs[i].second;
    }
  }

  // Prefixes of both tables in their order.
  void compare_tables() {
    const Acl& a = before_.side.acl;
    const Acl& b = after_.side.acl;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.prefix_count() || j < b.prefix_count()) {
      const bool has_old = i < a.prefix_count();
      const bool has_new = j < b.prefix_count();
      const bool takes_old =
          has_old && (!has_new || !Acl::is_before(b.intervals(j).remote, a.intervals(i).remote));
      const bool takes_new =
          has_new && (!has_old || !Acl::is_before(a.intervals(i).remote, b.intervals(j).remote));
      const Prefix& remote = takes_old ? a.intervals(i).remote : b.intervals(j).remote;
      compare_intervals(takes_old ? a.intervals(i) : nothing(remote),
                        takes_new ? b.intervals(j) : nothing(remote));
      if (takes_old) ++i;
      if (takes_new) ++j;
    }
  }

  static Acl::Intervals nothing(const Prefix& remote) {
    static constexpr std::array<std::uint32_t, 1> kStart{0};
    static constexpr std::array<std::uint32_t, 1> kRule{Acl::kNoMatch};
    return {remote, kStart, kRule};
  }

  [[nodiscard]] std::uint32_t now(std::uint32_t old_rule) const {
    return old_rule == Acl::kNoMatch ? Acl::kNoMatch : work_.changes.rules[old_rule];
  }

  void compare_intervals(const Acl::Intervals& a, const Acl::Intervals& b) {
    std::size_t i = 0;
    std::size_t j = 0;
    std::uint32_t at = 0;
    while (at <= kLastKey) {
      const std::uint32_t next_old = i + 1 < a.starts.size() ? a.starts[i + 1] : kLastKey + 1;
      const std::uint32_t next_new = j + 1 < b.starts.size() ? b.starts[j + 1] : kLastKey + 1;
      const std::uint32_t next = std::min(next_old, next_new);
      if (now(a.rules[i]) != b.rules[j]) add(a.remote, at, next - 1);
      at = next;
      if (next_old == next) ++i;
      if (next_new == next) ++j;
    }
  }

  // A range over several protocols counts as all of them: the region may be larger than the change.
  void add(const Prefix& remote, std::uint32_t first, std::uint32_t last) {
    AclRule match;
    match.remote = remote;
    if (first >> 16 == last >> 16) {
      match.protocol = static_cast<std::uint16_t>(first >> 16);
      match.first_port = static_cast<std::uint16_t>(first);
      match.last_port = static_cast<std::uint16_t>(last);
    }
    entries_.push_back({match, 0});
  }

  CompareWork& work_;
  const Rules& before_;
  const Rules& after_;
  std::vector<Acl::Entry> entries_;
};

struct GroupRules {
  std::uint32_t ingress;  // First rules; they are numbered in this order.
  std::uint32_t egress;
};

std::vector<GroupRules> first_rules(const dataplane::Snapshot& snapshot) {
  std::vector<GroupRules> all;
  std::uint32_t next = 0;
  for (const dataplane::SecurityGroup& group : snapshot.groups) {
    all.push_back({next, group.ingress.default_rule + 1});
    next = group.egress.default_rule + 1;
  }
  return all;
}

}  // namespace

void compare_groups(CompareWork& work) {
  const auto& old_groups = work.before.snapshot.groups;
  const auto& new_groups = work.after.snapshot.groups;
  const auto old_rules = first_rules(work.before.snapshot);
  const auto new_rules = first_rules(work.after.snapshot);
  std::unordered_map<std::string_view, std::size_t> known;
  for (std::size_t i = 0; i < old_groups.size(); ++i) known.emplace(work.before.names.groups[i], i);
  work.changes.rules.assign(work.before.snapshot.rules.size(), Changes::kNone);
  work.egress_regions.assign(new_groups.size(), Changes::kNone);
  work.ingress_regions.assign(new_groups.size(), Changes::kNone);
  for (std::size_t n = 0; n < new_groups.size(); ++n) {
    const auto found = known.find(work.after.names.groups[n]);
    if (found == known.end()) continue;  // Whoever is in it is another ENI by that.
    const dataplane::SecurityGroup& a = old_groups[found->second];
    const dataplane::SecurityGroup& b = new_groups[n];
    const bool is_all = a.is_audit != b.is_audit;
    const GroupRules& from = old_rules[found->second];
    work.ingress_regions[n] =
        SideComparison(work, {a.ingress, from.ingress}, {b.ingress, new_rules[n].ingress})
            .run(is_all);
    work.egress_regions[n] =
        SideComparison(work, {a.egress, from.egress}, {b.egress, new_rules[n].egress}).run(is_all);
  }
  const auto& kept = work.changes.rules;
  work.changes.keeps_rules = true;
  for (std::uint32_t i = 0; i < kept.size(); ++i) work.changes.keeps_rules &= kept[i] == i;
}

}  // namespace gannet::control
