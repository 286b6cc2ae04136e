// SPDX-License-Identifier: BSD-3-Clause
// Rules that leave the card, or should: those that it has refused, those that it does not let go,
// those that a reset takes; and that nothing is left there which is nobody's.
#include "control/flow_view.hpp"
#include "control/offload_view.hpp"
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "tests/card/conversation.hpp"

#include <chrono>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gannet::test {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kFlows = 10;

rte_pmd_emudpu_stats card_of(BenchSwitch& bench) {
  rte_pmd_emudpu_stats stats{};
  EXPECT_EQ(rte_pmd_emudpu_stats_get(bench.card_name().c_str(), &stats), 0);
  return stats;
}

// Every rule of the card, and every counter, is a flow's, a guard's or a watch's.
void expect_nothing_is_nobodys(BenchSwitch& bench) {
  const auto status = bench.offload()->status();
  const rte_pmd_emudpu_stats on_card = card_of(bench);
  const std::uint64_t ours = status.stats.rules + status.guard_count + status.watch_count;
  EXPECT_EQ(on_card.rules_in_use, ours);
  EXPECT_EQ(on_card.rules_without_handle, 0u);
  EXPECT_EQ(on_card.refused_handles, 0u);
  EXPECT_EQ(status.ended_counter_count, 0u);
}

void end_flow(BenchSwitch& bench, unsigned flow) {
  control::FlowFilter filter;
  filter.port = static_cast<int>(1'000 + flow);
  EXPECT_EQ(control::flush_flows(bench.dataplane(), filter), 1u);
  bench.run();
}

class Leaving : public testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] static bool is_asynchronous() { return std::string(GetParam()) == kUnlimited; }
};

TEST_P(Leaving, ARefusedRuleLeavesNothing) {  // O10, O20
  const auto bench = make_world(GetParam(), "timers: {udp: 1s, udp_stream: 1s}\n");
  const std::uint64_t counters = card_of(*bench).counters_in_use;  // Of the guards.
  bench->set_card_fault("insert_percent", "50");
  for (unsigned round = 0; round < 5; ++round) {
    send_flows(*bench, 100, 2);
    expect_nothing_is_nobodys(*bench);
    bench->advance(3 * kNanosPerSecond);
  }
  expect_nothing_is_nobodys(*bench);
  EXPECT_EQ(card_of(*bench).counters_in_use, counters);
  EXPECT_GT(card_of(*bench).refused_by_fault, 100u);
  EXPECT_EQ(rules(*bench), 0u);
}

// Who switches offload off is told if the card goes on by itself. (O11)
TEST_P(Leaving, SwitchingOffSaysThatTheCardKeepsSomething) {
  const auto bench = make_world(GetParam());
  const Bytes request = from_remote(*bench, kVm1Mac, kVm1).udp(2000, 53).bytes();
  for (int i = 0; i < 2; ++i) pass(*bench, "uplink", request, "vm1");
  ASSERT_EQ(rules(*bench), 1u);
  bench->set_card_fault("destroy_percent", "100");
  EXPECT_FALSE(bench->offload()->set_enabled(false));
  bench->set_card_fault("destroy_percent", "0");
  for (int i = 0; i < 20; ++i) bench->advance(100 * kNanosPerMilli);
  EXPECT_EQ(card_of(*bench).rules_in_use, 0u);
  EXPECT_TRUE(bench->offload()->set_enabled(false));
}

// A rule that the card does not let go is seen, among the flows and by whoever waits for a receipt,
// until it has gone. Where rules go through a flow queue only a flush takes it. (O11, O14)
TEST_P(Leaving, OneThatTheCardKeepsIsSeenUntilItHasGone) {
  const auto bench = make_world(GetParam());
  const Bytes request = from_remote(*bench, kVm1Mac, kVm1).udp(2000, 53).bytes();
  for (int i = 0; i < 2; ++i) pass(*bench, "uplink", request, "vm1");
  ASSERT_EQ(rules(*bench), 1u);
  EXPECT_TRUE(control::stuck_rules(bench->controller()).empty());
  bench->set_card_fault("destroy_percent", "100");
  ASSERT_TRUE(bench->apply("locked", world_policy(true)).has_value());
  for (int i = 0; i < 20; ++i) bench->advance(10 * kNanosPerMilli);
  EXPECT_LT(bench->offload()->conforming_generation(), bench->controller().generation());
  EXPECT_EQ(control::stuck_rules(bench->controller()).dump(),
            R"(["10.10.2.20:2000 > 10.10.1.11:53"])");
  const auto flows = control::stuck_flows(bench->controller(), {});
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(control::to_json(flows.front(), bench->controller().names(),
                             control::PathTexts(bench->controller()))["path"],
            "hardware (stuck)");
  EXPECT_EQ(bench->offload()->status().is_card_usable, !is_asynchronous());
  EXPECT_EQ(bench->offload()->status().flush_failures > 1, is_asynchronous());

  bench->set_card_fault("destroy_percent", "0");
  for (int i = 0; i < 20; ++i) bench->advance(100 * kNanosPerMilli);
  EXPECT_EQ(bench->offload()->conforming_generation(), bench->controller().generation());
  EXPECT_TRUE(control::stuck_rules(bench->controller()).empty());
  EXPECT_TRUE(bench->offload()->status().is_card_usable);
  bench->send("uplink", request);
  bench->run();
  EXPECT_TRUE(bench->take_output().empty());
  expect_nothing_is_nobodys(*bench);
}

