// SPDX-License-Identifier: BSD-3-Clause
// The card's flow queues: when operations end, and whose the handles of rules are meanwhile
// (rte_flow.h; "Asynchronous operations" of the DPDK programmer's guide).
#include "tests/unit/flows/emudpu/card_fixture.hpp"

namespace gannet::emudpu {
namespace {

using namespace test;  // NOLINT

class EmudpuQueues : public CardTest {
 protected:
  EmudpuQueues() {
    use("unlimited", [](CardConfig& config) { config.profile.insert_delay = 5 * kNanosPerMilli; });
    open();
  }
  ~EmudpuQueues() override { card_->close(proxy()); }

  // Two queues, and a table of two places.
  void open() {
    const rte_flow_queue_attr queue{64};
    const rte_flow_queue_attr* const queues[] = {&queue, &queue};
    EXPECT_EQ(templates().configure(proxy(), {}, 2, queues, &error_), 0);
    rte_flow_pattern_template_attr pattern_attr{};
    pattern_attr.transfer = 1;
    Items masks = udp_pattern();
    PatternTemplate* const pattern =
        templates().create_pattern(proxy(), pattern_attr, masks.end(), &error_);
    ASSERT_NE(pattern, nullptr) << error_.message;
    Actions fixed, mask;
    fixed.action(RTE_FLOW_ACTION_TYPE_COUNT).to_port(0);
    mask.action(RTE_FLOW_ACTION_TYPE_COUNT).action(RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT);
    ActionsTemplate* const actions =
        templates().create_actions(proxy(), {}, fixed.end(), mask.end(), &error_);
    ASSERT_NE(actions, nullptr);
    rte_flow_template_table_attr table_attr{};
    table_attr.flow_attr.transfer = 1;
    table_attr.nb_flows = 2;
    table_ = templates().create_table(proxy(), table_attr, &pattern, 1, &actions, 1, &error_);
    ASSERT_NE(table_, nullptr);
  }
  Templates& templates() { return card_->templates(); }
  void fault(const char* name, const char* value) {
    ASSERT_TRUE(card_->faults().set(name, value)) << name;
  }
  void wait() {
    now_ += 6 * kNanosPerMilli;
    static_cast<void>(card_->asic().poll(now_));
  }

  Rule* enqueue(std::uint16_t port = 2000) {
    Items items = udp_pattern(port);
    Actions own;
    own.action(RTE_FLOW_ACTION_TYPE_COUNT).to_port(2);
    return templates().create_rule(proxy(), 0, false, table_, items.end(), 0, own.end(), 0,
                                   &cookie_, &error_);
  }
  int destroy_by(std::uint32_t queue, Rule* rule) {
    return templates().destroy_rule(proxy(), queue, false, rule, nullptr, &error_);
  }
  /// Results that there are; -1: not all are `wanted`.
  int pull(rte_flow_op_status wanted) {
    rte_flow_op_result results[4];
    const int count = templates().pull(proxy(), 0, results, 4, &error_);
    for (int i = 0; i < count; ++i) {
      if (results[i].status != wanted) return -1;
    }
    return count;
  }
  Rule* insert(std::uint16_t port = 2000) {
    Rule* const rule = enqueue(port);
    EXPECT_NE(rule, nullptr);
    wait();
    EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 1);
    return rule;
  }
  std::uint64_t refused_handles() const { return card_->rule_counters().refused_handles; }

  TemplateTable* table_ = nullptr;
  int cookie_ = 0;
};

TEST_F(EmudpuQueues, CarryOutInsertionsWhenTheirTimeHasCome) {
  Rule* const rule = enqueue();
  ASSERT_NE(rule, nullptr) << error_.message;
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kProgram);
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 0);
  wait();
  EXPECT_EQ(send(udp_packet().bytes()).port, 2u) << "the rule's own action, as the mask is open";
  rte_flow_op_result result;
  ASSERT_EQ(templates().pull(proxy(), 0, &result, 1, &error_), 1);
  EXPECT_EQ(result.status, RTE_FLOW_OP_SUCCESS);
  EXPECT_EQ(result.user_data, &cookie_);

  ASSERT_NE(enqueue(1), nullptr);
  EXPECT_EQ(enqueue(2), nullptr) << "the table has two places";
  EXPECT_EQ(rte_errno, ENOSPC);
  EXPECT_EQ(destroy_by(0, rule), 0);
  wait();
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 2);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kProgram);
}

