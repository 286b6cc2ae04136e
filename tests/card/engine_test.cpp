// SPDX-License-Identifier: BSD-3-Clause
// The engine alone, with a card whose every call takes its time by a clock of the test's: in which
// order the card is told things, and how long a turn lasts.
#include "flows/offload/engine.hpp"

#include "dataplane/free_slots.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gannet::offload {
namespace {

constexpr std::uint32_t kSlots = 4'096;
constexpr Nanos kSlowCall = 10 * kNanosPerMilli;

// One rule after the other, as a port without flow queues does it.
class SlowCard final : public Card {
 public:
  explicit SlowCard(Nanos& now) : now_(now) {}

  Refusal begin_insert(const Rule&, CardRule& out, Tag tag) override {
    call();
    inserted.push_back(static_cast<std::uint32_t>(tag));
    out.flow = this;
    if (has_counters) out.counter = this;
    in_force.insert(static_cast<std::uint32_t>(tag));
    if (!is_silent) ended_.push_back({tag, Refusal::kNone});
    return Refusal::kNone;
  }
  void begin_remove(CardRule& rule, CardCounters&, Tag tag) override {
    call();
    const Refusal refused = keeps_all ? Refusal::stale_rule : Refusal::kNone;
    if (!keeps_all) in_force.erase(static_cast<std::uint32_t>(tag));
    if (loses_handles) rule.flow = nullptr;
    ended_.push_back({tag, refused});
  }
  Refusal finish_refused(const Rule&, CardRule& rule, Refusal refused) override {
    rule = {};
    return refused;
  }
  void finish_removed(CardRule& rule, CardCounters&) override {
    if (rule.counter != nullptr) call();
    rule = {};
  }
  void forget(CardRule& rule) override { rule = {}; }
  bool tidy(Budget&, Nanos) override { return false; }
  bool is_tidy() const override { return true; }
  std::size_t room() const override { return 1'024 - ended_.size(); }
  void push() override {}
  unsigned pull(std::span<Completion> completions) override {
    unsigned count = 0;
    for (; count < completions.size() && !ended_.empty(); ++count) {
      completions[count] = ended_.front();
      ended_.pop_front();
    }
    return count;
  }
  Refusal watch(const Rule&, CardRule&) override { return Refusal::match; }
  bool end_watch(CardRule&) override { return true; }
  bool read(const CardRule& rule, CardCounters& counters) override {
    call();
    // Of a rule that a flush has taken there is nothing to read by its handle.
    EXPECT_TRUE(rule.has_handle());
    counters = {};
    return true;
  }
  bool take_reset() override { return std::exchange(is_reset, false); }
  Restart restart(bool) override {
    ended_.clear();
    in_force.clear();
    return Restart::kDone;
  }
  bool has_leftovers() const override { return false; }

  // Ends an insertion that is_silent has kept back.
  void end(std::uint32_t slot, Refusal refused = Refusal::kNone) {
    ended_.push_back({slot, refused});
  }

  Nanos call_time = kSlowCall;
  bool has_counters = true;
  bool is_silent = false;
  bool keeps_all = false;
  bool loses_handles = false;
  bool is_reset = false;
  std::vector<std::uint32_t> inserted;
  std::set<std::uint32_t> in_force;

 private:
  void call() { now_ += call_time; }

  Nanos& now_;
  std::deque<Completion> ended_;
};

class EngineWithSlowCard : public testing::Test {
 protected:
  EngineWithSlowCard() {
    EngineConfig config;
    config.audit.every = 0;
    config.audit.round = 0;
    exchange_ = std::move(*Exchange::create(kSlots));
    engine_ = std::make_unique<Engine>(
        card_, std::vector<Exchange*>{exchange_.get()}, config,
        [](std::uint32_t) { return std::uint64_t{0}; }, [] { return std::uint32_t{0}; },
        [this] { return now_; });
  }

  void order(OrderKind kind, std::uint32_t slot, std::uint32_t value = 0) {
    if (kind == OrderKind::kInstall) {
      ++serials_[slot];
      exchange_->rule(slot).before.source_port = static_cast<std::uint16_t>(slot);
    }
    ASSERT_TRUE(exchange_->orders.try_push({kind, slot, serials_[slot], value, now_}));
  }
  void install(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t slot = first; slot < first + count; ++slot) order(OrderKind::kInstall, slot);
  }
  // \return how long it took.
  Nanos turn() {
    const Nanos before = now_;
    engine_->turn(now_);
    engine_->settle(now_);
    const Nanos taken = now_ - before;
    now_ += kNanosPerMilli / 10;
    Answer answer;
    while (exchange_->answers.try_pop(answer)) answers_.push_back(answer);
    return taken;
  }
  void install_at_once(std::uint32_t first, std::uint32_t count) {
    card_.call_time = 0;
    install(first, count);
    for (int i = 0; i < 10; ++i) turn();
    ASSERT_EQ(engine_->stats().rules, count);
    card_.call_time = kSlowCall;
    answers_.clear();
  }
  // At most 100.
  [[nodiscard]] int turns_until_receipt(std::uint32_t generation) {
    int turns = 0;
    for (; engine_->conforming_generation() != generation && turns < 100; ++turns) turn();
    return turns;
  }
  [[nodiscard]] unsigned answers_of(AnswerKind kind) const {
    return static_cast<unsigned>(std::count_if(answers_.begin(), answers_.end(),
                                               [&](const Answer& a) { return a.kind == kind; }));
  }

