// SPDX-License-Identifier: BSD-3-Clause
// The small value types of flows/base: byte order, MAC addresses, time.
#include "flows/base/byte_order.hpp"
#include "flows/base/mac.hpp"
#include "flows/base/region.hpp"
#include "flows/base/time.hpp"
#include "tests/support/literals.hpp"

#include <gtest/gtest.h>

namespace gannet {
namespace {

using test::operator""_mac;

TEST(ByteOrder, PutsTheMostSignificantByteFirst) {
  std::uint8_t bytes[8];
  store(bytes, Be32(0x0102'0304));
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[3], 4);
  store(bytes, Be64(0x0102'0304'0506'0708));
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[7], 8);
  EXPECT_EQ(load<Be16>(bytes + 1).host(), 0x0203);
}

TEST(ByteOrder, ComparesAsNumbers) {
  EXPECT_LT(Be16(0x00ff), Be16(0x0100));
  EXPECT_EQ(Be16::from_raw(Be16(0x1234).raw()), Be16(0x1234));
}

TEST(Mac, IsReadAndWrittenTheSame) {
  EXPECT_EQ(to_string("02:00:0a:0a:01:0B"_mac), "02:00:0a:0a:01:0b");
  EXPECT_EQ("02-00-0a-0a-01-0b"_mac, "02:00:0a:0a:01:0b"_mac);
  EXPECT_EQ(Mac::from_raw("02:00:0a:0a:01:0b"_mac.raw()), "02:00:0a:0a:01:0b"_mac);
}

TEST(Mac, RefusesWhatIsNoMac) {
  for (const char* const text :
       {"", "02:00:0a:0a:01", "02:00:0a:0a:01:0", "02:00:0a:0a:01:0b:", "02:00:0a:0a:01:0g",
        "02:00:0a-0a:01:0b", "02.00.0a.0a.01.0b", "02:00:0a:0a:01:+b", "02:00:0a:0a:0x:0b"}) {
    EXPECT_FALSE(parse_mac(text)) << text;
  }
}

TEST(Mac, KnowsGroupsAndBroadcast) {
  EXPECT_TRUE("01:00:5e:00:00:01"_mac.is_group());
  EXPECT_FALSE("02:00:00:00:00:01"_mac.is_group());
  EXPECT_TRUE(kBroadcastMac.is_broadcast());
  EXPECT_TRUE(kBroadcastMac.is_group());
}

TEST(Time, DurationsAreRoundedUpSoThatNothingExpiresEarly) {
  EXPECT_EQ(duration_ticks(0), 0u);
  EXPECT_EQ(duration_ticks(1), 1u);
  EXPECT_EQ(duration_ticks(Nanos{1} << kTickShift), 1u);
  EXPECT_EQ(duration_ticks((Nanos{1} << kTickShift) + 1), 2u);
}

TEST(Time, IsComparedModuloTheWrap) {
  EXPECT_TRUE(reached(5, 5));
  EXPECT_TRUE(reached(3, 0xffff'fff0));
  EXPECT_FALSE(reached(0xffff'fff0, 3));
}

TEST(Region, IsZeroedAndMovable) {
  auto region = Region::map(100, false);
  ASSERT_TRUE(region);
  EXPECT_GE(region->size(), 100u);
  for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(region->data()[i], std::byte{0});
  std::byte* const address = region->data();
  Region other = std::move(*region);
  EXPECT_EQ(other.data(), address);
  EXPECT_EQ(region->data(), nullptr);
}

TEST(Region, TooLargeIsAnErrorForPeople) {
  const auto region = Region::map(std::size_t{1} << 60, false);
  ASSERT_FALSE(region);
  EXPECT_NE(region.error().message.find("capacity.connections"), std::string::npos);
}

}  // namespace
}  // namespace gannet
