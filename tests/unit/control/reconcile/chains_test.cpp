// SPDX-License-Identifier: BSD-3-Clause
// Connections after a change of policy: those that its changes do not concern take over the new
// generation, and must then be exactly what judging them again would have made of them. Random
// policies that follow each other, the same connections twice: once brought up to each policy by
// its changes, once all judged again. It is done by the sweeper, or by packets that come before it.
//
// GANNET_RECONCILE=N sets how many chains of policies (16).
#include "tests/unit/control/reconcile/worlds.hpp"

#include <cstdio>
#include <cstdlib>

namespace gannet::control {
namespace {

constexpr unsigned kPoliciesOfAChain = 6;
constexpr unsigned kPacketsOfAPolicy = 150;

unsigned chains() {
  const char* const given = std::getenv("GANNET_RECONCILE");
  return given == nullptr ? 16 : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}

class Chains : public Reconcile {
 protected:
  struct Totals {
    std::uint64_t adopted = 0;
    std::uint64_t judged = 0;
    std::uint64_t judged_without = 0;
    unsigned policies = 0;
  };

  void run_all(bool with_packets) {
    for (unsigned chain = 0; chain < chains() && !HasFatalFailure(); ++chain) {
      worlds_ = {};
      SetUp();
      run(chain, with_packets);
      totals_.adopted += worlds_[0].connections->adopted_count();
      totals_.judged += worlds_[0].connections->reevaluated_count();
      totals_.judged_without += worlds_[1].connections->reevaluated_count();
    }
    std::printf("%u policies, %lu judged again of %lu, %lu took over\n", totals_.policies,
                totals_.judged, totals_.judged_without, totals_.adopted);
    EXPECT_GT(totals_.policies, chains() * kPoliciesOfAChain / 2) << last_error_.substr(0, 4'000);
    EXPECT_EQ(totals_.adopted + totals_.judged, totals_.judged_without);
    EXPECT_GT(totals_.adopted, totals_.judged_without / 4);
  }

 private:
  void run(unsigned chain, bool with_packets) {
    RandomPolicy random(chain + 1);
    std::uint32_t generation = 0;
    for (unsigned tries = 0; generation < kPoliciesOfAChain && tries < 200; ++tries) {
      RandomPolicy before = random;
      random.change(1 + random.below(3));
      const auto policy = load(random.text());
      if (!policy) {  // A choice that does not go with the others.
        random = before;
        random.change(generation == 0 ? 100 : 1);
        if (!load(random.text())) random = before;
        random.below(7);
        continue;
      }
      publish(*policy, ++generation);
      if (with_packets) come_before_the_sweeper(random);
      sweep();
      expect_same<flows::Ip4Key>();
      expect_same<flows::Ip6Key>();
      if (HasFatalFailure()) {
        std::fprintf(stderr, "chain %u, policy %u\n%s\n", chain, generation, random.text().c_str());
        return;
      }
      ++totals_.policies;
      for (unsigned i = 0; i < kPacketsOfAPolicy; ++i) send(random);
    }
  }

  // Of connections that have not been looked at, that have, and that begin meanwhile.
  void come_before_the_sweeper(RandomPolicy& random) {
    for (unsigned i = 0; i < kPacketsOfAPolicy / 2; ++i) {
      sweep_some(random.below(3));
      switch (random.below(4)) {
        case 0: send(random); break;
        case 1: send_again<flows::Ip6Key>(random); break;
        default: send_again<flows::Ip4Key>(random);
      }
    }
  }

  Totals totals_;
};

// O14 P6: and most are not judged again.
TEST_F(Chains, O14P6WhatIsNotJudgedAgainIsWhatJudgingMakesOfIt) { run_all(false); }

TEST_F(Chains, O14P6NorDoesAPacketInTheMidstOfItMakeADifference) { run_all(true); }

}  // namespace
}  // namespace gannet::control
