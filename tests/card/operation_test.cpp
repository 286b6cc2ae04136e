// SPDX-License-Identifier: BSD-3-Clause
// A card that is reset, switched off and on, refuses rules or takes its time, on a whole switch
// with a stopped clock.
#include "control/flow_view.hpp"
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "tests/card/conversation.hpp"

#include <string>

#include <gtest/gtest.h>

namespace gannet::test {
namespace {

/// What must hold whether rules go through template tables or one by one.
class OperatedEitherWay : public testing::TestWithParam<const char*> {};

TEST_P(OperatedEitherWay, ComesBackAfterAReset) {  // O12
  const auto bench = make_world(GetParam());
  send_flows(*bench, 50, 2);
  EXPECT_EQ(rules(*bench), 50u);
  bench->reset_card();
  send_flows(*bench, 50, 40);
  EXPECT_EQ(bench->offload()->status().stats.resets, 1u);
  EXPECT_EQ(bench->offload()->status().stats.counts_lost, 50u);
  EXPECT_EQ(rules(*bench), 50u);
  EXPECT_EQ(bench->drops().size(), 0u);
  EXPECT_FALSE(comes_to_software(*bench, "vm1", from_vm1(kInternet).udp(1'000, 53).bytes()));
}

TEST_P(OperatedEitherWay, CanBeSwitchedOffAndOnAgain) {  // O21
  const auto bench = make_world(GetParam());
  send_flows(*bench, 20, 3);
  bench->offload()->set_enabled(false);
  bench->run();
  EXPECT_EQ(rules(*bench), 0u);
  // Nor any other rule of ours: the card is out of the way.
  rte_pmd_emudpu_stats on_card{};
  ASSERT_EQ(rte_pmd_emudpu_stats_get(bench->card_name().c_str(), &on_card), 0);
  EXPECT_EQ(on_card.rules_in_use, 0u);
  EXPECT_EQ(bench->offload()->status().guard_count, 0u);
  send_flows(*bench, 20, 2);
  EXPECT_EQ(rules(*bench), 0u);
  bench->offload()->set_enabled(true);
  send_flows(*bench, 20, 2);
  EXPECT_EQ(rules(*bench), 20u);
  EXPECT_EQ(bench->miscounted(), "");
}

// More flows than a worker takes answers for at a time; and it has not taken any yet when offload
// is on again. (O21)
TEST_P(OperatedEitherWay, TakesTheFlowsBackWhoseWithdrawalNobodyHasReadYet) {
  const auto bench = make_world(GetParam());
  send_flows(*bench, 300, 2);
  bench->offload()->set_enabled(false);
  bench->offload()->set_enabled(true);
  send_flows(*bench, 300, 2);
  EXPECT_EQ(rules(*bench), 300u);
  EXPECT_EQ(bench->miscounted(), "");
}

// The card lets the rules go only when offload is on again. (O11, O21)
TEST_P(OperatedEitherWay, TakesTheFlowsBackWhoseRulesLeftLate) {
  const auto bench = make_world(GetParam());
  send_flows(*bench, 20, 2);
  bench->set_card_fault("destroy_percent", "100");
  bench->offload()->set_enabled(false);
  bench->run();
  bench->offload()->set_enabled(true);
  bench->set_card_fault("destroy_percent", "0");
  bench->advance(kNanosPerSecond);
  EXPECT_EQ(rules(*bench), 0u);
  send_flows(*bench, 20, 50);
  EXPECT_EQ(rules(*bench), 20u);
  EXPECT_EQ(bench->miscounted(), "");
}

// What is refused for good is so until the policy changes, though the change does not concern the
// flow otherwise. (O6)
TEST_P(OperatedEitherWay, IsAskedAgainAfterEachChangeOfPolicy) {
  const auto bench = make_world(GetParam());
  send_flows(*bench, 1, 1);
  auto& connections = bench->dataplane().worker(0).connections();
  auto& flow = connections.v4()[0].flows[0];
  ASSERT_EQ(flow.offload.state, flows::OffloadState::kCandidate);
  flow.offload.state = flows::OffloadState::kRefused;
  flow.offload.reason = static_cast<std::uint8_t>(offload::Refusal::off);
  send_flows(*bench, 1, 50);
  EXPECT_EQ(rules(*bench), 0u);
  const std::uint64_t judged = connections.reevaluated_count();
  ASSERT_TRUE(bench->apply("locked", world_policy(true)).has_value());
  EXPECT_EQ(connections.reevaluated_count(), judged);
  EXPECT_GT(connections.adopted_count(), 0u);
  send_flows(*bench, 1, 2);
  EXPECT_EQ(rules(*bench), 1u);
  EXPECT_EQ(bench->miscounted(), "");
}

TEST_P(OperatedEitherWay, RepeatsWhatItDidNotRemove) {  // O11
  const auto bench = make_world(GetParam(), "timers: {udp: 5s, udp_stream: 5s}\n");
  send_flows(*bench, 10, 2);
  bench->set_card_fault("destroy_percent", "100");
  bench->advance(20 * kNanosPerSecond);
  EXPECT_EQ(bench->connection_count(), 0u);
  EXPECT_EQ(bench->offload()->status().stuck_count, 10u);
  // Nothing that looks the same may hide behind them.
  send_flows(*bench, 10, 3);
  EXPECT_EQ(rules(*bench), 0u);
  bench->set_card_fault("destroy_percent", "0");
  bench->advance(kNanosPerSecond);
  EXPECT_EQ(bench->offload()->status().stuck_count, 0u);
  send_flows(*bench, 10, 40);
  EXPECT_EQ(rules(*bench), 10u);
  EXPECT_GT(bench->offload()->status().stats.remove_failures, 0u);
}

TEST_P(OperatedEitherWay, LeavesNothingBehind) {  // O20
  const auto bench = make_world(GetParam(), "timers: {udp: 1s, udp_stream: 1s}\n");
  const std::size_t guards = bench->offload()->status().guard_count;
  rte_pmd_emudpu_stats stats{};
  ASSERT_EQ(rte_pmd_emudpu_stats_get("net_emudpu0", &stats), 0);
  const std::uint32_t counters = stats.counters_in_use;  // Of the guards.
  for (unsigned round = 0; round < 20; ++round) {
    send_flows(*bench, 200, 2);
    bench->advance(3 * kNanosPerSecond);
  }
  ASSERT_EQ(rte_pmd_emudpu_stats_get("net_emudpu0", &stats), 0);
  EXPECT_EQ(stats.rules_in_use, guards);
  EXPECT_EQ(stats.counters_in_use, counters);
  EXPECT_EQ(bench->offload()->status().stats.installed, 4'000u);
}

TEST_P(OperatedEitherWay, IsTakenAsTheCardHasIt) {
  const auto bench = make_world(GetParam());
  send_flows(*bench, 3, 2);
  const auto status = bench->offload()->status();
  const bool has_queues = std::string(GetParam()) == kUnlimited;
  EXPECT_EQ(status.has_templates, has_queues);
  EXPECT_EQ(status.table_count, has_queues ? 1u : 0u);
  EXPECT_EQ(bench->offload()->capabilities().has(offload::Ability::templates), has_queues);
  EXPECT_EQ(status.under_way_count, 0u);
}

// What fails on the way has the reasons that a refusal at once would have. (O10)
TEST_P(OperatedEitherWay, ARefusalHasItsReason) {
  const auto bench = make_world(GetParam());
  const auto refusals = [&](offload::Refusal reason) {
    return bench->offload()->status().stats.refusals[static_cast<std::size_t>(reason)];
  };
  bench->set_card_fault("insert_percent", "100");
  send_flows(*bench, 5, 2);
  EXPECT_EQ(refusals(offload::Refusal::insert_failed), 5u);
  bench->set_card_fault("insert_percent", "0");
  bench->set_card_fault("full", "1");
  send_flows(*bench, 5, 40);
  EXPECT_GE(refusals(offload::Refusal::card_full), 5u);
  EXPECT_EQ(rules(*bench), 0u);
  bench->set_card_fault("full", "0");
  send_flows(*bench, 5, 40);
  EXPECT_EQ(rules(*bench), 5u);
  EXPECT_EQ(bench->miscounted(), "");
}

// Rules that the card takes its time for: what comes for them meanwhile waits its turn. (O14)
TEST(CardInOperation, KeepsTheOrderOfWhatIsUnderWay) {
  const auto bench = make_world(kUnlimited);
  bench->set_card_fault("slow_us", "5000");
  const Bytes request = from_remote(*bench, kVm1Mac, kVm1).udp(2000, 53).bytes();
  for (int i = 0; i < 2; ++i) pass(*bench, "uplink", request, "vm1");
  EXPECT_EQ(rules(*bench), 0u);
  EXPECT_EQ(bench->offload()->status().under_way_count, 1u);
  // Cut while its rule is on its way: the receipt waits until the rule has come and gone.
  ASSERT_TRUE(bench->apply("locked", world_policy(true), false).has_value());
  bench->set_time(bench->time() + kNanosPerMilli);
  bench->run();
  EXPECT_LT(bench->offload()->conforming_generation(), bench->controller().generation());
  for (int i = 0; i < 20; ++i) bench->advance(kNanosPerMilli);
  EXPECT_EQ(bench->offload()->conforming_generation(), bench->controller().generation());
  EXPECT_EQ(bench->offload()->status().under_way_count, 0u);
  EXPECT_EQ(rules(*bench), 0u);
  EXPECT_EQ(bench->offload()->status().stats.installed, 1u);
  EXPECT_EQ(bench->offload()->status().stats.removed, 1u);
}

// A reset takes what is on its way to the card as well. (O12)
TEST(CardInOperation, AResetEndsWhatIsUnderWay) {
  const auto bench = make_world(kUnlimited);
  bench->set_card_fault("slow_us", "5000");
  send_flows(*bench, 50, 2);
  EXPECT_EQ(bench->offload()->status().under_way_count, 50u);
  bench->reset_card();
  bench->run();
  EXPECT_EQ(bench->offload()->status().under_way_count, 0u);
  EXPECT_EQ(rules(*bench), 0u);
  send_flows(*bench, 50, 40);
  for (int i = 0; i < 8; ++i) bench->advance(kNanosPerMilli);
  EXPECT_EQ(rules(*bench), 50u);
  bench->set_card_fault("slow_us", "0");
  EXPECT_EQ(bench->miscounted(), "");
}

INSTANTIATE_TEST_SUITE_P(CardInOperation, OperatedEitherWay,
                         testing::Values(kUnlimited, kOneByOne));

}  // namespace
}  // namespace gannet::test