// One removal fails: no other flow loses a packet or a count. (O7, O11)
TEST_P(Leaving, AllComeBackAfterOneThatOnlyAFlushTakes) {
  const auto bench = make_world(GetParam());
  send_flows(*bench, kFlows, 30);
  ASSERT_EQ(rules(*bench), kFlows);
  bench->set_card_fault("destroy_percent", "100");
  end_flow(*bench, 0);
  bench->set_card_fault("destroy_percent", "0");
  for (int i = 0; i < 20; ++i) bench->advance(10 * kNanosPerMilli);
  const auto stats = bench->offload()->status().stats;
  EXPECT_EQ(stats.start_overs, is_asynchronous() ? 1u : 0u);
  EXPECT_EQ(stats.counts_lost, 0u);
  EXPECT_GT(stats.remove_failures, 0u);
  expect_nothing_is_nobodys(*bench);
  send_flows(*bench, kFlows, 40);
  EXPECT_EQ(rules(*bench), kFlows);
  expect_nothing_is_nobodys(*bench);
  EXPECT_EQ(bench->miscounted(), "");
}

// Others' removals fail all the time: it is asked for all the same. (O11)
TEST(LeavingOneByOne, AKeptRuleIsNotForgottenAmongNewOnes) {
  const auto bench = make_world(kOneByOne);
  send_flows(*bench, 1, 2);
  bench->set_card_fault("destroy_every", "1");
  end_flow(*bench, 0);
  ASSERT_EQ(bench->offload()->status().stuck_count, 1u);
  bench->set_card_fault("destroy_every", "2");
  for (unsigned flow = 1; flow < 400; flow += 2) {
    for (const unsigned one : {flow, flow + 1}) {
      for (int i = 0; i < 2; ++i) pass(*bench, "vm1", frame_of_flow(one), "uplink");
      end_flow(*bench, one);
    }
    bench->advance(5 * kNanosPerMilli);
  }
  for (const offload::Rule& rule : bench->offload()->stuck_rules()) {
    EXPECT_NE(rule.before.source_port, 1'000u);
  }
}

// A card that keeps rules does not keep connections alive. (O8, O11)
TEST_P(Leaving, AConnectionWhoseRuleIsKeptExpires) {
  const auto bench = make_world(GetParam(), "timers: {udp: 1s, udp_stream: 1s}\n");
  send_flows(*bench, kFlows, 2);
  ASSERT_EQ(rules(*bench), kFlows);
  bench->set_card_fault("destroy_percent", "100");
  EXPECT_FALSE(bench->offload()->set_enabled(false));
  for (int i = 0; i < 50; ++i) bench->advance(100 * kNanosPerMilli);
  EXPECT_EQ(bench->connection_count(), 0u);
  bench->set_card_fault("destroy_percent", "0");
  for (int i = 0; i < 20; ++i) bench->advance(100 * kNanosPerMilli);
  EXPECT_TRUE(bench->offload()->set_enabled(false));
  EXPECT_EQ(card_of(*bench).rules_in_use, 0u);
}

// Rules that are coming, there and going when the card loses everything, and takes its time.
// (O12, O20, O22)
TEST_P(Leaving, AResetOfASlowCardLeavesNothing) {
  const auto bench = make_world(GetParam());
  send_flows(*bench, 2 * kFlows, 3);
  bench->set_card_fault("slow_us", "5000");
  send_flows(*bench, 4 * kFlows, 2);
  for (unsigned flow = 0; flow < kFlows; ++flow) end_flow(*bench, flow);
  const std::size_t under_way = bench->offload()->status().under_way_count;
  EXPECT_EQ(under_way, is_asynchronous() ? 3 * kFlows : 0);
  bench->reset_card();
  for (int i = 0; i < 40; ++i) {  // All packets come out, within this time by the card.
    send_flows(*bench, 4 * kFlows, 1);
    bench->advance(10 * kNanosPerMilli);
  }
  const auto status = bench->offload()->status();
  EXPECT_EQ(status.stats.rules, 4 * kFlows);
  EXPECT_EQ(status.stats.counts_lost, is_asynchronous() ? 2 * kFlows : 3 * kFlows);
  EXPECT_EQ(status.stats.wrong, 0u);
  EXPECT_GT(status.stats.audited, 0u);
  EXPECT_EQ(status.wrong_guards, 0u);
  EXPECT_FALSE(comes_to_software(*bench, "vm1", frame_of_flow(0)));
  expect_nothing_is_nobodys(*bench);
  bench->set_card_fault("slow_us", "0");
}

INSTANTIATE_TEST_SUITE_P(Card, Leaving, testing::Values(kUnlimited, kOneByOne));

// A flush that fails after a reset: the card is not built upon. (O12)
TEST(Leaving, ACardThatDoesNotFlushIsNotUsed) {
  const auto bench = make_world(kOneByOne);
  // Of the guards the card takes some after the reset, and does not let them go for the next try.
  bench->set_card_fault("insert_every", "5");
  bench->set_card_fault("destroy_percent", "100");
  bench->reset_card();
  bench->advance(50 * kNanosPerMilli);
  EXPECT_FALSE(bench->offload()->status().is_card_usable);
  EXPECT_GT(bench->offload()->status().flush_failures, 0u);
  EXPECT_EQ(bench->offload()->status().guard_count, 0u);
  bench->set_card_fault("insert_every", "0");
  bench->advance(kNanosPerSecond);
  send_flows(*bench, kFlows, 40);
  EXPECT_EQ(rules(*bench), 0u);
  EXPECT_FALSE(bench->offload()->status().is_card_usable);
  bench->offload()->set_enabled(false);
  EXPECT_TRUE(bench->offload()->set_enabled(true));  // Once the card is in use again.
  send_flows(*bench, kFlows, 2);
  EXPECT_EQ(rules(*bench), 0u);
  bench->set_card_fault("destroy_percent", "0");
  bench->advance(kNanosPerSecond);
  send_flows(*bench, kFlows, 40);
  EXPECT_EQ(rules(*bench), kFlows);
  EXPECT_TRUE(bench->offload()->status().is_card_usable);
  expect_nothing_is_nobodys(*bench);
}

// While flows come and go all the time, and the card is never done with removals. (O14)
TEST(Leaving, AReceiptComesWhileRulesComeAndGo) {
  const auto bench = make_world(kUnlimited);
  bench->set_card_fault("slow_us", "3000");
  unsigned next = 0;
  const auto churn = [&] {
    for (int i = 0; i < 2; ++i) pass(*bench, "vm1", frame_of_flow(next), "uplink");
    if (next >= 6) end_flow(*bench, next - 6);
    ++next;
    bench->advance(kNanosPerMilli);
  };
  const auto is_conforming = [&] {
    return bench->offload()->conforming_generation() == bench->controller().generation();
  };
  for (int i = 0; i < 20; ++i) churn();
  ASSERT_TRUE(bench->apply("locked", world_policy(true), false).has_value());
  EXPECT_FALSE(is_conforming());
  unsigned turns = 0;
  for (; turns < 50 && !is_conforming(); ++turns) {
    churn();
    EXPECT_GT(bench->offload()->status().under_way_count, 1u);
  }
  EXPECT_LT(turns, 50u);
  bench->set_card_fault("slow_us", "0");
  for (int i = 0; i < 5; ++i) bench->advance(kNanosPerMilli);
}

// A card whose rules never come, and one that keeps them: nobody waits for either for ever.
TEST(Leaving, NobodyWaitsForACardForEver) {  // O21
  auto bench = make_world(kUnlimited, "", 1, false, 0, milliseconds(50));
  send_flows(*bench, kFlows, 2);
  bench->set_card_fault("slow_us", "60000000");
  bench->offload()->set_enabled(false);
  EXPECT_EQ(bench->offload()->status().under_way_count, kFlows);
  testing::internal::CaptureStderr();
  bench.reset();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("the card keeps 0 rules of flows, 10 operations under way"), std::string::npos)
      << log;
}

