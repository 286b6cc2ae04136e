// SPDX-License-Identifier: BSD-3-Clause
// A card with fewer slots than there are flows: who is on it.
#include "tests/card/conversation.hpp"

#include <gtest/gtest.h>

namespace gannet::test {
namespace {

// Room for so many flows; what the guards take comes on top.
std::string slots_for(std::uint64_t flows, const std::string& card = kUnlimited) {
  const auto probe = make_world(card);
  return card + ",slots=" + std::to_string(probe->offload()->status().guard_count + flows);
}

class RoomEitherWay : public testing::TestWithParam<const char*> {};

TEST_P(RoomEitherWay, OfFortySlotsServesAHundredFlows) {  // O4, O9
  const auto bench = make_world(slots_for(40, GetParam()));
  send_flows(*bench, 100, 3);
  EXPECT_EQ(rules(*bench), 40u);
  const auto stats = bench->offload()->status().stats;
  EXPECT_EQ(stats.full_at, 40u);
  EXPECT_GE(stats.refusals[static_cast<std::size_t>(offload::Refusal::card_full)], 60u);
  EXPECT_EQ(bench->drops().size(), 0u);
  EXPECT_EQ(bench->miscounted(), "");
}

// The card loses all while rules are refused for want of room, at each step of that. (O9, O12)
TEST_P(RoomEitherWay, NeedsNoMoreTablesAfterAReset) {
  const auto bench = make_world(slots_for(40, GetParam()));
  send_flows(*bench, 100, 40);
  const std::size_t tables = bench->offload()->status().table_count;
  for (unsigned turns = 0; turns < 6; ++turns) {
    bench->hold_offload(true);
    for (unsigned flow = 0; flow < 20; ++flow) {
      const Bytes frame = frame_of_flow(1'000 * (turns + 1) + flow);
      for (unsigned i = 0; i < 3; ++i) pass(*bench, "vm1", frame, "uplink");
    }
    for (unsigned i = 0; i < turns; ++i) bench->offload()->turn();
    bench->reset_card();
    bench->hold_offload(false);
    bench->run();
    send_flows(*bench, 100, 40);
    EXPECT_GT(rules(*bench), 0u);
    EXPECT_EQ(bench->offload()->status().table_count, tables);
  }
}

TEST_P(RoomEitherWay, IsMadeForABusyFlowWhereOthersAreSilent) {
  const auto bench = make_world(slots_for(4, GetParam()));
  send_flows(*bench, 4, 3);
  EXPECT_EQ(rules(*bench), 4u);
  for (int i = 0; i < 5; ++i) bench->advance(kNanosPerSecond);
  const Bytes busy = frame_of_flow(9'999);
  for (int i = 0; i < 100; ++i) pass(*bench, "vm1", busy, "uplink");
  EXPECT_EQ(rules(*bench), 4u);
  EXPECT_EQ(bench->offload()->status().stats.evicted, 1u);
  EXPECT_FALSE(comes_to_software(*bench, "vm1", busy));
}

// Forty flows have the card, half of them at one packet a second, half at five. Twenty others begin
// to send fifty a second each.
TEST(Room, IsMadeByTheColdestForManyHotterFlows) {
  const auto bench = make_world(slots_for(40));
  const auto send = [&bench](unsigned first, unsigned last) {
    for (unsigned flow = first; flow < last; ++flow) {
      pass(*bench, "vm1", frame_of_flow(flow), "uplink");
    }
  };
  constexpr unsigned kStep = 20;  // Milliseconds.
  const auto go_on = [&](unsigned seconds, bool with_newcomers) {
    for (unsigned now = 0; now < seconds * 1'000; now += kStep) {
      if (now % 1'000 == 0) send(0, 20);
      if (now % 200 == 0) send(20, 40);
      if (with_newcomers) send(80, 100);
      bench->advance(kStep * kNanosPerMilli);
    }
  };
  send_flows(*bench, 100, 3);
  ASSERT_EQ(rules(*bench), 40u);
  go_on(3, false);
  EXPECT_EQ(bench->offload()->status().stats.evicted, 0u);
  go_on(3, true);
  EXPECT_EQ(rules(*bench), 40u);
  EXPECT_EQ(bench->offload()->status().stats.evicted, 20u);
  for (unsigned flow = 0; flow < 100; ++flow) {
    const bool has_rule = (flow >= 20 && flow < 40) || flow >= 80;
    EXPECT_EQ(comes_to_software(*bench, "vm1", frame_of_flow(flow)), !has_rule) << flow;
  }
  EXPECT_EQ(bench->drops().size(), 0u);
  EXPECT_EQ(bench->miscounted(), "");
}

TEST(Room, IsSharedAmongEnis) {
  const auto bench = make_world(kUnlimited, "offload: {max_rules_per_eni: 3}\n");
  send_flows(*bench, 10, 3);
  EXPECT_EQ(rules(*bench), 3u);
}

INSTANTIATE_TEST_SUITE_P(Room, RoomEitherWay, testing::Values(kUnlimited, kOneByOne));

}  // namespace
}  // namespace gannet::test
