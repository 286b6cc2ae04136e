// SPDX-License-Identifier: BSD-3-Clause
// The compiled tables against models that are too simple to be wrong.
#include "dataplane/tables/acl.hpp"
#include "dataplane/tables/exact_map.hpp"
#include "dataplane/tables/lpm.hpp"
#include "tests/support/literals.hpp"

#include <map>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace gannet::dataplane {
namespace {

using test::operator""_ip;
using test::operator""_prefix;

// Few different bits, so that prefixes nest and addresses hit them.
IpAddress an_address() {
  const auto nibbles = *rc::gen::container<std::vector<unsigned>>(4, rc::gen::inRange(0U, 4U));
  const auto byte = [&](int i) { return static_cast<std::uint8_t>(nibbles[i] * 85); };
  if (*rc::gen::inRange(0, 2) == 0) {
    return Ip4(Be32(std::uint32_t{byte(0)} << 24 | std::uint32_t{byte(1)} << 16 |
                    std::uint32_t{byte(2)} << 8 | byte(3)));
  }
  Ip6 ip{};
  for (std::size_t i = 0; i < 16; ++i) ip.bytes[i] = byte(static_cast<int>(i % 4));
  return ip;
}

Prefix a_prefix() {
  const IpAddress ip = an_address();
  return Prefix::of(ip, *rc::gen::inRange(0U, bit_count(ip.family()) + 1));
}

RC_GTEST_PROP(Lpm, FindsTheLongestPrefix, ()) {
  std::vector<Lpm::Entry> entries;
  const auto count = *rc::gen::inRange(0U, 30U);
  for (std::uint32_t i = 0; i < count; ++i) entries.push_back({a_prefix(), i});
  const Lpm lpm(entries);
  for (int i = 0; i < 50; ++i) {
    const IpAddress ip = an_address();
    std::uint32_t expected = Lpm::kNone;
    int longest = -1;
    for (const auto& [prefix, value] : entries) {
      if (!prefix.contains(ip) || prefix.length < longest) continue;
      longest = prefix.length;
      expected = value;
    }
    RC_ASSERT(lpm.find(ip) == expected);
  }
}

TEST(Lpm, KnowsNothingAtFirst) {
  EXPECT_EQ(Lpm().find("10.0.0.1"_ip), Lpm::kNone);
  EXPECT_EQ(Lpm().find("::1"_ip), Lpm::kNone);
}

TEST(Lpm, FamiliesAreApart) {
  const Lpm lpm(std::vector<Lpm::Entry>{{"0.0.0.0/0"_prefix, 4}, {"::/0"_prefix, 6}});
  EXPECT_EQ(lpm.find("255.255.255.255"_ip), 4U);
  EXPECT_EQ(lpm.find("::"_ip), 6U);
}

// Some ports that are near the ends of each other's ranges.
std::uint16_t a_near_port() {
  return *rc::gen::elementOf(std::vector<std::uint16_t>{0, 1, 79, 80, 81, 443, 65'535});
}

AclRule a_rule() {
  AclRule rule;
  rule.protocol =
      *rc::gen::elementOf(std::vector<std::uint16_t>{AclRule::kAnyProtocol, 1, 6, 17, 58});
  const auto first = a_near_port();
  const auto last = a_near_port();
  rule.first_port = std::min(first, last);
  rule.last_port = std::max(first, last);
  rule.remote = a_prefix();
  return rule;
}

// F3: the first rule of the list that matches, by looking at all of them.
RC_GTEST_PROP(Acl, F3FirstRuleThatMatchesWins, ()) {
  std::vector<Acl::Entry> entries;
  const auto count = *rc::gen::inRange(0U, 30U);
  for (std::uint32_t i = 0; i < count; ++i) {
    entries.push_back({a_rule(), *rc::gen::inRange(0U, count)});
  }
  const Acl acl(entries);
  for (int i = 0; i < 50; ++i) {
    const IpAddress remote = an_address();
    const auto protocol = *rc::gen::elementOf(std::vector<std::uint8_t>{0, 1, 6, 17, 58, 255});
    const auto port = a_near_port();
    std::uint32_t expected = Acl::kNoMatch;
    for (const auto& [rule, id] : entries) {
      const bool is_service =
          rule.protocol == protocol && rule.first_port <= port && port <= rule.last_port;
      const bool is_any = rule.protocol == AclRule::kAnyProtocol;
      const bool is_match = (is_any || is_service) && rule.remote.contains(remote);
      if (is_match) expected = std::min(expected, id);
    }
    RC_ASSERT(acl.match(remote, protocol, port) == expected);
  }
}

TEST(Acl, OfNoRulesMatchesNothing) { EXPECT_EQ(Acl().match("10.0.0.1"_ip, 6, 80), Acl::kNoMatch); }

struct ClashingKey {
  std::uint32_t value = 0;
  // All in few places, the wrap-around among them.
  [[nodiscard]] std::uint64_t hash() const { return std::uint64_t{value % 3 + 61} << 32; }
  friend bool operator==(const ClashingKey&, const ClashingKey&) = default;
};

RC_GTEST_PROP(ExactMap, IsAMap, (const std::vector<std::uint8_t>& keys)) {
  std::vector<ExactMap<ClashingKey>::Entry> entries;
  std::map<std::uint32_t, std::uint32_t> model;
  for (const std::uint8_t key : keys) {
    const auto value = static_cast<std::uint32_t>(entries.size());
    entries.push_back({{key}, value});
    model.emplace(key, value);
  }
  const ExactMap<ClashingKey> map(entries);
  for (std::uint32_t key = 0; key < 256; ++key) {
    const auto found = model.find(key);
    RC_ASSERT(map.find({key}) ==
              (found == model.end() ? ExactMap<ClashingKey>::kNone : found->second));
  }
}

}  // namespace
}  // namespace gannet::dataplane
