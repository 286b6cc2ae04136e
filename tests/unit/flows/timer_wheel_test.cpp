// SPDX-License-Identifier: BSD-3-Clause
#include "flows/timer_wheel.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gannet::flows {
namespace {

constexpr Ticks kGrain =
    8;  // Of the wheel: how much later than its deadline a record may come due.

struct Store {
  struct Record {
    Links links;
    std::uint8_t level = TimerWheel<Store>::kUnarmed;
    std::uint16_t slot;
  };
  std::vector<Record> records;
  TimerPlace timer_place(std::uint32_t i) {
    return {records[i].links, records[i].level, records[i].slot};
  }
};

// The lazy owner: a record that comes due before its deadline is hung up again.
struct Owner {
  explicit Owner(Ticks start, std::uint32_t count) : wheel(store, start), now(start) {
    store.records.resize(count);
  }

  void arm(std::uint32_t i, Ticks ahead) {
    wheel.disarm(i);
    deadlines[i] = now + ahead;
    wheel.arm(i, deadlines[i]);
  }
  void disarm(std::uint32_t i) {
    wheel.disarm(i);
    deadlines.erase(i);
  }
  unsigned advance(Ticks by, unsigned budget = ~0u) {
    now += by;
    return wheel.advance(now, budget, [this](std::uint32_t i) {
      ASSERT_TRUE(deadlines.contains(i)) << "came due without being armed";
      ++wakeups;
      if (!reached(now, deadlines[i])) return wheel.arm(i, deadlines[i]);
      deadlines.erase(i);
      ended.push_back(i);
    });
  }
  [[nodiscard]] bool has_overdue() const {
    return std::any_of(deadlines.begin(), deadlines.end(),
                       [this](const auto& entry) { return reached(now, entry.second + kGrain); });
  }

  Store store;
  TimerWheel<Store> wheel;
  Ticks now;
  std::map<std::uint32_t, Ticks> deadlines;  // Of armed records: the model.
  std::vector<std::uint32_t> ended;
  unsigned wakeups = 0;
};

TEST(TimerWheel, ComesDueAtItsDeadlineOrUpToEightTicksLater) {
  for (const Ticks ahead : {0u, 1u, 7u, 8u, 9u, 100u, 2'039u, 2'040u, 2'041u, 5'000u}) {
    for (const Ticks start : {0u, 3u, 0xffff'fff0u}) {
      Owner owner(start, 1);
      owner.arm(0, ahead);
      Ticks waited = 0;
      while (owner.ended.empty() && waited < ahead + 100) {
        owner.advance(1);
        ++waited;
      }
      EXPECT_GE(waited, ahead);
      EXPECT_LE(waited, ahead + kGrain) << "ahead " << ahead << " from " << start;
    }
  }
}

TEST(TimerWheel, NearDeadlinesWakeTheOwnerOnce) {
  Owner owner(1'000, 1);
  owner.arm(0, 2'000);
  owner.advance(3'000);
  EXPECT_EQ(owner.ended.size(), 1u);
  EXPECT_EQ(owner.wakeups, 1u);
}

// An established connection has 7,440 s: being lazy about it must not cost more than a few looks.
TEST(TimerWheel, FarDeadlinesWakeTheOwnerAFewTimesOnly) {
  Owner owner(12'345, 1);
  owner.arm(0, duration_ticks(7'440 * kNanosPerSecond));
  while (owner.ended.empty()) owner.advance(100);
  EXPECT_LE(owner.wakeups, 4u);
}

// Counted in ticks: 200 days, beyond the wrap of the tick counter, and levels of every size.
TEST(TimerWheel, KeepsTimeAcrossTheWrap) {
  Owner owner(0xffff'0000, 4);
  owner.arm(0, 10);
  owner.arm(1, 0x1'0000);
  owner.arm(2, 0x2'0000);
  owner.arm(3, 0x100'0000);
  owner.advance(0x1'0000 - 10);
  EXPECT_EQ(owner.ended, (std::vector<std::uint32_t>{0}));
  owner.advance(10 + kGrain);
  EXPECT_EQ(owner.ended, (std::vector<std::uint32_t>{0, 1}));
  owner.advance(0x1'0000);
  owner.advance(0x100'0000);
  EXPECT_EQ(owner.ended, (std::vector<std::uint32_t>{0, 1, 2, 3}));
}

TEST(TimerWheel, TimeThatStandsStillOrGoesBackDoesNothing) {
  Owner owner(5'000, 1);
  owner.arm(0, 100);
  EXPECT_EQ(owner.advance(0), 0u);
  EXPECT_EQ(owner.advance(static_cast<Ticks>(-1'000)), 0u);
  owner.now += 1'000;
  EXPECT_EQ(owner.advance(100 + kGrain), 1u);
}

TEST(TimerWheel, ABudgetLeavesTheRestForTheNextCall) {
  Owner owner(0, 10);
  for (std::uint32_t i = 0; i < 10; ++i) owner.arm(i, 50);
  EXPECT_EQ(owner.advance(100, 4), 4u);
  EXPECT_EQ(owner.advance(0, 4), 4u);
  EXPECT_EQ(owner.advance(0, 4), 2u);
  EXPECT_EQ(owner.ended.size(), 10u);
}

TEST(TimerWheel, RecordsMayBeDisarmedWhileTheirSlotIsBeingEmptied) {
  Store store;
  store.records.resize(3);
  TimerWheel<Store> wheel(store, 0);
  for (std::uint32_t i = 0; i < 3; ++i) wheel.arm(i, 10);
  std::vector<std::uint32_t> due;
  wheel.advance(100, ~0u, [&](std::uint32_t i) {
    due.push_back(i);
    for (std::uint32_t other = 0; other < 3; ++other) wheel.disarm(other);
  });
  EXPECT_EQ(due.size(), 1u);
}

// Against the sorted list that `deadlines` is: nothing is early, lost, twice or late, however time
// jumps.
RC_GTEST_PROP(TimerWheel, IsASortedListWithRandomJumps, (Ticks start)) {
  constexpr std::uint32_t kRecords = 32;
  Owner owner(start, kRecords);
  const auto exponential = [](unsigned bits) {
    const unsigned b = *rc::gen::inRange(0u, bits);
    return *rc::gen::inRange<Ticks>(0, Ticks{1} << b);
  };
  for (unsigned i = 0; i < 200; ++i) {
    const std::uint32_t record = *rc::gen::inRange(0u, kRecords);
    if (*rc::gen::inRange(0, 5) == 0) {
      owner.disarm(record);
    } else {
      owner.arm(record, exponential(24));
    }
    owner.advance(exponential(20));
    RC_ASSERT(!owner.has_overdue());
  }
  // In the end everything that is still armed comes due, each record once.
  const std::size_t armed = owner.deadlines.size();
  const std::size_t ended = owner.ended.size();
  owner.advance(Ticks{1} << 24);
  owner.advance(kGrain);
  RC_ASSERT(owner.deadlines.empty());
  RC_ASSERT(owner.ended.size() == ended + armed);
}

}  // namespace
}  // namespace gannet::flows
