// SPDX-License-Identifier: BSD-3-Clause
// The card's limits, faults, ageing, counters and queues.
#include "tests/support/literals.hpp"
#include "tests/unit/flows/emudpu/card_fixture.hpp"

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <utility>

namespace gannet::emudpu {
namespace {

using namespace test;  // NOLINT

class EmudpuCard : public CardTest {
 protected:
  Rule* forward(std::uint16_t destination_port = 2000) {
    return create(udp_pattern(destination_port),
                  Actions().action(RTE_FLOW_ACTION_TYPE_COUNT).to_port(0));
  }
  int error_of(Items items, Actions actions, rte_flow_error_type type) {
    EXPECT_EQ(create(std::move(items), std::move(actions)), nullptr);
    EXPECT_EQ(error_.type, type) << (error_.message == nullptr ? "" : error_.message);
    return rte_errno;
  }
  void fault(const char* name, const char* value) {
    ASSERT_TRUE(card_->faults().set(name, value)) << name;
  }
};

TEST_F(EmudpuCard, OfConnectxWantsDecapThenChangesThenEncap) {
  use("connectx6dx");
  const Bytes head = Packet().eth("02:00:00:00:00:0a"_mac, "02:00:00:00:00:0b"_mac, 0x88b5).bytes();
  const rte_flow_action_raw_encap put{const_cast<std::uint8_t*>(head.data()), nullptr, head.size()};
  const rte_flow_action_set_tp port{Be16(5).raw()};
  EXPECT_NE(create(udp_pattern(), Actions()
                                      .action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port)
                                      .action(RTE_FLOW_ACTION_TYPE_RAW_ENCAP, put)
                                      .to_port(0)),
            nullptr);
  EXPECT_EQ(error_of(udp_pattern(3),
                     Actions()
                         .action(RTE_FLOW_ACTION_TYPE_RAW_ENCAP, put)
                         .action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port)
                         .to_port(0),
                     RTE_FLOW_ERROR_TYPE_ACTION),
            EINVAL);
  EXPECT_EQ(error_of(udp_pattern(3), Actions().action(RTE_FLOW_ACTION_TYPE_COUNT),
                     RTE_FLOW_ERROR_TYPE_ACTION),
            EINVAL);
  EXPECT_EQ(error_of(udp_pattern(3), Actions().action(RTE_FLOW_ACTION_TYPE_VXLAN_DECAP).to_port(0),
                     RTE_FLOW_ERROR_TYPE_ACTION),
            EINVAL);
}

TEST_F(EmudpuCard, OfConnectxTakesARuleWithoutAPortItemForItsOwnPort) {
  use("connectx6dx");
  Items any;
  any.item(RTE_FLOW_ITEM_TYPE_ETH);
  ASSERT_NE(create(any, Actions().to_port(2)), nullptr);
  EXPECT_EQ(send(udp_packet().bytes(), 0).kind, Outcome::kWire);
  EXPECT_EQ(send(udp_packet().bytes(), 1).kind, Outcome::kProgram);
}

TEST_F(EmudpuCard, OfE810ChangesNoHeader) {
  use("e810");
  EXPECT_NE(create(udp_pattern(), Actions().to_port(0)), nullptr);
  EXPECT_EQ(error_of(udp_pattern(3), Actions().action(RTE_FLOW_ACTION_TYPE_DEC_TTL).to_port(0),
                     RTE_FLOW_ERROR_TYPE_ACTION),
            ENOTSUP);
  EXPECT_EQ(create(udp_pattern(3), Actions().to_port(0), 1), nullptr);
  EXPECT_EQ(error_.type, RTE_FLOW_ERROR_TYPE_ATTR_GROUP);
}

// covers: O9
TEST_F(EmudpuCard, TakesAsManyRulesAsItHasSlots) {
  use("tiny");
  std::vector<Rule*> rules;
  for (std::uint16_t i = 0; i < 40; ++i) {
    rules.push_back(forward(i));
    ASSERT_NE(rules.back(), nullptr) << error_.message;
  }
  EXPECT_EQ(forward(40), nullptr);
  EXPECT_EQ(rte_errno, ENOSPC);
  ASSERT_EQ(destroy(rules[7]), 0);
  EXPECT_NE(forward(40), nullptr);
  EXPECT_EQ(card_->rules_in_use(), 40u);
}

