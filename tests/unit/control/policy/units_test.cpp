// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/units.hpp"

#include "control/policy/names.hpp"
#include "control/policy/nearest.hpp"
#include "control/policy/plain_text.hpp"

#include <cstdint>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace gannet::control {
namespace {

using namespace std::chrono_literals;

TEST(Units, ReadDurations) {
  EXPECT_EQ(parse_duration("2s"), Duration(2s));
  EXPECT_EQ(parse_duration("1m30s"), Duration(90s));
  EXPECT_EQ(parse_duration("1.5s"), Duration(1500ms));
  EXPECT_EQ(parse_duration("7440s"), Duration(2h + 4min));
  EXPECT_EQ(parse_duration("0.000001ms"), Duration(1ns));
  EXPECT_EQ(parse_duration("0h"), Duration(0));
}

TEST(Units, SayWhatIsWrong) {
  const auto error = [](std::string_view text) { return parse_duration(text).error(); };
  EXPECT_EQ(error("2"), QuantityError::kNoUnit);
  EXPECT_EQ(error(""), QuantityError::kNotAQuantity);
  EXPECT_EQ(error("s"), QuantityError::kNotAQuantity);
  EXPECT_EQ(error("-1s"), QuantityError::kNotAQuantity);
  EXPECT_EQ(error("1.s"), QuantityError::kNotAQuantity);
  EXPECT_EQ(error("1 s"), QuantityError::kUnknownUnit);
  EXPECT_EQ(error("1S"), QuantityError::kUnknownUnit);
  EXPECT_EQ(error("30s1m"), QuantityError::kUnknownUnit);
  EXPECT_EQ(error("1s1s"), QuantityError::kUnknownUnit);
  EXPECT_EQ(error("0.1ns"), QuantityError::kTooFine);
  EXPECT_EQ(error("0.0000000000000000001h"), QuantityError::kTooFine);
  EXPECT_EQ(error("99999999999999999999s"), QuantityError::kTooLarge);
  EXPECT_EQ(error("2562048h"), QuantityError::kTooLarge);
  EXPECT_EQ(error("2562047h59m"), QuantityError::kTooLarge);
}

TEST(Units, ReadBandwidthsAndSizes) {
  EXPECT_EQ(parse_bandwidth("10Gbps")->bits_per_second, 10'000'000'000U);
  EXPECT_EQ(parse_bandwidth("2.5Gbps")->bits_per_second, 2'500'000'000U);
  EXPECT_EQ(parse_bandwidth("8bps")->bytes_per_second(), 1U);
  EXPECT_EQ(parse_bandwidth("1Gbps1Mbps").error(), QuantityError::kNotAQuantity);
  EXPECT_EQ(parse_bandwidth("10gbps").error(), QuantityError::kUnknownUnit);
  EXPECT_EQ(parse_byte_size("512MiB")->bytes, 512ULL << 20);
  EXPECT_EQ(parse_byte_size("1kB")->bytes, 1000U);
  EXPECT_EQ(parse_byte_size("1.5KiB")->bytes, 1536U);
  EXPECT_EQ(parse_byte_size("1MB2").error(), QuantityError::kNotAQuantity);
}

RC_GTEST_PROP(Units, WhatIsPrintedReadsBack, (std::uint64_t raw)) {
  const std::uint64_t value = raw >> 1;  // 63 bits.
  const auto duration = Duration(static_cast<std::int64_t>(value));
  RC_ASSERT(parse_duration(to_string(duration)) == duration);
  RC_ASSERT(parse_bandwidth(to_string(Bandwidth{value})) == Bandwidth{value});
  RC_ASSERT(parse_byte_size(to_string(ByteSize{value})) == ByteSize{value});
}

TEST(Names, AreWhatCanStandInAPath) {
  for (const char* const good : {"a", "web-frontend", "A.b_c-1", "9"}) {
    EXPECT_EQ(name_flaw(good), nullptr) << good;
  }
  EXPECT_EQ(name_flaw(std::string(63, 'x')), nullptr);
  for (const char* const bad :
       {"", ".", "..", "a/b", "a b", "main", "-a", "_a", "ä", "a\n", "a:b"}) {
    EXPECT_NE(name_flaw(bad), nullptr) << bad;
  }
  EXPECT_NE(name_flaw(std::string(64, 'x')), nullptr);
}

// The distance by its definition, exponential and without any bound: a model.
std::size_t slips(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  std::size_t best = slips(a.substr(1), b.substr(1)) + (a[0] == b[0] ? 0 : 1);
  best = std::min(best, slips(a.substr(1), b) + 1);
  best = std::min(best, slips(a, b.substr(1)) + 1);
  if (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0]) {
    best = std::min(best, slips(a.substr(2), b.substr(2)) + 1);
  }
  return best;
}

RC_GTEST_PROP(NearestName, CountsSlipsAsDefined, ()) {
  const auto word = rc::gen::resize(5, rc::gen::container<std::string>(rc::gen::inRange('a', 'd')));
  const auto a = *word;
  const auto b = *word;
  RC_ASSERT(edit_distance(a, b, 20) == slips(a, b));
  RC_ASSERT(edit_distance(a, b, 2) == std::min<std::size_t>(slips(a, b), 2));
}

TEST(NearestName, IsNoneIfNothingIsNear) {
  NearestName nearest("web-fronted");
  nearest.offer("database");
  EXPECT_FALSE(nearest.best());
  nearest.offer("web-frontend");
  nearest.offer("web-fronteds");
  EXPECT_EQ(nearest.best(), "web-frontend");
}

TEST(PlainText, KnowsWhatOtherReadersTakeForSomethingElse) {
  for (const char* const other :
       {"010", "0x1f", "0o17", "0b1", "1_000", "1e3", "1.5", ".5", "+1", "yes", "No", "on", "OFF",
        "true", "52:54:00:12:34:56", "1:30", "2024-01-01", "2024-01-01T00:00:00Z"}) {
    EXPECT_TRUE(reads_as_other_type(other)) << other;
  }
  for (const char* const text :
       {"web", "10.0.0.1", "10.0.0.0/8", "02:00:0a:0a:01:0b", "fd00::1", "1.2.3", "e3", "tcp", "-",
        "52:54:00:12:34:66", "y", "2024-1-1", "1s", ""}) {
    EXPECT_FALSE(reads_as_other_type(text)) << text;
  }
}

}  // namespace
}  // namespace gannet::control
