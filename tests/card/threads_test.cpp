// SPDX-License-Identifier: BSD-3-Clause
// Several threads change what is on a card, and several switches have one each.
#include "control/flow_view.hpp"
#include "tests/card/conversation.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gannet::test {
namespace {

using std::chrono::steady_clock;

// Once more each flow's packet: on the card.
void expect_on_card(BenchSwitch& bench, unsigned flows) {
  for (unsigned flow = 0; flow < flows; ++flow) {
    EXPECT_FALSE(comes_to_software(bench, "vm1", frame_of_flow(flow))) << flow;
  }
}

TEST(Switches, OneThatGoesLeavesTheOthersRulesAlone) {  // O13
  const auto stays = make_world(kUnlimited);
  auto goes = make_world(kUnlimited);
  send_flows(*stays, 50, 2);
  send_flows(*goes, 50, 2);
  goes.reset();
  expect_on_card(*stays, 50);
  EXPECT_EQ(stays->offload()->status().stats.installed, 50u);
  EXPECT_EQ(stays->offload()->status().stats.removed, 0u);
  EXPECT_EQ(stays->miscounted(), "");
}

TEST(Switches, APortThatGoesLeavesTheOthersRulesAlone) {  // O13
  const auto bench = make_world(kUnlimited);
  send_flows(*bench, 50, 2);
  const Bytes other = from_vm2(kInternet).udp(7, 8).bytes();
  for (int i = 0; i < 2; ++i) pass(*bench, "vm2", other, "uplink");
  ASSERT_EQ(rules(*bench), 51u);
  std::string policy = world_policy();
  const std::size_t vm2 = policy.find("  vm2: {");
  policy.erase(vm2, policy.find("nat_gateways:") - vm2);
  const auto applied = bench->apply("without vm2", policy);
  ASSERT_TRUE(applied.has_value()) << applied.error().message;
  EXPECT_TRUE(comes_to_software(*bench, "vm2", other));
  expect_on_card(*bench, 50);
  EXPECT_EQ(bench->offload()->status().stats.installed, 51u);
  EXPECT_EQ(bench->offload()->status().stats.removed, 1u);
  EXPECT_EQ(bench->miscounted(), "");
}

// What an operator does to a switch, at random and all the time. Control thread.
void meddle(BenchSwitch& bench, const std::atomic<bool>& stops) {
  std::minstd_rand random(3);
  bool is_enabled = true;
  bool has_moved = false;
  std::string policy = world_policy(true);
  const std::size_t host = policy.find(".13, mac");  // Of a VM that nobody sends to.
  while (!stops.load()) {
    control::FlowFilter filter;
    filter.port = static_cast<int>(1'000 + random() % 200);
    const auto choice = random() % 8;
    if (choice > 1) {
      control::flush_flows(bench.dataplane(), filter);
    } else if (choice == 1) {
      policy.replace(host, 3, (has_moved = !has_moved) ? ".12" : ".13");
      EXPECT_TRUE(bench.apply("world", policy, false).has_value());
    } else {
      is_enabled = !is_enabled;
      bench.offload()->set_enabled(is_enabled);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3'000));
  }
}

// The frames of flows of vm1 to the internet that have come out right, and the others.
class Receiver {
 public:
  static constexpr unsigned kFlows = 200;

  explicit Receiver(BenchSwitch& bench) : bench_(bench) {
    for (unsigned flow = 0; flow < kFlows; ++flow) {
      right_[flow] = make_right(flow);
    }
  }
  void receive() {
    bench_.run();
    for (const auto& [port, frames] : bench_.take_output()) {
      for (const Bytes& frame : frames) {
        const unsigned flow = load<Be16>(frame.data() + 34).host() - 1'000U;
        const bool is_right = port == "uplink" && flow < kFlows && frame == right_[flow];
        ++(is_right ? right_count : wrong_count);
      }
    }
  }

  unsigned right_count = 0;
  unsigned wrong_count = 0;

 private:
  // Routed, and its source address translated.
  Bytes make_right(unsigned flow) const {
    IpFields fields;
    fields.ttl = static_cast<std::uint8_t>(fields.ttl - 1);
    return Packet()
        .eth(bench_.uplink_mac(), kRouterMac)
        .ip(kPublic1, kInternet, fields)
        .udp(static_cast<std::uint16_t>(1'000 + flow), 53)
        .bytes();
  }
  BenchSwitch& bench_;
  std::array<Bytes, kFlows> right_;
};

// Two workers ask for rules and give them up while a card that is too small, and fails one
// insertion in ten, is switched off and on, flows are flushed and age and policies change: each
// packet comes out once, and right. And the audit, which asks after every rule a hundred times a
// second meanwhile, takes nothing that is under way for a difference.
TEST(Threads, InsertAndDeleteAtRandomAndNoPacketGoesWrong) {  // O19, O22
  const auto bench =
      make_world("profile=unlimited,slots=150", "timers: {udp: 30ms, udp_stream: 30ms}\n", 2, true,
                 10 * kNanosPerMilli);
  ASSERT_NE(bench, nullptr);
  bench->set_card_fault("insert_percent", "10");
  ASSERT_TRUE(bench->apply("locked", world_policy(true), false).has_value());
  std::atomic<bool> stops{false};
  std::thread operating([&] { meddle(*bench, stops); });
  Receiver receiver(*bench);
  std::minstd_rand random(1);
  unsigned sent = 0;
  const auto give_up = steady_clock::now() + std::chrono::seconds(20);
  while (sent < 30'000 && steady_clock::now() < give_up) {
    // No more under way than the rings hold.
    if (sent - receiver.right_count - receiver.wrong_count < 64) {
      sent += bench->send("vm1", frame_of_flow(random() % Receiver::kFlows)) ? 1 : 0;
      // In between somebody asks what the policy denies.
      if (sent % 16 == 0) bench->send("uplink", from_internet(*bench, kPublic1).udp(9, 53).bytes());
    }
    receiver.receive();
  }
  stops.store(true);
  operating.join();
  while (receiver.right_count + receiver.wrong_count < sent && steady_clock::now() < give_up) {
    receiver.receive();
  }
  EXPECT_EQ(receiver.wrong_count, 0u);
  EXPECT_EQ(receiver.right_count, sent);
  const auto stats = bench->offload()->status().stats;
  EXPECT_GT(stats.installed, 100u);
  EXPECT_GT(stats.removed, 100u);
  EXPECT_GT(stats.refusals[static_cast<std::size_t>(offload::Refusal::off)], 0u);
  EXPECT_GT(stats.looks, 1'000u);
  EXPECT_EQ(stats.orphans, 0u);
  EXPECT_EQ(stats.lost, 0u);
}

}  // namespace
}  // namespace gannet::test