TEST_F(EmudpuCard, OfTinyWantsCountFirstAndNoRange) {
  use("tiny");
  const rte_flow_action_set_tp port{Be16(5).raw()};
  EXPECT_EQ(error_of(udp_pattern(),
                     Actions()
                         .action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port)
                         .action(RTE_FLOW_ACTION_TYPE_COUNT)
                         .to_port(0),
                     RTE_FLOW_ERROR_TYPE_ACTION),
            EINVAL);
  rte_flow_item_udp low{}, high{}, mask{};
  high.hdr.dst_port = Be16(9).raw();
  mask.hdr.dst_port = 0xffff;
  Items ranged;
  ranged.from_port(1).item(RTE_FLOW_ITEM_TYPE_ETH).item(RTE_FLOW_ITEM_TYPE_IPV4);
  ranged.range(RTE_FLOW_ITEM_TYPE_UDP, low, high, mask);
  EXPECT_EQ(error_of(ranged, Actions().to_port(0), RTE_FLOW_ERROR_TYPE_ITEM_LAST), ENOTSUP);
}

// covers: O10
TEST_F(EmudpuCard, FailsInsertsOnDemand) {
  fault("insert_every", "3");
  fault("errno", "EAGAIN");
  unsigned failed = 0;
  for (std::uint16_t i = 0; i < 30; ++i) {
    if (forward(i) == nullptr) {
      ++failed;
      EXPECT_EQ(rte_errno, EAGAIN);
    }
  }
  EXPECT_EQ(failed, 10u);
  card_->faults().clear();
  fault("insert_percent", "50");
  failed = 0;
  for (std::uint16_t i = 100; i < 1100; ++i) failed += forward(i) == nullptr;
  EXPECT_NEAR(failed, 500, 80);
  card_->faults().clear();
  fault("full", "1");
  EXPECT_EQ(forward(5000), nullptr);
  EXPECT_EQ(rte_errno, ENOSPC);
  EXPECT_EQ(card_->rules_in_use(), 20u + 1000u - failed);
  EXPECT_FALSE(card_->faults().set("full", "2"));
  EXPECT_FALSE(card_->faults().set("no_such", "1"));
}

// covers: O11
TEST_F(EmudpuCard, AFailedDestroyLeavesTheRuleInForce) {
  Rule* const rule = forward();
  fault("destroy_every", "1");
  EXPECT_EQ(destroy(rule), -EIO);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kWire);
  card_->faults().clear();
  EXPECT_EQ(destroy(rule), 0);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kProgram);
  EXPECT_EQ(destroy(rule), -EINVAL);
  EXPECT_EQ(error_.type, RTE_FLOW_ERROR_TYPE_HANDLE);
}

TEST_F(EmudpuCard, ASilentlyWrongRuleIsAcceptedAndLosesOrAltersPackets) {
  fault("wrong", "2");
  ASSERT_NE(forward(), nullptr);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kDropped);
  const rte_flow_action_set_tp port{Be16(0x1000).raw()};
  ASSERT_NE(
      create(udp_pattern(2001), Actions().action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port).to_port(0)),
      nullptr);
  Bytes frame = udp_packet().bytes();
  store(frame.data() + 36, Be16(2001));
  EXPECT_EQ(load<Be16>(send(frame).bytes.data() + 34).host(), 0x1001);
  ASSERT_NE(forward(2002), nullptr);
  store(frame.data() + 36, Be16(2002));
  EXPECT_EQ(send(frame).bytes, frame);
}

// covers: O12
TEST_F(EmudpuCard, AResetTakesAllRulesAndLeavesHandlesHarmless) {
  Rule* const rule = forward();
  const rte_flow_action count_action{RTE_FLOW_ACTION_TYPE_COUNT, nullptr};
  IndirectAction* const counter = card_->create_indirect(proxy(), count_action, &error_);
  ASSERT_NE(create(udp_pattern(7), Actions().indirect(counter).to_port(0)), nullptr);
  for (const auto& port : card_->ports())
    port->port_id = kNoPort;  // Nobody listens for events here.
  card_->reset();
  EXPECT_EQ(card_->rules_in_use(), 0u);
  EXPECT_EQ(card_->counters_in_use(), 0u);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kProgram);
  rte_flow_query_count counted{};
  EXPECT_EQ(card_->query(rule, &count_action, &counted, &error_), -ENOENT);
  EXPECT_EQ(destroy(rule), 0);
  EXPECT_EQ(card_->destroy_indirect(counter, &error_), 0);
  EXPECT_EQ(card_->rule_counters().lost_by_reset, 2u);
}

