// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fragments.hpp"

#include "tests/support/literals.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace gannet::dataplane {
namespace {

using test::operator""_ip;

constexpr Ticks kTimeout = 100;

Fragments::Handle handle(std::uintptr_t n) { return reinterpret_cast<Fragments::Handle>(n + 1); }

Fragments::Piece piece(std::uint16_t offset, std::uint16_t size, bool is_last, std::uint32_t id = 1,
                       std::uint16_t eni = 1) {
  return {{flows::ZoneKind::kEni, eni},
          "10.0.0.1"_ip,
          "10.0.0.2"_ip,
          id,
          17,
          offset,
          size,
          is_last,
          handle(std::size_t{id} << 20 | std::size_t{offset} << 1 | (is_last ? 1 : 0))};
}

TEST(Fragments, F4WaitForTheWholePacketAndComeBackInOrder) {
  Fragments fragments(kTimeout, 8);
  EXPECT_FALSE(fragments.add(piece(16, 5, true), 0).is_whole);
  EXPECT_FALSE(fragments.add(piece(8, 8, false), 0).is_whole);
  EXPECT_EQ(fragments.held_count(), 2U);
  const auto result = fragments.add(piece(0, 8, false), 0);
  ASSERT_TRUE(result.is_whole);
  ASSERT_EQ(result.count, 3U);
  EXPECT_EQ(result.give_back[0], piece(0, 8, false).handle);
  EXPECT_EQ(result.give_back[1], piece(8, 8, false).handle);
  EXPECT_EQ(result.give_back[2], piece(16, 5, true).handle);
  EXPECT_EQ(fragments.held_count(), 0U);
}

TEST(Fragments, ADuplicateIsDroppedAlone) {
  Fragments fragments(kTimeout, 8);
  (void)fragments.add(piece(0, 8, false), 0);
  const auto result = fragments.add(piece(0, 8, false), 0);
  EXPECT_EQ(result.reason, DropReason::fragment_duplicate);
  EXPECT_EQ(result.count, 1U);
  EXPECT_TRUE(fragments.add(piece(8, 1, true), 0).is_whole);
}

// R11: the packet goes as a whole, and what comes of it later too.
TEST(Fragments, R11OverlapDropsThePacket) {
  for (const auto& bad : {piece(8, 16, false), piece(4, 8, false), piece(0, 16, false)}) {
    Fragments fragments(kTimeout, 8);
    (void)fragments.add(piece(0, 12, false), 0);
    (void)fragments.add(piece(16, 8, false), 0);
    const auto result = fragments.add(bad, 0);
    EXPECT_EQ(result.reason, DropReason::fragment_overlap);
    EXPECT_EQ(result.count, 3U);
    EXPECT_EQ(fragments.held_count(), 0U);
    const auto late = fragments.add(piece(24, 8, true), 0);
    EXPECT_EQ(late.reason, DropReason::fragment_overlap);
    EXPECT_EQ(late.count, 1U);
  }
}

TEST(Fragments, TwoEndsContradictEachOther) {
  Fragments fragments(kTimeout, 8);
  (void)fragments.add(piece(16, 8, true), 0);
  EXPECT_EQ(fragments.add(piece(24, 8, true), 0).reason, DropReason::fragment_overlap);
}

TEST(Fragments, TimeOutTogether) {
  Fragments fragments(kTimeout, 8);
  (void)fragments.add(piece(0, 8, false), 10);
  (void)fragments.add(piece(8, 8, false), 90);
  EXPECT_EQ(fragments.expire(109).reason, DropReason::kNone);
  const auto result = fragments.expire(110);
  EXPECT_EQ(result.reason, DropReason::fragment_timeout);
  EXPECT_EQ(result.count, 2U);
  EXPECT_EQ(fragments.expire(110).reason, DropReason::kNone);
  EXPECT_EQ(fragments.held_count(), 0U);
}

// G14, S10: a flood of one tenant leaves the others their room.
TEST(Fragments, G14OneZoneCannotTakeAllTheRoom) {
  Fragments fragments(kTimeout, 8);
  for (std::uint32_t id = 0; id < 100; ++id) (void)fragments.add(piece(0, 8, false, id), 0);
  EXPECT_EQ(fragments.held_count(), 2U);
  EXPECT_EQ(fragments.add(piece(0, 8, false, 1, 2), 0).reason, DropReason::kNone);
  EXPECT_TRUE(fragments.add(piece(8, 8, true, 1, 2), 0).is_whole);
}

TEST(Fragments, PacketsOfTwoZonesDoNotMix) {
  Fragments fragments(kTimeout, 8);
  (void)fragments.add(piece(0, 8, false, 1, 1), 0);
  EXPECT_FALSE(fragments.add(piece(8, 8, true, 1, 2), 0).is_whole);
}

TEST(Fragments, OnePacketHasABoundedNumber) {
  Fragments fragments(kTimeout, 8);
  for (unsigned i = 0; i < Fragments::kMaxFragments; ++i) {
    ASSERT_EQ(fragments.add(piece(static_cast<std::uint16_t>(8 * i), 8, false), 0).reason,
              DropReason::kNone);
  }
  const auto result =
      fragments.add(piece(static_cast<std::uint16_t>(8 * Fragments::kMaxFragments), 8, false), 0);
  EXPECT_EQ(result.reason, DropReason::fragment_limit);
  EXPECT_EQ(result.count, Fragments::kMaxFragments + 1);
}

// Whatever comes in whatever order, each handle comes back exactly once.
RC_GTEST_PROP(Fragments, GiveEveryHandleBackOnce, ()) {
  Fragments fragments(kTimeout, 4);
  std::multiset<Fragments::Handle> out;
  const auto take = [&out](const Fragments::Result& result) {
    RC_ASSERT(result.count == 0 || result.is_whole || result.reason != DropReason::kNone);
    for (unsigned i = 0; i < result.count; ++i) out.insert(result.give_back[i]);
    return result.count != 0;
  };
  const auto count = *rc::gen::inRange<std::uintptr_t>(0, 60);
  Ticks now = 0;
  for (std::uintptr_t i = 0; i < count; ++i) {
    auto p =
        piece(*rc::gen::elementOf(std::vector<std::uint16_t>{0, 8, 16, 24}),
              *rc::gen::elementOf(std::vector<std::uint16_t>{8, 16}), *rc::gen::inRange(0, 4) == 0,
              *rc::gen::inRange(0U, 3U), *rc::gen::inRange<std::uint16_t>(0, 2));
    p.handle = handle(i);
    now += *rc::gen::inRange<Ticks>(0, 40);
    (void)take(fragments.add(p, now));
    while (take(fragments.expire(now))) {
    }
  }
  while (take(fragments.drain())) {
  }
  RC_ASSERT(fragments.held_count() == 0U);
  RC_ASSERT(out.size() == count);
  for (std::uintptr_t i = 0; i < count; ++i) RC_ASSERT(out.count(handle(i)) == 1U);
}

}  // namespace
}  // namespace gannet::dataplane
