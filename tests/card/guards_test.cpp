// SPDX-License-Identifier: BSD-3-Clause
// Guards that do not do what they were told: found, put anew, counted (O16, O22); and a card that
// executes them wrongly is out of the way when offload is off (O21).
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "tests/card/conversation.hpp"

#include <gtest/gtest.h>

namespace gannet::test {
namespace {

std::uint64_t wrong_guards(BenchSwitch& bench) { return bench.offload()->status().wrong_guards; }

std::size_t came_out(BenchSwitch& bench, const std::string& from, const Bytes& frame,
                     const std::string& to) {
  bench.send(from, frame);
  bench.run();
  return bench.take_output()[to].size();
}

// Guards are put anew, `after` of them right, the next one wrong.
void spoil_guard(BenchSwitch& bench, std::size_t after) {
  bench.offload()->set_enabled(false);
  bench.set_card_fault("wrong_after", std::to_string(after));
  bench.set_card_fault("wrong", "1");
  ASSERT_TRUE(bench.offload()->set_enabled(true));
}

// A packet whose TTL ends here is for software, which answers it.
Bytes last_hop() {
  IpFields fields;
  fields.ttl = 1;
  return from_vm1(kInternet, fields).udp(1'000, 53).data(30).bytes();
}

// O16 O22: the first guard keeps back what has too low a TTL; it loses it instead.
TEST(Guards, O22OneThatLosesWhatItKeepsBackIsPutAnew) {
  const auto bench = make_world(kUnlimited);
  send_flows(*bench, 1, 3);
  ASSERT_EQ(came_out(*bench, "vm1", last_hop(), "vm1"), 1u);
  spoil_guard(*bench, 0);
  send_flows(*bench, 1, 3);
  ASSERT_EQ(rules(*bench), 1u);
  EXPECT_EQ(came_out(*bench, "vm1", last_hop(), "vm1"), 0u);
  EXPECT_EQ(came_out(*bench, "vm1", last_hop(), "vm1"), 0u);
  for (unsigned i = 0; i < 10; ++i) bench->advance(100 * kNanosPerMilli);
  EXPECT_EQ(wrong_guards(*bench), 1u);
  EXPECT_EQ(came_out(*bench, "vm1", last_hop(), "vm1"), 1u);
  send_flows(*bench, 1, 3);
  for (unsigned i = 0; i < 10; ++i) bench->advance(100 * kNanosPerMilli);
  EXPECT_EQ(wrong_guards(*bench), 1u);
  EXPECT_FALSE(comes_to_software(*bench, "vm1", frame_of_flow(0)));
}

// O22: the last but one lets IPv4 through to the flows; it loses all of it.
TEST(Guards, O22OneThatLosesWhatItLetsThroughIsPutAnew) {
  const auto bench = make_world(kUnlimited);
  const std::size_t all = bench->offload()->status().guard_count;
  send_flows(*bench, 5, 3);
  spoil_guard(*bench, all - 2);
  for (unsigned i = 0; i < 45; ++i) {
    came_out(*bench, "vm1", frame_of_flow(i % 5), "uplink");
    bench->advance(100 * kNanosPerMilli);
  }
  EXPECT_EQ(wrong_guards(*bench), 1u);
  send_flows(*bench, 5, 4);
  EXPECT_EQ(rules(*bench), 5u);
  EXPECT_FALSE(comes_to_software(*bench, "vm1", frame_of_flow(0)));
}

// O22: flows, packets that no rule takes, and odd ones: all arrive.
TEST(Guards, O22ThoseThatAreRightAreLeftAlone) {
  const auto bench = make_world(kUnlimited);
  for (unsigned i = 0; i < 60; ++i) {
    send_flows(*bench, 5, 1);
    EXPECT_EQ(came_out(*bench, "vm1", last_hop(), "vm1"), 1u);
    came_out(*bench, "vm2", from_vm2(kInternet).udp(static_cast<std::uint16_t>(i), 8).bytes(),
             "uplink");
    bench->advance(100 * kNanosPerMilli);
  }
  EXPECT_EQ(wrong_guards(*bench), 0u);
  EXPECT_GT(bench->offload()->status().audited_guards, 20u);
}

// O21: whatever the card makes of guards, without offload it makes nothing.
TEST(Guards, O21AreGoneWhileOffloadIsOff) {
  const auto bench = make_world(kUnlimited);
  const std::size_t all = bench->offload()->status().guard_count;
  spoil_guard(*bench, all - 2);
  EXPECT_EQ(came_out(*bench, "vm1", frame_of_flow(0), "uplink"), 0u);
  bench->offload()->set_enabled(false);
  send_flows(*bench, 5, 3);
  bench->set_card_fault("destroy_percent", "100");
  ASSERT_TRUE(bench->offload()->set_enabled(true));
  bench->offload()->set_enabled(false);
  EXPECT_EQ(bench->offload()->status().guard_count, all);
  bench->set_card_fault("destroy_percent", "0");
  bench->advance(kNanosPerSecond);
  EXPECT_EQ(bench->offload()->status().guard_count, 0u);
  bench->set_card_fault("full", "1");
  EXPECT_FALSE(bench->offload()->set_enabled(true));
  send_flows(*bench, 5, 3);
  EXPECT_EQ(rules(*bench), 0u);
  bench->set_card_fault("full", "0");
  EXPECT_TRUE(bench->offload()->set_enabled(true));
  send_flows(*bench, 5, 3);
  EXPECT_EQ(rules(*bench), 5u);
}

// O12 O21: a reset does not bring them back.
TEST(Guards, O12StayAwayAfterAResetWhileOffloadIsOff) {
  const auto bench = make_world(kUnlimited);
  bench->offload()->set_enabled(false);
  bench->reset_card();
  bench->advance(kNanosPerSecond);
  EXPECT_EQ(bench->offload()->status().guard_count, 0u);
  send_flows(*bench, 5, 3);
  EXPECT_EQ(rules(*bench), 0u);
}

}  // namespace
}  // namespace gannet::test
