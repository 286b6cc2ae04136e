// SPDX-License-Identifier: BSD-3-Clause
// What goes wrong on a card is found and repaired, and counted (O22).
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "tests/card/conversation.hpp"

#include <gtest/gtest.h>

namespace gannet::test {
namespace {

offload::EngineStats stats_of(BenchSwitch& bench) { return bench.offload()->status().stats; }

std::vector<Bytes> send_and_take(BenchSwitch& bench, const std::string& from, const Bytes& frame,
                                 const std::string& to) {
  bench.send(from, frame);
  bench.run();
  return bench.take_output()[to];
}

// Sends a frame each ten milliseconds. \return how many came out other than `right`.
unsigned count_wrong(BenchSwitch& bench, const std::string& from, const Bytes& frame,
                     const std::string& to, const Bytes& right, unsigned times) {
  unsigned wrong = 0;
  for (unsigned i = 0; i < times; ++i) {
    const auto out = send_and_take(bench, from, frame, to);
    wrong += out != std::vector<Bytes>{right} ? 1 : 0;
    bench.advance(10 * kNanosPerMilli);
  }
  return wrong;
}

struct Conversation {
  const char* what;
  std::string from;
  Bytes frame;
  std::string to;
};

std::vector<Conversation> conversations(const BenchSwitch& bench) {
  return {{"into a tunnel", "vm1", from_vm1(kRemote).udp(1000, 53).data(10).bytes(), "uplink"},
          {"out of a tunnel", "uplink",
           from_remote(bench, kVm1Mac, kVm1).udp(2000, 53).data(4).bytes(), "vm1"},
          {"between VMs", "vm1", from_vm1(kVm2).udp(1000, 60).data(4).bytes(), "vm2"},
          {"to the internet, translated", "vm2", from_vm2(kInternet).udp(7, 8).data(4).bytes(),
           "uplink"},
          {"from the internet, translated", "uplink",
           from_internet(bench, kPublic1).udp(9, 60).data(4).bytes(), "vm1"}};
}

// A rule that the card has taken but carries out otherwise. (O22)
TEST(Audit, FindsASilentlyWrongRuleAndReplacesIt) {
  for (unsigned i = 0; i < 5; ++i) {
    const auto bench = make_world(kUnlimited);
    const Conversation c = conversations(*bench)[i];
    SCOPED_TRACE(c.what);
    const auto first = send_and_take(*bench, c.from, c.frame, c.to);
    ASSERT_EQ(first.size(), 1u);
    bench->set_card_fault("wrong", "1");
    send_and_take(*bench, c.from, c.frame, c.to);
    ASSERT_EQ(stats_of(*bench).rules, 1u);
    EXPECT_GT(count_wrong(*bench, c.from, c.frame, c.to, first.front(), 40), 0u);
    EXPECT_EQ(stats_of(*bench).wrong, 1u);
    EXPECT_EQ(stats_of(*bench).repaired, 1u);
    // In software, then on the card again with a rule that is right.
    EXPECT_EQ(count_wrong(*bench, c.from, c.frame, c.to, first.front(), 60), 0u);
    EXPECT_EQ(stats_of(*bench).rules, 1u);
    EXPECT_EQ(stats_of(*bench).wrong, 1u);
    EXPECT_GT(stats_of(*bench).audited, 0u);
  }
}

TEST(Audit, FindsNothingWrongWithRulesThatAreRight) {  // O22
  const auto bench = make_world(kUnlimited);
  for (unsigned i = 0; i < 100; ++i) {
    for (const Conversation& c : conversations(*bench)) {
      EXPECT_EQ(send_and_take(*bench, c.from, c.frame, c.to).size(), 1u) << c.what;
    }
    bench->advance(10 * kNanosPerMilli);
  }
  EXPECT_EQ(stats_of(*bench).rules, 5u);
  EXPECT_GE(stats_of(*bench).audited, 20u);
  EXPECT_EQ(stats_of(*bench).wrong, 0u);
  // Watches leave nothing behind.
  for (unsigned i = 0; i < 50; ++i) bench->advance(100 * kNanosPerMilli);
  rte_pmd_emudpu_stats on_card{};
  ASSERT_EQ(rte_pmd_emudpu_stats_get(bench->card_name().c_str(), &on_card), 0);
  EXPECT_EQ(on_card.rules_in_use, bench->offload()->status().guard_count + 5);
}

// Who asks his own public address sends requests and replies with the same addresses and numbers.
TEST(Audit, TellsRequestsFromReplies) {
  const auto bench = make_world(kUnlimited);
  const Bytes messages[] = {from_vm1(kPublic1).echo_request(7).bytes(),
                            from_vm1(kPublic1).echo_reply(7).bytes()};
  for (unsigned i = 0; i < 300; ++i) {
    for (const Bytes& message : messages) {
      EXPECT_EQ(send_and_take(*bench, "vm1", message, "vm1").size(), 1u);
    }
    bench->advance(5 * kNanosPerMilli);
    // No later packet makes good what a watch has missed.
    for (unsigned quiet = 0; i % 10 == 9 && quiet < 30; ++quiet) {
      bench->advance(10 * kNanosPerMilli);
    }
  }
  EXPECT_EQ(stats_of(*bench).rules, 2u);
  EXPECT_GE(stats_of(*bench).audited, 5u);
  EXPECT_EQ(stats_of(*bench).wrong, 0u);
}

// Packets go on, but the card does not tell of any flow that is idle: counters are what counts.
// (O8)
TEST(Audit, NeedsNoAgedEvents) {
  const auto bench = make_world(kUnlimited, "timers: {udp: 5s, udp_stream: 5s}\n");
  bench->set_card_fault("lost_aged_percent", "100");
  for (int i = 0; i < 3; ++i) {
    for (const Conversation& c : conversations(*bench)) {
      send_and_take(*bench, c.from, c.frame, c.to);
    }
  }
  EXPECT_EQ(stats_of(*bench).rules, 5u);
  bench->advance(6 * kNanosPerSecond);
  EXPECT_EQ(bench->connection_count(), 0u);
  EXPECT_EQ(stats_of(*bench).rules, 0u);
}

// A reset behind which the card does not take the guards at once. (O12)
TEST(Audit, TriesAgainUntilTheCardTakesItsGuards) {
  const auto bench = make_world(kUnlimited);
  const Conversation c = conversations(*bench).front();
  const auto first = send_and_take(*bench, c.from, c.frame, c.to);
  send_and_take(*bench, c.from, c.frame, c.to);
  ASSERT_EQ(stats_of(*bench).rules, 1u);
  bench->set_card_fault("full", "1");
  bench->reset_card();
  EXPECT_EQ(count_wrong(*bench, c.from, c.frame, c.to, first.front(), 50), 0u);
  EXPECT_EQ(stats_of(*bench).rules, 0u);
  EXPECT_GT(stats_of(*bench).restart_failures, 3u);
  bench->set_card_fault("full", "0");
  EXPECT_EQ(count_wrong(*bench, c.from, c.frame, c.to, first.front(), 50), 0u);
  EXPECT_EQ(stats_of(*bench).rules, 1u);
}

// Half of a batch is on the card when it loses everything. (O12)
TEST(Audit, AResetInTheMiddleOfABatchCostsNoPacket) {
  const auto bench = make_world(kUnlimited);
  bench->hold_offload(true);
  const auto frame = [](unsigned i) {
    return from_vm1(kInternet).udp(static_cast<std::uint16_t>(1'000 + i), 53).bytes();
  };
  const auto pass_all = [&] {
    unsigned came = 0;
    for (unsigned i = 0; i < 500; ++i) {
      came += static_cast<unsigned>(send_and_take(*bench, "vm1", frame(i), "uplink").size());
    }
    return came;
  };
  EXPECT_EQ(pass_all(), 500u);
  EXPECT_EQ(pass_all(), 500u);
  bench->offload()->turn();  // The first part of the orders.
  const std::uint64_t before = stats_of(*bench).rules;
  EXPECT_GT(before, 0u);
  EXPECT_LT(before, 500u);
  bench->reset_card();
  bench->hold_offload(false);
  EXPECT_EQ(pass_all(), 500u);
  for (unsigned i = 0; i < 45; ++i) {  // Well within a second.
    EXPECT_EQ(pass_all(), 500u);
    bench->advance(10 * kNanosPerMilli);
  }
  EXPECT_EQ(stats_of(*bench).rules, 500u);
  EXPECT_EQ(stats_of(*bench).resets, 1u);
  EXPECT_EQ(stats_of(*bench).wrong, 0u);
  EXPECT_EQ(bench->drops().size(), 0u);
}

}  // namespace
}  // namespace gannet::test
