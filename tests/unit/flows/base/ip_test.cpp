// SPDX-License-Identifier: BSD-3-Clause
#include "flows/base/ip.hpp"

#include "tests/support/literals.hpp"

#include <gtest/gtest.h>

namespace gannet {
namespace {

using test::operator""_ip;
using test::operator""_ip6;
using test::operator""_prefix;

PrefixError error_of(const char* text) {
  PrefixError error{};
  EXPECT_FALSE(parse_prefix(text, &error)) << text;
  return error;
}

TEST(Ip, IsReadAndWrittenTheSame) {
  for (const char* const text : {"0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::1",
                                 "fd00:10::1", "2001:db8:0:1::", "ffff:ffff::"}) {
    const auto ip = parse_ip(text);
    ASSERT_TRUE(ip) << text;
    EXPECT_EQ(to_string(*ip), text);
  }
}

TEST(Ip, RefusesWhatIsNoAddress) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "10.0.0"sv, "10.0.0.256"sv, "10.0.0.010"sv, "10.0.0.1 "sv, "1:2"sv, "::g"sv,
        "10.0.0.1\0"sv, "fe80::1%eth0"sv,
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"sv}) {
    EXPECT_FALSE(parse_ip(text)) << text;
  }
}

TEST(Ip, KnowsItsKind) {
  EXPECT_TRUE("224.0.0.1"_ip.is_multicast());
  EXPECT_TRUE("239.255.255.255"_ip.is_multicast());
  EXPECT_FALSE("240.0.0.0"_ip.is_multicast());
  EXPECT_FALSE("223.255.255.255"_ip.is_multicast());
  EXPECT_TRUE("ff02::1"_ip.is_multicast());
  EXPECT_TRUE("127.0.0.1"_ip.is_loopback());
  EXPECT_FALSE("128.0.0.1"_ip.is_loopback());
  EXPECT_TRUE("::1"_ip.is_loopback());
  EXPECT_FALSE("1::1"_ip.is_loopback());
  EXPECT_FALSE("::2"_ip.is_loopback());
  EXPECT_TRUE("::"_ip.is_zero());
  EXPECT_FALSE("::1"_ip.is_zero());
  EXPECT_TRUE("fe80::1"_ip6.is_link_local());
  EXPECT_TRUE("febf::1"_ip6.is_link_local());
  EXPECT_FALSE("fec0::1"_ip6.is_link_local());
}

TEST(Ip, OfDifferentFamiliesIsNeverEqual) {
  EXPECT_NE("0.0.0.0"_ip, "::"_ip);
  EXPECT_NE(std::hash<IpAddress>{}("0.0.0.0"_ip), std::hash<IpAddress>{}("::"_ip));
}

TEST(Prefix, SaysWhatIsWrongWithIt) {
  EXPECT_EQ(error_of("10.0.0/8"), PrefixError::kAddress);
  EXPECT_EQ(error_of("/8"), PrefixError::kAddress);
  EXPECT_EQ(error_of("10.0.0.0/"), PrefixError::kLength);
  EXPECT_EQ(error_of("10.0.0.0/33"), PrefixError::kLength);
  EXPECT_EQ(error_of("10.0.0.0/08"), PrefixError::kLength);
  EXPECT_EQ(error_of("10.0.0.0/-1"), PrefixError::kLength);
  EXPECT_EQ(error_of("10.0.0.0/8x"), PrefixError::kLength);
  EXPECT_EQ(error_of("fd00::/129"), PrefixError::kLength);
  EXPECT_EQ(error_of("10.0.0.1/8"), PrefixError::kHostBits);
  EXPECT_EQ(error_of("fd00::1/127"), PrefixError::kHostBits);
}

TEST(Prefix, OfABareAddressIsThatAddress) {
  EXPECT_EQ("10.0.0.1"_prefix, "10.0.0.1/32"_prefix);
  EXPECT_EQ("::1"_prefix, "::1/128"_prefix);
}

TEST(Prefix, ContainsItsFirstAndLastAddressAndNoOther) {
  const Prefix p = "10.1.2.128/25"_prefix;
  EXPECT_TRUE(p.contains("10.1.2.128"_ip));
  EXPECT_TRUE(p.contains("10.1.2.255"_ip));
  EXPECT_FALSE(p.contains("10.1.2.127"_ip));
  EXPECT_FALSE(p.contains("10.1.3.0"_ip));
  EXPECT_FALSE(p.contains("::"_ip));
  const Prefix q = "2001:db8::/33"_prefix;
  EXPECT_TRUE(q.contains("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"_ip));
  EXPECT_FALSE(q.contains("2001:db8:8000::"_ip));
  EXPECT_TRUE("0.0.0.0/0"_prefix.contains("255.255.255.255"_ip));
  EXPECT_FALSE("0.0.0.0/0"_prefix.contains("::"_ip));
  EXPECT_TRUE("::1/128"_prefix.contains("::1"_ip));
}

TEST(Prefix, OverlapsWhatContainsItAndWhatItContains) {
  EXPECT_TRUE("10.0.0.0/8"_prefix.overlaps("10.1.0.0/16"_prefix));
  EXPECT_TRUE("10.1.0.0/16"_prefix.overlaps("10.0.0.0/8"_prefix));
  EXPECT_FALSE("10.1.0.0/16"_prefix.overlaps("10.2.0.0/16"_prefix));
  EXPECT_FALSE("0.0.0.0/0"_prefix.overlaps("::/0"_prefix));
}

TEST(Prefix, CountsItsAddresses) {
  const Prefix p = "10.0.0.252/30"_prefix;
  EXPECT_EQ(p.at(3), "10.0.0.255"_ip);
  EXPECT_FALSE(p.at(4));
  EXPECT_FALSE("255.255.255.255"_prefix.at(1)) << "beyond the last address of all";
  EXPECT_EQ("0.0.0.0/0"_prefix.at(0xffff'ffff), "255.255.255.255"_ip);
  EXPECT_FALSE("0.0.0.0/0"_prefix.at(0x1'0000'0000));
  EXPECT_EQ("fd00::ff00/120"_prefix.at(0x80), "fd00::ff80"_ip);
  EXPECT_EQ("fd00::/64"_prefix.at(~std::uint64_t{0}), "fd00::ffff:ffff:ffff:ffff"_ip);
}

TEST(Prefix, OfClearsTheBitsBehindItsLength) {
  EXPECT_EQ(Prefix::of("10.255.255.255"_ip, 9), "10.128.0.0/9"_prefix);
  EXPECT_EQ(Prefix::of("10.255.255.255"_ip, 0), "0.0.0.0/0"_prefix);
  EXPECT_EQ(Prefix::of("ffff:ffff:ffff:ffff:ffff::"_ip, 65),
            "ffff:ffff:ffff:ffff:8000::/65"_prefix);
}

}  // namespace
}  // namespace gannet
