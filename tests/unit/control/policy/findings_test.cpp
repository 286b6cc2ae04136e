// SPDX-License-Identifier: BSD-3-Clause
// Every mistake of the tables is found at its place, and nothing else is (P1, P2, P10).
#include "tests/unit/control/policy/findings.hpp"

#include "control/policy/diagnostic.hpp"
#include "tests/unit/control/policy/marked_text.hpp"
#include "tests/unit/control/policy/sample_documents.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gannet::control {
namespace {

void expect_found(const Mistake& mistake, std::string_view sample) {
  std::string marked(mistake.to);
  if (!mistake.from.empty()) marked = replaced(sample, mistake.from, mistake.to);
  if (!mistake.also_from.empty()) marked = replaced(marked, mistake.also_from, mistake.also_to);
  const auto [text, expected] = take_marks(marked);
  const auto checked = check_text_of(text);
  EXPECT_EQ(describe(checked->diagnostics), expected) << checked->rendered;
  EXPECT_NE(checked->rendered.find(mistake.says), std::string::npos)
      << "should say '" << mistake.says << "':\n"
      << checked->rendered;
}

std::string test_name(const testing::TestParamInfo<Mistake>& info) {
  std::string name(info.param.name);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return fmt::format("{}_{}", info.index, name);
}

class Yaml : public testing::TestWithParam<Mistake> {};
TEST_P(Yaml, IsFoundAtItsPlace) { expect_found(GetParam(), ""); }
INSTANTIATE_TEST_SUITE_P(Mistake, Yaml, testing::ValuesIn(yaml_mistakes()), test_name);

class Value : public testing::TestWithParam<Mistake> {};
TEST_P(Value, IsFoundAtItsPlace) { expect_found(GetParam(), kSamplePolicy); }
INSTANTIATE_TEST_SUITE_P(Mistake, Value, testing::ValuesIn(value_mistakes()), test_name);

class Meaning : public testing::TestWithParam<Mistake> {};
TEST_P(Meaning, IsFoundAtItsPlace) { expect_found(GetParam(), kSamplePolicy); }
INSTANTIATE_TEST_SUITE_P(Mistake, Meaning, testing::ValuesIn(policy_mistakes()), test_name);

class Host : public testing::TestWithParam<Mistake> {};
TEST_P(Host, IsFoundAtItsPlace) { expect_found(GetParam(), kSampleHost); }
INSTANTIATE_TEST_SUITE_P(Mistake, Host, testing::ValuesIn(host_mistakes()), test_name);

class Assertion : public testing::TestWithParam<Mistake> {};
TEST_P(Assertion, IsFoundAtItsPlace) {
  expect_found(GetParam(), fmt::format("{}---\n{}", kSamplePolicy, kSampleTest));
}
INSTANTIATE_TEST_SUITE_P(Mistake, Assertion, testing::ValuesIn(test_mistakes()), test_name);

TEST(Findings, SamplesHaveNone) {
  const auto text = fmt::format("{}---\n{}---\n{}", kSamplePolicy, kSampleHost, kSampleTest);
  const auto checked = check_text_of(text);
  EXPECT_EQ(checked->rendered, "");
}

std::string demo_file(const char* name) {
  std::ifstream file(std::string(GANNET_SOURCE_ROOT "/configs/demo/") + name);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(file.good()) << name;
  return text.str();
}

TEST(Findings, TheDemonstrationHasNone) {
  const auto text = fmt::format("{}---\n{}", demo_file("policy.yaml"), demo_file("host.yaml"));
  EXPECT_EQ(check_text_of(text)->rendered, "");
}

// The demonstration's policy, spoilt in four places as people spoil policies.
TEST(Findings, FourMistakesOfOneFileAreFourDiagnostics) {
  auto marked = demo_file("policy.yaml");
  marked = replaced(marked, "security_groups: [public-web]",
                    "security_groups: [«unknown-reference|public-wed»]");
  marked = replaced(marked, "    vni: 5001\n", "    vni: 5001\n    «duplicate-key|vni»: 5003\n");
  marked = replaced(marked, "cidr: 10.10.1.0/24", "cidr: «invalid-prefix|10.10.1.0/240»");
  marked = replaced(marked, "ports: [23]", "ports: [«leading-zero|010»]");
  const auto [text, expected] = take_marks(marked);
  ASSERT_EQ(expected.size(), 4U);
  const auto checked = check_text_of(text, "shop.yaml");
  EXPECT_EQ(describe(checked->diagnostics), expected) << checked->rendered;
  EXPECT_NE(checked->rendered.find("did you mean 'public-web', defined here?"), std::string::npos);
  EXPECT_TRUE(checked->rendered.ends_with("shop.yaml: 4 errors; nothing was applied\n"))
      << checked->rendered;
}

// Found by tests of their own, which are named here.
constexpr std::pair<std::string_view, std::string_view> kFoundElsewhere[] = {
    {"cannot-read", "Load.TellsWhichFileCannotBeRead"},
    {"too-large", "Load.RefusesAHundredMegabytes"},
    {"too-many", "Limits.MoreObjectsThanTablesHold"},
    {"no-document", "Load.ADirectoryWithoutPolicyIsAMistake"},
    {"wrong-kind", "Load.ANamedFileMustBeOfTheRightKind"},
    {"too-deep", "Limits.NestingIsBounded"},
};

bool has_test(std::string_view full_name) {
  const auto* const all = testing::UnitTest::GetInstance();
  for (int i = 0; i < all->total_test_suite_count(); ++i) {
    const auto* const suite = all->GetTestSuite(i);
    for (int k = 0; k < suite->total_test_count(); ++k) {
      const auto name = fmt::format("{}.{}", suite->name(), suite->GetTestInfo(k)->name());
      if (name == full_name) return true;
    }
  }
  return false;
}

TEST(Findings, EverySlugHasATest) {
  std::set<std::string, std::less<>> tested;
  for (const auto& [slug, test] : kFoundElsewhere) {
    EXPECT_TRUE(has_test(test)) << test;
    tested.emplace(slug);
  }
  for (const auto table :
       {yaml_mistakes(), value_mistakes(), policy_mistakes(), host_mistakes(), test_mistakes()}) {
    for (const Mistake& mistake : table) {
      for (const auto text : {mistake.to, mistake.also_to}) {
        for (const auto& finding : take_marks(text).findings) {
          const auto slug = finding.substr(finding.find(' ') + 1);
          tested.insert(slug.substr(0, slug.find(' ')));
        }
      }
    }
  }
  for (const auto& [text, sentence] : slug_texts()) {
    EXPECT_TRUE(tested.contains(text)) << "no test brings up '" << text << "'";
  }
}

}  // namespace
}  // namespace gannet::control
