// SPDX-License-Identifier: BSD-3-Clause
// What people are told: why a flow is not on the card, and in the log what the card has done.
#include "control/card_watch.hpp"
#include "control/flow_view.hpp"
#include "control/offload_view.hpp"
#include "tests/card/conversation.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gannet::test {
namespace {

// Of the one flow that there is.
std::string path(BenchSwitch& bench) {
  const auto list = control::list_flows(bench.dataplane(), {}, 10);
  EXPECT_EQ(list.records.size(), 1u);
  const auto json = control::to_json(list.records.front(), bench.controller().names(),
                                     control::PathTexts(bench.controller()));
  return json["path"];
}

// Before the card has been asked, too. (O4)
TEST(Paths, SayWhatKeepsAFlowInSoftwareForGood) {
  const auto bench = make_world(kUnlimited, "offload: {min_packets: 3}\n");
  pass(*bench, "vm1", frame_of_flow(0), "uplink");
  EXPECT_EQ(path(*bench), "software (few_packets)");
  ASSERT_TRUE(bench->offload()->set_enabled(false));
  EXPECT_EQ(path(*bench), "software (off)");
  ASSERT_TRUE(bench->offload()->set_enabled(true));
  EXPECT_EQ(path(*bench), "software (few_packets)");

  std::string limited = world_policy();
  const std::string port = "port: vm1,";
  limited.replace(limited.find(port), port.size(), port + " qos: {bandwidth: 1Gbps},");
  const auto applied = bench->apply("limited", limited);
  ASSERT_TRUE(applied.has_value()) << applied.error().message;
  EXPECT_EQ(path(*bench), "software (rate_limited)");
  ASSERT_TRUE(bench->apply("world", world_policy()).has_value());
  EXPECT_EQ(path(*bench), "software (few_packets)");
  for (int i = 0; i < 2; ++i) pass(*bench, "vm1", frame_of_flow(0), "uplink");
  EXPECT_EQ(path(*bench), "hardware");
}

TEST(Paths, SayWhenTcpIsStrict) {  // O4
  const auto bench =
      make_world(kUnlimited, "tracking: {strict_tcp: true}\noffload: {min_packets: 9}\n");
  pass(*bench, "vm1",
       from_vm1(kInternet)
           .tcp({.source_port = 7, .destination_port = 8, .flags = packet::kTcpSyn})
           .bytes(),
       "uplink");
  EXPECT_EQ(path(*bench), "software (strict_tcp)");
}

TEST(Paths, SayWhenThereIsNoCard) {  // O4
  const auto bench = make_world("");
  pass(*bench, "vm1", frame_of_flow(0), "uplink");
  EXPECT_EQ(path(*bench), "software (no_card)");
}

// Once when it happens, then at most once a minute, with how often. (O12)
TEST(CardWatch, SaysInTheLogWhatTheCardHasDone) {
  const auto bench = make_world(kUnlimited);
  control::CardWatch watch;
  const auto news = [&](Nanos after) {
    return watch.news(bench->offload()->status(), kNanosPerSecond + after);
  };
  EXPECT_TRUE(news(0).empty());
  const auto reset = [&] {
    bench->reset_card();
    bench->run();
  };
  const std::string what = "reset: all rules are gone, flows go on in software and come back";
  reset();
  EXPECT_EQ(news(0), std::vector{"card: 1 x " + what + " (1 since the start)"});
  EXPECT_TRUE(news(0).empty());
  for (int i = 0; i < 3; ++i) reset();
  EXPECT_TRUE(news(control::CardWatch::kPause - 1).empty());
  EXPECT_EQ(news(control::CardWatch::kPause),
            std::vector{"card: 3 x " + what + " (4 since the start)"});
  EXPECT_TRUE(news(3 * control::CardWatch::kPause).empty());
}

}  // namespace
}  // namespace gannet::test