TEST(Leaving, WhatStaysOnTheCardAtTheEndIsNamed) {
  auto bench = make_world(kOneByOne, "", 1, false, 0, milliseconds(50));
  send_flows(*bench, 2, 2);
  bench->set_card_fault("destroy_percent", "100");
  testing::internal::CaptureStderr();
  bench.reset();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("the card keeps the rule of 10.10.1.11:1001 > 198.51.100.1:53"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("the card keeps 2 rules of flows, 0 operations"), std::string::npos) << log;
}

TEST(Leaving, ACardThatLetsAllGoIsLeftWithoutAWord) {
  auto bench = make_world(kUnlimited);
  send_flows(*bench, kFlows, 3);
  testing::internal::CaptureStderr();
  bench.reset();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// What a wire does not take is seen, by the name that the card has for it.
TEST(Leaving, PacketsThatAWireDoesNotTakeAreCounted) {
  const auto bench = make_world(kUnlimited);
  send_flows(*bench, 1, 3);
  const auto& uplink = bench->dataplane().ports().front();
  EXPECT_EQ(uplink.losses().wire_tx_failures, 0u);
  constexpr unsigned kSent = 3'000;
  for (unsigned i = 0; i < kSent; ++i) {
    ASSERT_TRUE(bench->send("vm1", frame_of_flow(0)));
    bench->turn();  // Nobody takes them from the wire.
  }
  bench->run();
  const std::size_t came = bench->take_output()["uplink"].size();
  EXPECT_GT(uplink.losses().wire_tx_failures, 0u);
  EXPECT_EQ(came + uplink.losses().wire_tx_failures, kSent);
}

}  // namespace
}  // namespace gannet::test
