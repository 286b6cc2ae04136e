// SPDX-License-Identifier: BSD-3-Clause
// Files that are made to hurt (P1): each is refused at once, in bounded time and memory.
#include "tests/unit/control/policy/marked_text.hpp"

#include <chrono>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gannet::control {
namespace {

constexpr std::string_view kLimitsHead = "apiVersion: gannet/v1\nkind: Policy\n";

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

// The slug and place of the only finding.
std::string only_finding(const Checked& checked) {
  const auto found = describe(checked.diagnostics);
  EXPECT_EQ(found.size(), 1U) << checked.rendered.substr(0, 2000);
  return found.empty() ? "" : found.front();
}

TEST(Limits, NestingIsBounded) {
  // 64 levels: the document and 63 lists.
  const auto nested = [](std::size_t depth) {
    return fmt::format("{}metadata: {}{}", kLimitsHead, repeated("[", depth), repeated("]", depth));
  };
  EXPECT_EQ(only_finding(*check_text_of(nested(63))), "error wrong-type 3:11+1");
  EXPECT_EQ(only_finding(*check_text_of(nested(64))), "error too-deep 3:74+1");
  EXPECT_EQ(only_finding(*check_text_of(nested(10'000))), "error too-deep 3:74+1");
}

TEST(Limits, BlockNestingIsBounded) {
  std::string text(kLimitsHead);
  for (std::size_t i = 0; i < 200; ++i) text += std::string(i, ' ') + "a:\n";
  EXPECT_TRUE(only_finding(*check_text_of(text)).starts_with("error too-deep "));
}

TEST(Limits, AliasesDoNotBlowUp) {
  std::string text = fmt::format("{}x0: &x0 [{}]\n", kLimitsHead, repeated("a, ", 10));
  for (int i = 1; i < 10; ++i) {
    text += fmt::format("x{0}: &x{0} [{1}]\n", i, repeated(fmt::format("*x{}, ", i - 1), 10));
  }
  const auto start = std::chrono::steady_clock::now();
  const auto checked = check_text_of(text);
  EXPECT_TRUE(only_finding(*checked).starts_with("error alias-limit 8:")) << checked->rendered;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Limits, AliasesDoNotGetAroundTheDepth) {
  const auto deep = repeated("[", 40) + repeated("]", 40);
  const auto text = fmt::format("{}a: &a {}\nb: {}*a{}\n", kLimitsHead, deep, repeated("[", 40),
                                repeated("]", 40));
  EXPECT_EQ(only_finding(*check_text_of(text)), "error too-deep 4:44+2");
}

TEST(Limits, OfAFloodOfFindingsTheFirstAreShownAndAllAreCounted) {
  std::string text = fmt::format("{}prefix_lists:\n", kLimitsHead);
  for (int i = 0; i < 5000; ++i) text += fmt::format("  p{}: [nonsense]\n", i);
  const auto checked = check_text_of(text);
  EXPECT_EQ(checked->diagnostics.error_count(), 5000U);
  EXPECT_EQ(checked->diagnostics.found().size(), Diagnostics::kMaxKept);
  EXPECT_TRUE(checked->rendered.ends_with(
      "policy.yaml: 4900 more not shown\npolicy.yaml: 5000 errors; nothing was applied\n"));
}

TEST(Limits, MoreObjectsThanTablesHold) {
  std::string text = fmt::format("{}security_groups:\n", kLimitsHead);
  for (int i = 0; i <= 65535; ++i) {
    text += fmt::format("  g{}: {{default: {{ingress: deny, egress: deny}}}}\n", i);
  }
  EXPECT_EQ(only_finding(*check_text_of(text)), "error too-many 65539:3+6");
}

TEST(Limits, AByteOrderMarkAtTheBeginningIsNoMistake) {
  EXPECT_EQ(check_text_of(fmt::format("\xef\xbb\xbf{}", kLimitsHead))->rendered, "");
}

TEST(Limits, WindowsLineEndsAreNoMistake) {
  EXPECT_EQ(check_text_of("apiVersion: gannet/v1\r\nkind: Policy\r\n")->rendered, "");
}

}  // namespace
}  // namespace gannet::control