  Nanos now_ = kNanosPerSecond;
  SlowCard card_{now_};
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Engine> engine_;
  std::array<std::uint32_t, kSlots> serials_{};
  std::vector<Answer> answers_;
};

// What a policy denies leaves the card at once, though thousands of insertions came before. (O11)
TEST_F(EngineWithSlowCard, RemovesBeforeItInserts) {
  install_at_once(0, 10);
  card_.inserted.clear();
  install(100, 3'000);
  for (std::uint32_t slot = 0; slot < 10; ++slot) order(OrderKind::kRemove, slot);
  order(OrderKind::kBarrier, 0, 7);
  EXPECT_LE(turns_until_receipt(7), 12);
  EXPECT_EQ(answers_of(AnswerKind::kRemoved), 10u);
  EXPECT_LE(card_.inserted.size(), 12u);
}

// A receipt does not wait for what was ordered behind it. (O11, O14)
TEST_F(EngineWithSlowCard, GivesAReceiptWhileOthersAreRemoved) {
  install_at_once(0, 500);
  for (std::uint32_t slot = 0; slot < 10; ++slot) order(OrderKind::kRemove, slot);
  order(OrderKind::kBarrier, 0, 7);
  for (std::uint32_t slot = 10; slot < 500; ++slot) order(OrderKind::kRemove, slot);
  EXPECT_LE(turns_until_receipt(7), 15);
  EXPECT_LE(answers_of(AnswerKind::kRemoved), 80u);
}

// One turn is a few calls, whatever there is to do. (O11)
TEST_F(EngineWithSlowCard, HasTurnsOfAFewCalls) {
  install(0, 300);
  for (int i = 0; i < 20; ++i) EXPECT_LE(turn(), 4 * kSlowCall);
  EXPECT_GT(card_.inserted.size(), 15u);
  card_.call_time = kNanosPerMilli / 100;
  for (int i = 0; i < 50; ++i) EXPECT_LE(turn(), 3 * kNanosPerMilli);
  EXPECT_EQ(engine_->stats().rules, 300u);
}

// An order that the card has not been told is taken back without the card. (O11)
TEST_F(EngineWithSlowCard, CancelsWhatWaits) {
  install(0, 100);
  turn();
  const std::size_t told = card_.inserted.size();
  ASSERT_LT(told, 5u);
  for (std::uint32_t slot = 0; slot < 100; ++slot) order(OrderKind::kRemove, slot);
  order(OrderKind::kBarrier, 0, 3);
  for (std::size_t i = 0; i < told + 3; ++i) turn();
  EXPECT_EQ(card_.inserted.size(), told);
  EXPECT_EQ(answers_of(AnswerKind::kRemoved), 100u);
  EXPECT_EQ(engine_->conforming_generation(), 3u);
  EXPECT_TRUE(card_.in_force.empty());
  // The slots are as good as new, also where the old order has not been forgotten yet.
  card_.call_time = 0;
  install(0, 100);
  for (int i = 0; i < 10; ++i) turn();
  EXPECT_EQ(engine_->stats().rules, 100u);
  EXPECT_EQ(card_.in_force.size(), 100u);
}

// A rule on its way is removed when it has come, others meanwhile; the receipt waits for it. (O11)
TEST_F(EngineWithSlowCard, WaitsOnlyForTheRuleItself) {
  install_at_once(0, 1);
  card_.is_silent = true;
  install(1, 2);
  for (int i = 0; i < 3; ++i) turn();
  order(OrderKind::kRemove, 1);
  order(OrderKind::kRemove, 2);
  order(OrderKind::kRemove, 0);
  order(OrderKind::kBarrier, 0, 5);
  for (int i = 0; i < 3; ++i) turn();
  EXPECT_EQ(card_.in_force.count(0), 0u);
  EXPECT_NE(engine_->conforming_generation(), 5u);
  card_.end(1);
  for (int i = 0; i < 3; ++i) turn();
  EXPECT_EQ(card_.in_force.count(1), 0u);
  EXPECT_NE(engine_->conforming_generation(), 5u);
  card_.end(2, Refusal::insert_failed);
  for (int i = 0; i < 3; ++i) turn();
  EXPECT_EQ(engine_->conforming_generation(), 5u);
  EXPECT_EQ(answers_of(AnswerKind::kRemoved), 3u);
  EXPECT_EQ(answers_of(AnswerKind::kInstalled), 1u);
  EXPECT_TRUE(engine_->is_empty());
}

// After a question for a rule on its way comes an answer, when it is there.
TEST_F(EngineWithSlowCard, AnswersQuestionsOfRulesThatAreComing) {
  card_.is_silent = true;
  install(0, 1);
  turn();
  order(OrderKind::kCheck, 0);
  for (int i = 0; i < 3; ++i) turn();
  EXPECT_EQ(answers_of(AnswerKind::kChecked), 0u);
  card_.end(0);
  for (int i = 0; i < 2; ++i) turn();
  EXPECT_EQ(answers_of(AnswerKind::kChecked), 1u);
}

// A thousand rules leave with a flush: their counters are read in portions, and meanwhile new
// orders are served. (O12)
TEST_F(EngineWithSlowCard, PartsWithRulesInPortions) {
  install_at_once(0, 1'000);
  card_.loses_handles = card_.keeps_all = true;
  order(OrderKind::kRemove, 0);
  Nanos longest = 0;
  int turns = 0;
  for (; engine_->stats().start_overs == 0 && turns < 50; ++turns) {
    longest = std::max(longest, turn());
  }
  EXPECT_EQ(engine_->stats().start_overs, 1u);
  card_.keeps_all = card_.loses_handles = false;
  order(OrderKind::kInstall, 2'000);
  for (int i = 0; i < 10; ++i) longest = std::max(longest, turn());
  EXPECT_FALSE(engine_->is_empty());
  EXPECT_EQ(card_.inserted.back(), 2'000u);
  EXPECT_EQ(engine_->stuck_count(), 0u);
  for (turns = 0; answers_.size() < 1'002 && turns < 1'100; ++turns) {
    longest = std::max(longest, turn());
  }
  EXPECT_LE(longest, 4 * kSlowCall);
  EXPECT_EQ(answers_of(AnswerKind::kWithdrawn), 999u);
  EXPECT_EQ(answers_of(AnswerKind::kRemoved), 1u);
  EXPECT_EQ(engine_->stats().counts_lost, 0u);
}

// Without counters of their own rules are read before the flush, in portions too. (O7)
TEST_F(EngineWithSlowCard, ReadsInPortionsBeforeAFlush) {
  card_.has_counters = false;
  install_at_once(0, 200);
  card_.loses_handles = card_.keeps_all = true;
  order(OrderKind::kRemove, 0);
  int turns = 0;
  for (; engine_->stats().start_overs == 0 && turns < 500; ++turns) {
    EXPECT_LE(turn(), 4 * kSlowCall);
  }
  EXPECT_EQ(engine_->stats().start_overs, 1u);
  EXPECT_GT(turns, 150);
}

// A reset comes while rules that a flush took are still being accounted for. (O12)
TEST_F(EngineWithSlowCard, SurvivesAResetBetweenPortions) {
  install_at_once(0, 100);
  card_.loses_handles = card_.keeps_all = true;
  order(OrderKind::kRemove, 0);
  for (int i = 0; i < 5; ++i) turn();
  ASSERT_EQ(engine_->stats().start_overs, 1u);
  card_.keeps_all = card_.loses_handles = false;
  card_.is_reset = true;
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_EQ(answers_.size(), 100u);
  EXPECT_GT(engine_->stats().counts_lost, 90u);
  EXPECT_TRUE(engine_->is_empty());
}

// A worker may use a slot again while its old removal waits, if the engine has withdrawn the rule:
// whatever else it sends, there is room for both removals of all slots. (O11)
TEST(Exchange, HasRoomForAllRemovals) {
  constexpr std::uint32_t kCount = 1'000;
  const auto exchange = std::move(*Exchange::create(kCount));
  unsigned others = 0;
  const auto fill = [&] {
    while (exchange->may_order()) {
      ASSERT_TRUE(exchange->orders.try_push({OrderKind::kCheck, 0, 0, 0, 0}));
      ++others;
    }
  };
  for (std::uint32_t i = 0; i < 2 * kCount; ++i) {
    fill();
    ASSERT_TRUE(exchange->orders.try_push({OrderKind::kRemove, i % kCount, 1, 0, 0})) << i;
  }
  EXPECT_GE(others, 2 * kCount);
}

TEST(FreeSlots, UsesTheLastOneFirstAndTheBuriedOneLast) {
  dataplane::FreeSlots free(4);
  for (const std::uint32_t slot : {3, 2, 1, 0}) free.push(slot);
  EXPECT_EQ(free.top(), 0u);
  free.pop();
  free.bury(0);
  for (const std::uint32_t slot : {1, 2, 3, 0}) {
    ASSERT_NE(free.count(), 0u);
    EXPECT_EQ(free.top(), slot);
    free.pop();
  }
  EXPECT_EQ(free.count(), 0u);
  free.bury(2);
  free.bury(1);
  free.push(3);
  for (const std::uint32_t slot : {3, 2, 1}) {
    EXPECT_EQ(free.top(), slot);
    free.pop();
  }
}

}  // namespace
}  // namespace gannet::offload