TEST_F(EmudpuCard, CountsPacketsAndBytesExactlyAndResetsOnDemand) {
  Rule* const rule = forward();
  const Bytes frame = udp_packet().bytes();
  for (unsigned i = 0; i < 5; ++i) static_cast<void>(send(frame));
  EXPECT_EQ(count(rule), std::pair(std::uint64_t{5}, std::uint64_t{5 * frame.size()}));
  rte_flow_query_count counted{};
  counted.reset = 1;
  const rte_flow_action action{RTE_FLOW_ACTION_TYPE_COUNT, nullptr};
  ASSERT_EQ(card_->query(rule, &action, &counted, &error_), 0);
  EXPECT_EQ(counted.hits, 5u);
  EXPECT_EQ(count(rule).first, 0u);
}

// covers: O7
TEST_F(EmudpuCard, AnIndirectCounterHoldsTheFinalCountAfterItsRuleIsGone) {
  const rte_flow_action action{RTE_FLOW_ACTION_TYPE_COUNT, nullptr};
  IndirectAction* const counter = card_->create_indirect(proxy(), action, &error_);
  Rule* const rule = create(udp_pattern(), Actions().indirect(counter).to_port(0));
  ASSERT_NE(rule, nullptr);
  static_cast<void>(send(udp_packet().bytes()));
  EXPECT_EQ(card_->destroy_indirect(counter, &error_), -EBUSY);
  ASSERT_EQ(destroy(rule), 0);
  rte_flow_query_count counted{};
  ASSERT_EQ(card_->query_indirect(counter, &counted, &error_), 0);
  EXPECT_EQ(counted.hits, 1u);
  EXPECT_EQ(card_->destroy_indirect(counter, &error_), 0);
  EXPECT_EQ(card_->query_indirect(counter, &counted, &error_), -EINVAL);
}

// covers: O8
TEST_F(EmudpuCard, AgesWhatIsIdleAndReportsItOnce) {
  int context = 0;
  rte_flow_action_age age{};
  age.timeout = 10;
  age.context = &context;
  Rule* const rule =
      create(udp_pattern(), Actions().action(RTE_FLOW_ACTION_TYPE_AGE, age).to_port(0));
  for (const auto& port : card_->ports()) port->port_id = kNoPort;
  const auto aged_after = [this](Nanos seconds) {
    now_ += seconds * kNanosPerSecond;
    static_cast<void>(
        card_->ages().scan(now_, ~0u, [this] { return card_->faults().loses_aged(); }));
    return card_->ages().collect(0, nullptr, 0, now_);
  };
  EXPECT_EQ(aged_after(9), 0);
  static_cast<void>(send(udp_packet().bytes()));
  EXPECT_EQ(aged_after(9), 0) << "a hit starts the time anew";
  EXPECT_EQ(aged_after(1), 1);
  void* contexts[4] = {};
  EXPECT_EQ(card_->ages().collect(0, contexts, 4, now_), 1);
  EXPECT_EQ(contexts[0], &context);
  EXPECT_EQ(aged_after(100), 0);
  static_cast<void>(send(udp_packet().bytes()));
  EXPECT_EQ(aged_after(1), 0);
  EXPECT_EQ(aged_after(10), 1) << "hit after the report, idle again";
  static_cast<void>(send(udp_packet().bytes()));
  EXPECT_EQ(card_->ages().collect(0, contexts, 4, now_), 0) << "hit before it was asked for";
  ASSERT_EQ(destroy(rule), 0);
  EXPECT_EQ(aged_after(100), 0);
}

