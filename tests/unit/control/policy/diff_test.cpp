// SPDX-License-Identifier: BSD-3-Clause
// What a new policy changes of an old one; and that a policy survives being written out (P4, P6).
#include "control/policy/diff.hpp"

#include "control/policy/json.hpp"
#include "control/policy/load.hpp"
#include "tests/unit/control/policy/marked_text.hpp"
#include "tests/unit/control/policy/sample_documents.hpp"

#include <ostream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gannet::control {

inline void PrintTo(const ObjectChange& change, std::ostream* out) {
  *out << to_string(change.change) << ' ' << change.kind << ' ' << change.name;
  for (const auto& [field, before, after] : change.fields) {
    *out << "\n  " << field << ": " << before << " -> " << after;
  }
}

namespace {

Policy policy_of(std::string_view text) {
  Diagnostics diagnostics;
  const Source source{std::make_shared<const SourceFile>("p.yaml", std::string(text))};
  auto policy = load_policy({&source, 1}, diagnostics);
  EXPECT_FALSE(diagnostics.has_errors());
  return policy.value_or(Policy{});
}

using Changes = std::vector<ObjectChange>;

Changes changes_of(std::string_view from, std::string_view to) {
  return diff(policy_of(kSamplePolicy), policy_of(replaced(kSamplePolicy, from, to)));
}

TEST(Diff, TheSameIsNoChange) {
  EXPECT_EQ(changes_of("apiVersion", "# Other words.\napiVersion"), Changes{});
}

TEST(Diff, ADefaultThatIsWrittenOutIsNoChange) {
  EXPECT_EQ(changes_of("{eni: web-1, port: 8443}", "{eni: web-1, port: 8443, weight: 100}"),
            Changes{});
}

TEST(Diff, OneFieldIsOneChange) {
  EXPECT_EQ(changes_of("vni: 5002", "vni: 5003"),
            (Changes{{"vpc", "analytics", ChangeKind::kChanged, {{"vni", "5002", "5003"}}}}));
}

TEST(Diff, NamesTheRuleAndItsField) {
  EXPECT_EQ(changes_of("ports: [80, 443]", "ports: [443]"),
            (Changes{{"security_group",
                      "web-frontend",
                      ChangeKind::kChanged,
                      {{"ingress/https.ports", "[80,443]", "[443]"}}}}));
}

TEST(Diff, TheOrderOfRulesIsAChange) {
  const auto swapped = changes_of(
      "      - {name: https, action: allow, proto: tcp, ports: [80, 443], from: any}\n"
      "      - {name: ssh, action: allow, proto: tcp, ports: [22], from: {prefix_list: office}}\n",
      "      - {name: ssh, action: allow, proto: tcp, ports: [22], from: {prefix_list: office}}\n"
      "      - {name: https, action: allow, proto: tcp, ports: [80, 443], from: any}\n");
  EXPECT_EQ(swapped,
            (Changes{{"security_group",
                      "web-frontend",
                      ChangeKind::kChanged,
                      {{"ingress (order)", R"(["https","ssh"])", R"(["ssh","https"])"}}}}));
}

TEST(Diff, TheOrderOfRoutesIsNone) {
  EXPECT_EQ(changes_of("    - {to: 0.0.0.0/0, via: internet}\n"
                       "    - {to: 10.20.0.0/16, via: {peer_vpc: analytics}}\n",
                       "    - {to: 10.20.0.0/16, via: {peer_vpc: analytics}}\n"
                       "    - {to: 0.0.0.0/0, via: internet}\n"),
            Changes{});
}

TEST(Diff, AddedAndRemovedObjects) {
  EXPECT_EQ(changes_of("  analytics:\n", "  research:\n"),
            (Changes{{"vpc", "research", ChangeKind::kAdded, {}},
                     {"vpc", "analytics", ChangeKind::kRemoved, {}}}));
}

TEST(Diff, SubnetsAndMappingsAreObjectsOfTheirOwn) {
  EXPECT_EQ(
      changes_of("10.10.2.20: {underlay_ip: 192.0.2.12", "10.10.2.20: {underlay_ip: 192.0.2.13"),
      (Changes{{"mapping",
                "shop/10.10.2.20",
                ChangeKind::kChanged,
                {{"underlay_ip", "\"192.0.2.12\"", "\"192.0.2.13\""}}}}));
  EXPECT_EQ(changes_of("      db: {", "      dbs: {"),
            (Changes{{"subnet", "shop/dbs", ChangeKind::kAdded, {}},
                     {"subnet", "shop/db", ChangeKind::kRemoved, {}}}));
}

TEST(Json, WhatIsWrittenReadsBackEqual) {
  const auto policy = policy_of(kSamplePolicy);
  const auto text = to_json(policy).dump(2);
  const auto again = policy_of(text);
  EXPECT_TRUE(again == policy) << text;
  EXPECT_EQ(diff(policy, again), Changes{});
  EXPECT_EQ(to_json(again).dump(2), text);
}

TEST(Json, HostsReadBackEqual) {
  const auto load = [](std::string_view text) {
    Diagnostics diagnostics;
    const Source source{std::make_shared<const SourceFile>("h.yaml", std::string(text))};
    auto host = load_host_config({&source, 1}, diagnostics);
    EXPECT_FALSE(diagnostics.has_errors()) << text;
    return host.value_or(HostConfig{});
  };
  const auto text = to_json(load(kSampleHost)).dump(2);
  EXPECT_EQ(to_json(load(text)).dump(2), text);
  EXPECT_NE(text.find("\"mtu\": 1600"), std::string::npos) << text;
}

}  // namespace
}  // namespace gannet::control
