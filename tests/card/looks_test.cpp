// SPDX-License-Identifier: BSD-3-Clause
// Worker and offload thread each keep books of the rules. A message of theirs is lost here, or one
// that nobody has sent comes: the audit finds what no longer fits together, and repairs it (O22).
#include "control/flow_view.hpp"
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "tests/card/conversation.hpp"

#include <gtest/gtest.h>

namespace gannet::test {
namespace {

using offload::Answer;
using offload::AnswerKind;
using offload::Exchange;
using offload::Order;
using offload::OrderKind;

class Looks : public testing::Test {
 protected:
  void SetUp() override {
    bench_ = make_world(kUnlimited);
    ASSERT_NE(bench_, nullptr);
    exchange_ = bench_->dataplane().exchanges().front();
  }

  [[nodiscard]] offload::EngineStats stats() { return bench_->offload()->status().stats; }
  // Twice as long as a round of looks takes, and connections do not age.
  void look_around() {
    for (int i = 0; i < 60; ++i) bench_->advance(kNanosPerSecond);
  }
  // Loses what waits in a ring. \return how many were of the kind.
  template <typename Message, typename Kind>
  static unsigned lose(SpscRing<Message>& ring, Kind kind) {
    Message message;
    unsigned count = 0;
    while (ring.try_pop(message)) count += message.kind == kind ? 1 : 0;
    return count;
  }
  void expect_repaired(unsigned orphans, unsigned lost) {
    EXPECT_EQ(stats().orphans, orphans);
    EXPECT_EQ(stats().lost, lost);
    look_around();
    EXPECT_EQ(stats().orphans, orphans) << "found again";
    EXPECT_EQ(stats().lost, lost) << "found again";
  }
  // What the flows are in force for, and nothing else, is on the card.
  void expect_on_card(unsigned flows) {
    EXPECT_EQ(rules(*bench_), flows);
    rte_pmd_emudpu_stats on_card{};
    ASSERT_EQ(rte_pmd_emudpu_stats_get(bench_->card_name().c_str(), &on_card), 0);
    EXPECT_EQ(on_card.rules_in_use, bench_->offload()->status().guard_count + flows);
  }
  // All is well again: each flow gets its rule, and takes it.
  void expect_all_go_to_card(unsigned flows) {
    send_flows(*bench_, flows, 40);
    EXPECT_EQ(rules(*bench_), flows);
    for (unsigned flow = 0; flow < flows; ++flow) {
      EXPECT_FALSE(comes_to_software(*bench_, "vm1", frame_of_flow(flow))) << flow;
    }
  }

  std::unique_ptr<BenchSwitch> bench_;
  Exchange* exchange_ = nullptr;
};

TEST_F(Looks, O22FindNothingWhereAllIsWell) {
  send_flows(*bench_, 50, 2);
  look_around();
  EXPECT_GE(stats().looks, 50u);
  expect_on_card(50);
  EXPECT_EQ(stats().installed, 50u);
  expect_repaired(0, 0);
}

TEST_F(Looks, O22FindARuleWhoseRemovalWasLost) {
  send_flows(*bench_, 5, 2);
  bench_->hold_offload(true);
  EXPECT_EQ(control::flush_flows(bench_->dataplane(), {}), 5u);
  EXPECT_EQ(lose(exchange_->orders, OrderKind::kRemove), 5u);
  bench_->hold_offload(false);
  expect_on_card(5);
  look_around();
  expect_on_card(0);
  expect_repaired(5, 0);
  expect_all_go_to_card(5);
}

TEST_F(Looks, O22FindAFlowWhoseOrderWasLost) {
  bench_->hold_offload(true);
  send_flows(*bench_, 5, 2);
  EXPECT_EQ(lose(exchange_->orders, OrderKind::kInstall), 5u);
  bench_->hold_offload(false);
  send_flows(*bench_, 5, 40);
  EXPECT_EQ(rules(*bench_), 0u);
  look_around();
  expect_repaired(0, 5);
  expect_all_go_to_card(5);
}

TEST_F(Looks, O22FindAFlowThatWasNotToldOfTheEndOfItsRule) {
  send_flows(*bench_, 5, 2);
  bench_->hold_offload(true);
  bench_->reset_card();
  bench_->offload()->turn();
  EXPECT_EQ(lose(exchange_->answers, AnswerKind::kWithdrawn), 5u);
  bench_->hold_offload(false);
  look_around();
  expect_repaired(0, 5);
  expect_all_go_to_card(5);
}

TEST_F(Looks, O22FindARuleOfWhichItsFlowWasNotTold) {
  bench_->hold_offload(true);
  send_flows(*bench_, 5, 2);
  bench_->offload()->turn();
  EXPECT_EQ(lose(exchange_->answers, AnswerKind::kInstalled), 5u);
  bench_->hold_offload(false);
  look_around();
  expect_on_card(0);
  expect_repaired(5, 0);
  expect_all_go_to_card(5);
}

// The worker gives a slot to another flow while the old one's rule is on the card.
TEST_F(Looks, O22FindARuleWhoseSlotAnotherFlowHas) {
  send_flows(*bench_, 1, 2);
  ASSERT_EQ(rules(*bench_), 1u);
  ASSERT_TRUE(
      exchange_->answers.try_push({AnswerKind::kRemoved, offload::Refusal::kNone, 0, 1, 0, 0, 0}));
  bench_->run();
  for (int i = 0; i < 2; ++i) pass(*bench_, "vm1", frame_of_flow(1), "uplink");
  expect_on_card(1);
  EXPECT_FALSE(comes_to_software(*bench_, "vm1", frame_of_flow(1)));
  EXPECT_TRUE(comes_to_software(*bench_, "vm1", frame_of_flow(0)));
  expect_repaired(1, 0);
  expect_all_go_to_card(2);
}

TEST_F(Looks, O22FindAFlowThatTakesItselfForOneOnTheCard) {
  send_flows(*bench_, 2, 1);
  auto& flow = bench_->dataplane().worker(0).connections().v4()[1].flows[0];
  ASSERT_EQ(flow.offload.state, flows::OffloadState::kCandidate);
  flow.offload.state = flows::OffloadState::kPending;
  bench_->advance(kNanosPerSecond);
  EXPECT_EQ(flow.offload.state, flows::OffloadState::kCandidate);
  expect_repaired(0, 1);
  expect_all_go_to_card(2);
}

// The worker has ordered the removal when it reads the look, and the engine has not read that.
TEST_F(Looks, O22TakeNothingThatIsUnderWayForADifference) {
  send_flows(*bench_, 20, 2);
  bench_->hold_offload(true);
  for (unsigned round = 0; round < 10; ++round) {
    bench_->set_time(bench_->time() + 5 * kNanosPerSecond);
    bench_->offload()->turn();
    ASSERT_GT(exchange_->answers.size(), 0u);
    // These wait while the connections end and begin anew.
    std::vector<Answer> waiting;
    Answer answer;
    while (exchange_->answers.try_pop(answer)) waiting.push_back(answer);
    control::FlowFilter filter;
    filter.port = static_cast<int>(1'000 + 2 * round);
    ASSERT_EQ(control::flush_flows(bench_->dataplane(), filter), 1u);
    for (const Answer& late : waiting) ASSERT_TRUE(exchange_->answers.try_push(late));
    bench_->run();
    bench_->offload()->turn();
    bench_->run();
  }
  EXPECT_GE(stats().looks, 20u);
  bench_->hold_offload(false);
  bench_->run();
  expect_on_card(10);
  expect_repaired(0, 0);
}

}  // namespace
}  // namespace gannet::test
