// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tables/acl.hpp"

#include <algorithm>
#include <queue>

namespace gannet::dataplane {
namespace {

// Rules live in one line of numbers: protocol << 16 | port.
struct Range {
  std::uint32_t first;
  std::uint32_t last;
  std::uint32_t rule;
};

Range range_of(const Acl::Entry& e) {
  if (e.match.protocol == AclRule::kAnyProtocol) return {0, 0xff'ffff, e.rule};
  const std::uint32_t base = std::uint32_t{e.match.protocol} << 16;
  return {base | e.match.first_port, base | e.match.last_port, e.rule};
}

}  // namespace

bool Acl::is_before(const Prefix& a, const Prefix& b) {
  if (a.family() != b.family()) return a.family() < b.family();
  if (a.address != b.address) return a.address < b.address;
  return a.length < b.length;
}

Acl::Acl(std::span<const Entry> entries) {
  std::vector<Entry> sorted(entries.begin(), entries.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const Entry& a, const Entry& b) {
    return is_before(a.match.remote, b.match.remote);
  });
  // In this order a prefix comes right behind those that contain it: a stack knows its parents.
  std::vector<Lpm::Entry> prefixes;
  std::vector<std::pair<Prefix, std::uint32_t>> parents;
  for (std::size_t i = 0; i < sorted.size();) {
    const Prefix& prefix = sorted[i].match.remote;
    std::size_t end = i;
    while (end < sorted.size() && sorted[end].match.remote == prefix) ++end;
    while (!parents.empty() && !parents.back().first.contains(prefix)) parents.pop_back();
    const std::uint32_t node = add_node(std::span(sorted).subspan(i, end - i));
    prefixes_.push_back(prefix);
    if (!parents.empty()) {
      nodes_[node].parent = parents.back().second;
      nodes_[node].chain_best =
          std::min(nodes_[node].chain_best, nodes_[parents.back().second].chain_best);
    }
    parents.emplace_back(prefix, node);
    prefixes.push_back({prefix, node});
    i = end;
  }
  nodes_by_prefix_ = Lpm(prefixes);
}

// Cuts the ranges of one prefix into disjoint intervals, each with the first rule that covers it.
std::uint32_t Acl::add_node(std::span<const Entry> entries) {
  std::vector<Range> ranges;
  std::vector<std::uint32_t> cuts{0};
  for (const Entry& e : entries) {
    const Range r = range_of(e);
    ranges.push_back(r);
    cuts.push_back(r.first);
    cuts.push_back(r.last + 1);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });

  const auto is_later_rule = [](const Range& a, const Range& b) { return a.rule > b.rule; };
  std::priority_queue<Range, std::vector<Range>, decltype(is_later_rule)> open(is_later_rule);
  Node node{static_cast<std::uint32_t>(interval_starts_.size()), 0, Lpm::kNone, kNoMatch};
  std::size_t next = 0;
  for (const std::uint32_t cut : cuts) {
    for (; next < ranges.size() && ranges[next].first == cut; ++next) open.push(ranges[next]);
    while (!open.empty() && open.top().last < cut) open.pop();
    const std::uint32_t rule = open.empty() ? kNoMatch : open.top().rule;
    if (node.interval_count != 0 && interval_rules_.back() == rule) continue;
    interval_starts_.push_back(cut);
    interval_rules_.push_back(rule);
    ++node.interval_count;
    node.chain_best = std::min(node.chain_best, rule);
  }
  nodes_.push_back(node);
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

// The first rule that matches, of a node's prefix and of those that contain it.
std::uint32_t Acl::match_from(std::uint32_t at, std::uint8_t protocol, std::uint16_t port) const {
  const std::uint32_t key = std::uint32_t{protocol} << 16 | port;
  std::uint32_t best = kNoMatch;
  while (at != Lpm::kNone) {
    const Node& node = nodes_[at];
    if (best <= node.chain_best) break;
    const auto* const first = interval_starts_.data() + node.first_interval;
    const auto* const above = std::upper_bound(first, first + node.interval_count, key);
    // The first interval starts at 0, so there is always one at or below the key.
    best = std::min(best,
                    interval_rules_[static_cast<std::size_t>(above - 1 - interval_starts_.data())]);
    at = node.parent;
  }
  return best;
}

}  // namespace gannet::dataplane