// covers: O10
TEST_F(EmudpuQueues, ARefusedRuleKeepsItsPlaceUntilItsHandleIsDestroyed) {
  insert();
  fault("insert_every", "1");
  Rule* const refused = enqueue(3);
  wait();
  ASSERT_EQ(pull(RTE_FLOW_OP_ERROR), 1);
  EXPECT_EQ(card_->rules_in_use(), 2u);
  EXPECT_EQ(enqueue(4), nullptr);
  EXPECT_EQ(rte_errno, ENOSPC);
  EXPECT_EQ(destroy_by(0, refused), 0);
  wait();
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 1);
  EXPECT_EQ(card_->rules_in_use(), 1u);
  EXPECT_NE(enqueue(4), nullptr);
  EXPECT_EQ(refused_handles(), 0u);
}

// covers: O10
TEST_F(EmudpuQueues, TakeNoHandleThatIsNotTheCallersToGive) {
  const auto is_refused = [this](int status, int code) {
    return status == -code && error_.type == RTE_FLOW_ERROR_TYPE_HANDLE;
  };
  Rule* const rule = enqueue();
  EXPECT_TRUE(is_refused(destroy_by(0, rule), EBUSY)) << "its creation is under way";
  wait();
  EXPECT_TRUE(is_refused(destroy_by(0, rule), EBUSY)) << "nobody has pulled its result";
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 1);
  EXPECT_TRUE(is_refused(destroy_by(1, rule), EINVAL)) << "made by another queue";
  EXPECT_TRUE(is_refused(destroy(rule), EINVAL)) << "made by a queue";
  Rule* const other = create(udp_pattern(7), Actions().to_port(0));
  EXPECT_TRUE(is_refused(destroy_by(0, other), EINVAL)) << "made by none";
  EXPECT_TRUE(is_refused(destroy_by(0, nullptr), EINVAL));
  EXPECT_EQ(destroy_by(0, rule), 0);
  EXPECT_TRUE(is_refused(destroy_by(0, rule), EINVAL)) << "given away";
  wait();
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 1);
  EXPECT_TRUE(is_refused(destroy_by(0, rule), EINVAL)) << "gone";
  EXPECT_EQ(refused_handles(), 8u);
  EXPECT_EQ(card_->rules_in_use(), 1u);
}

// covers: O11
TEST_F(EmudpuQueues, OnlyAFlushTakesARuleWhoseDestructionHasFailed) {
  Rule* const rule = insert();
  fault("destroy_every", "1");
  EXPECT_EQ(destroy_by(0, rule), 0);
  wait();
  EXPECT_EQ(pull(RTE_FLOW_OP_ERROR), 1);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kWire);
  EXPECT_EQ(card_->rules_without_handle(), 1u);
  EXPECT_EQ(destroy_by(0, rule), -EINVAL);
  EXPECT_EQ(card_->flush(proxy(), &error_), -EIO);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kWire);
  card_->faults().clear();
  EXPECT_EQ(card_->flush(proxy(), &error_), 0);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kProgram);
  EXPECT_EQ(card_->rules_without_handle(), 0u);
  EXPECT_EQ(card_->rules_in_use(), 0u);
}

TEST_F(EmudpuQueues, AFlushLeavesWhatIsUnderWay) {
  Rule* const coming = enqueue();
  EXPECT_EQ(card_->flush(proxy(), &error_), 0);
  wait();
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 1);
  EXPECT_EQ(send(udp_packet().bytes()).kind, Outcome::kWire);
  EXPECT_EQ(destroy_by(0, coming), 0);
  EXPECT_EQ(card_->flush(proxy(), &error_), 0);
  wait();
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 1);
  EXPECT_EQ(card_->rules_in_use(), 0u);
}

// covers: O12
TEST_F(EmudpuQueues, HandlesOfBeforeAResetAreDestroyedOrFlushed) {
  Rule* const first = insert();
  Rule* const coming = enqueue(3);
  for (const auto& port : card_->ports())
    port->port_id = kNoPort;  // Nobody listens for events here.
  card_->reset();
  EXPECT_EQ(pull(RTE_FLOW_OP_ERROR), 1);
  EXPECT_EQ(card_->rules_in_use(), 0u);
  EXPECT_EQ(destroy_by(0, first), 0);
  wait();
  EXPECT_EQ(pull(RTE_FLOW_OP_SUCCESS), 1);
  EXPECT_EQ(card_->flush(proxy(), &error_), 0);
  EXPECT_EQ(destroy_by(0, coming), -EINVAL);
  EXPECT_EQ(proxy().gone_rules, nullptr);
}

}  // namespace
}  // namespace gannet::emudpu