TEST_F(EmudpuCard, LosesAgedEventsOnDemand) {
  fault("lost_aged_percent", "100");
  rte_flow_action_age age{};
  age.timeout = 1;
  ASSERT_NE(create(udp_pattern(), Actions().action(RTE_FLOW_ACTION_TYPE_AGE, age).to_port(0)),
            nullptr);
  const Nanos later = now_ + 5 * kNanosPerSecond;
  EXPECT_EQ(card_->ages().scan(later, ~0u, [this] { return card_->faults().loses_aged(); }), 0u);
  EXPECT_EQ(card_->ages().collect(0, nullptr, 0, later), 0);
}

TEST_F(EmudpuCard, DestroyReturnsOnlyWhenNoPacketUsesTheRule) {
  std::atomic<bool> stops{false};
  std::thread asic([this, &stops] {
    const Bytes frame = udp_packet().bytes();
    while (!stops.load()) static_cast<void>(send(frame));
  });
  for (unsigned i = 0; i < 3'000; ++i) {
    rte_flow_action_set_tp port{static_cast<std::uint16_t>(i)};
    Rule* const rule = create(udp_pattern(), Actions()
                                                 .action(RTE_FLOW_ACTION_TYPE_COUNT)
                                                 .action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port)
                                                 .to_port(0));
    ASSERT_NE(rule, nullptr);
    Rule* const other = forward(static_cast<std::uint16_t>(3000 + i % 512));
    ASSERT_NE(other, nullptr);
    ASSERT_EQ(destroy(rule), 0);
    if (i % 2 == 0) {
      ASSERT_EQ(destroy(other), 0);
    }
  }
  stops.store(true);
  asic.join();
  rte_flow_error ignored;
  ASSERT_EQ(card_->flush(proxy(), &ignored), 0);
  EXPECT_EQ(card_->rules_in_use(), 0u);
}

// Three threads insert and delete at random while packets pass: a packet takes its own rule or
// none. covers: O19
TEST_F(EmudpuCard, ServesSeveralThreadsAtOnceWhilePacketsPass) {
  constexpr std::uint16_t kPorts = 64;  // Of each thread; the last one's rule stays.
  rte_flow_attr attr{};
  attr.transfer = 1;
  const auto write = [&](std::uint16_t first) {
    std::array<Rule*, kPorts> rules{};
    rte_flow_error error{};
    std::minstd_rand random(first);
    const auto insert = [&](std::uint16_t i) {
      Items items = udp_pattern(static_cast<std::uint16_t>(first + i));
      // What comes out tells which rule it was.
      const rte_flow_action_set_tp mark{Be16(static_cast<std::uint16_t>(first + i)).raw()};
      Actions actions;
      actions.action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, mark).to_port(0);
      rules[i] = card_->create(proxy(), attr, items.end(), actions.end(), &error);
      EXPECT_NE(rules[i], nullptr) << error.message;
    };
    insert(kPorts - 1);
    for (unsigned step = 0; step < 5'000; ++step) {
      const auto i = static_cast<std::uint16_t>(random() % (kPorts - 1));
      if (rules[i] == nullptr) {
        insert(i);
      } else {
        EXPECT_EQ(card_->destroy(std::exchange(rules[i], nullptr), &error), 0) << error.message;
      }
    }
  };
  std::atomic<unsigned> running{3};
  std::vector<std::thread> writers;
  for (unsigned t = 0; t < 3; ++t) {
    writers.emplace_back([&, t] {
      write(static_cast<std::uint16_t>(2'000 + t * kPorts));
      --running;
    });
  }
  Bytes frame = udp_packet().bytes();
  std::minstd_rand random(7);
  unsigned hits = 0, misses = 0, wrong = 0;
  do {
    const auto port = static_cast<std::uint16_t>(2'000 + random() % (3 * kPorts));
    store(frame.data() + 36, Be16(port));
    const Outcome outcome = send(frame);
    if (outcome.kind == Outcome::kProgram && outcome.bytes == frame) {
      ++misses;
    } else if (outcome.kind == Outcome::kWire &&
               load<Be16>(outcome.bytes.data() + 34).host() == port) {
      ++hits;
    } else {
      ++wrong;
    }
  } while (running.load() != 0);
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(hits, 0u);
  EXPECT_GT(misses, 0u);
  ASSERT_EQ(card_->flush(proxy(), &error_), 0);
  EXPECT_EQ(card_->rules_in_use(), 0u);
}

}  // namespace
}  // namespace gannet::emudpu
