// SPDX-License-Identifier: BSD-3-Clause
// What becomes of connections when their table is full, when they are silent, and when another
// worker owns them.
#include "dataplane/connections.hpp"

#include "control/policy/load.hpp"
#include "control/rehearsal.hpp"
#include "tests/support/literals.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace gannet::dataplane {
namespace {

using flows::Ip4Key;
using test::operator""_ip;

constexpr std::uint32_t kCapacity = 4;
constexpr Ticks kTimeout = 1000;
constexpr std::string_view kPolicy = R"(apiVersion: gannet/v1
kind: Policy
vpcs: {v: {vni: 1, cidrs: [10.0.0.0/16], subnets: {s: {cidr: 10.0.0.0/24}}}}
security_groups: {open: {default: {ingress: allow, egress: allow}}}
enis:
  a: {vpc: v, subnet: s, ips: [10.0.0.11], mac: "02:00:00:00:00:0a", port: a, security_groups: [open],
      qos: {max_flows: 6}}
  b: {vpc: v, subnet: s, ips: [10.0.0.12], mac: "02:00:00:00:00:0b", port: b, security_groups: [open]}
)";

class ConnectionsTest : public testing::Test {
 protected:
  void SetUp() override { make(kCapacity); }

  void apply(const std::string& text, std::uint32_t generation) {
    control::Diagnostics diagnostics;
    const control::Source source{std::make_shared<const control::SourceFile>("p.yaml", text)};
    const auto policy = control::load_policy({&source, 1}, diagnostics);
    ASSERT_TRUE(policy && !diagnostics.has_errors());
    compiled_ =
        control::compile(*policy, control::imagined_host(*policy), {}, generation, 0, identities_);
    ASSERT_TRUE(compiled_);
    policy_ = std::move(compiled_->snapshot);
  }

  void make(std::uint32_t capacity, std::uint16_t worker_count = 1, Mailbox mailbox = {}) {
    apply(std::string(kPolicy), 1);
    const auto& names = compiled_->names.enis;
    for (std::size_t i = 0; i < 2; ++i) {
      const auto at = std::find(names.begin(), names.end(), i == 0 ? "a" : "b");
      eni_[i] = static_cast<std::uint16_t>(at - names.begin());
    }
    TrackingConfig config;
    config.timeouts.fill(kTimeout);
    config.ip4_capacity = capacity;
    config.worker_count = worker_count;
    auto made = Connections::create(config, flows::HashSeed{{1, 2, 3, 4}}, 0, mailbox);
    ASSERT_TRUE(made);
    connections_ = std::move(*made);
  }

  Ingress from(std::size_t side) const {
    Ingress in;
    const Eni& eni = policy_->enis[eni_[side]];
    in.zone = {flows::ZoneKind::kEni, eni_[side]};
    in.port = eni.port;
    in.vpc = eni.vpc;
    in.source_mac = eni.mac;
    in.destination_mac = policy_->enis[eni_[1 - side]].mac;
    return in;
  }
  static IpTuple tuple(std::uint16_t port) {
    return {"10.0.0.11"_ip, "10.0.0.12"_ip, port, 53, packet::kProtoUdp};
  }

  DropReason open(std::uint16_t port, Ticks now) {
    const Ingress in = from(0);
    FirstPacket first(*policy_, in, tuple(port));
    first.now = now;
    PacketFacts facts;
    facts.ttl = 64;
    facts.now = now * kNanosPerMilli;
    return connections_->open<Ip4Key>(first, facts, flows::kNoConnection).reason;
  }
  flows::FlowRef find(std::uint16_t port) const {
    return connections_->v4().find(key_of<Ip4Key>(tuple(port), from(0).zone));
  }
  void answer(std::uint16_t port, Ticks now) {
    const Ingress in = from(1);
    const auto ref = connections_->v4().find(key_of<Ip4Key>(reply_tuple(tuple(port)), in.zone));
    ASSERT_TRUE(ref.is_valid());
    EXPECT_EQ(connections_->refresh<Ip4Key>(ref, in, *policy_, now, true).reason,
              DropReason::kNone);
  }

  control::Identities identities_;
  Result<control::CompiledPolicy> compiled_ = fail("");
  std::unique_ptr<Snapshot> policy_;
  std::array<std::uint16_t, 2> eni_{};
  std::unique_ptr<Connections> connections_;
};

// S3: who has had no answer goes first, the oldest of them.
TEST_F(ConnectionsTest, S3AFullTableEvictsTheOldestThatNobodyAnswered) {
  for (std::uint16_t port = 1; port <= kCapacity; ++port) {
    ASSERT_EQ(open(port, port), DropReason::kNone);
  }
  answer(1, 10);
  EXPECT_EQ(open(5, 11), DropReason::kNone);
  EXPECT_TRUE(find(1).is_valid());
  EXPECT_FALSE(find(2).is_valid());
  EXPECT_TRUE(find(3).is_valid());
  EXPECT_TRUE(find(5).is_valid());
  EXPECT_EQ(connections_->evicted_count(), 1U);
  EXPECT_EQ(connections_->connection_total(), kCapacity);
}

// S2: what has been answered is never evicted for what has not.
TEST_F(ConnectionsTest, S2AnsweredConnectionsStay) {
  for (std::uint16_t port = 1; port <= kCapacity; ++port) {
    ASSERT_EQ(open(port, port), DropReason::kNone);
    answer(port, port);
  }
  EXPECT_EQ(open(5, 10), DropReason::connection_table_full);
  EXPECT_EQ(connections_->connection_total(), kCapacity);
  EXPECT_EQ(connections_->evicted_count(), 0U);
}

TEST_F(ConnectionsTest, AnEniHasNoMoreThanItsShare) {
  make(100);
  for (std::uint16_t port = 1; port <= 6; ++port) ASSERT_EQ(open(port, 1), DropReason::kNone);
  EXPECT_EQ(open(7, 1), DropReason::eni_connection_limit);
  EXPECT_EQ(connections_->connection_count(eni_[0]), 6U);
  EXPECT_TRUE(connections_->close<Ip4Key>(find(3).connection(), 2));
  EXPECT_EQ(open(7, 2), DropReason::kNone);
}

// A connection that has to end waits for room in another worker's ring; meanwhile its tuple is
// taken.
TEST_F(ConnectionsTest, F46WhatCannotEndYetGivesNoWayToAnother) {
  bool has_room = true;
  const Mailbox mailbox{&has_room, nullptr, [](void* context, std::uint16_t, const Notice&) {
                          return *static_cast<bool*>(context);
                        }};
  make(100, 2, mailbox);
  policy_->enis[eni_[1]].worker = 1;  // Where the answers arrive.
  ASSERT_EQ(open(1, 1), DropReason::kNone);
  // The address goes to another VM: the connection is no longer what the policy would make of it.
  std::string text(kPolicy);
  text.replace(text.find("port: b"), 7, "port: c");
  apply(text, 2);
  const auto refresh = [&] {
    return connections_->refresh<Ip4Key>(find(1), from(0), *policy_, 2, false).reason;
  };
  has_room = false;
  EXPECT_EQ(refresh(), DropReason::handover_full);
  EXPECT_TRUE(find(1).is_valid());
  has_room = true;
  EXPECT_EQ(refresh(), DropReason::policy_changed);
  EXPECT_FALSE(find(1).is_valid());
  EXPECT_EQ(connections_->connection_total(), 0U);
}

// F41: ended while a ring is full, it ends as soon as there is room, however alive it is.
TEST_F(ConnectionsTest, F41WhatCannotEndYetEndsShortly) {
  bool has_room = true;
  const Mailbox mailbox{&has_room, nullptr, [](void* context, std::uint16_t, const Notice&) {
                          return *static_cast<bool*>(context);
                        }};
  make(100, 2, mailbox);
  policy_->enis[eni_[1]].worker = 1;
  ASSERT_EQ(open(1, 1), DropReason::kNone);
  has_room = false;
  EXPECT_FALSE(connections_->close<Ip4Key>(find(1).connection(), 2));
  for (Ticks now = 2; now < 100; ++now) (void)connections_->age(now, 100);
  EXPECT_TRUE(find(1).is_valid());
  has_room = true;
  for (Ticks now = 100; now < 120; ++now) (void)connections_->age(now, 100);
  EXPECT_FALSE(find(1).is_valid());
}

TEST_F(ConnectionsTest, SilenceEndsAConnection) {
  ASSERT_EQ(open(1, 0), DropReason::kNone);
  for (Ticks now = 0; now < kTimeout; now += 5) (void)connections_->age(now, 100);
  EXPECT_TRUE(find(1).is_valid());
  for (Ticks now = kTimeout; now < 2 * kTimeout; now += 5) (void)connections_->age(now, 100);
  EXPECT_FALSE(find(1).is_valid());
  EXPECT_EQ(connections_->connection_total(), 0U);
  EXPECT_EQ(connections_->connection_count(eni_[0]), 0U);
}

TEST_F(ConnectionsTest, ARedirectLeadsToItsOwnerUntilItIsTakenBack) {
  make(kCapacity, 4);
  const auto key = key_of<Ip4Key>(tuple(9), from(1).zone);
  ASSERT_TRUE(connections_->add_redirect(key, 3));
  const auto ref = connections_->v4().find(key);
  ASSERT_TRUE(ref.is_valid());
  EXPECT_EQ(connections_->connection_total(), 0U);
  connections_->remove_redirect(key, 2);  // Of a worker whose it is not.
  EXPECT_TRUE(connections_->v4().find(key).is_valid());
  connections_->remove_redirect(key, 3);
  EXPECT_FALSE(connections_->v4().find(key).is_valid());
}

// S2: a worker's connections have a share of the room at each other one, which nobody else can
// take; when it is used up, who has had no answer goes first.
TEST_F(ConnectionsTest, S2AWorkerHasNoMoreRedirectsThanItsShare) {
  constexpr std::uint16_t kWorkers = 10;
  constexpr std::uint32_t kShare = 4;  // A third of 12.
  std::uint32_t told = 0;              // Redirects that worker 1 knows of.
  const Mailbox mailbox{&told, nullptr, [](void* context, std::uint16_t to, const Notice& notice) {
                          EXPECT_EQ(to, 1);
                          auto& count = *static_cast<std::uint32_t*>(context);
                          count += notice.kind == NoticeKind::kAddRedirect ? 1 : -1;
                          return true;
                        }};
  make(12, kWorkers, mailbox);
  policy_->enis[eni_[0]].qos = {};
  policy_->enis[eni_[1]].worker = 1;
  const auto open_now = [&](std::uint16_t port) { return open(port, port); };
  for (std::uint16_t port = 1; port <= kShare; ++port) {
    ASSERT_EQ(open_now(port), DropReason::kNone);
  }
  answer(1, 10);
  EXPECT_EQ(open_now(5), DropReason::kNone);
  EXPECT_TRUE(find(1).is_valid());
  EXPECT_FALSE(find(2).is_valid());
  EXPECT_EQ(told, kShare);
  for (const std::uint16_t port : {3, 4, 5}) answer(port, 11);
  EXPECT_EQ(open_now(6), DropReason::redirect_table_full);
  EXPECT_EQ(connections_->connection_total(), kShare);
  EXPECT_EQ(connections_->connection_count(eni_[0]), kShare);
  policy_->enis[eni_[1]].worker = 0;
  EXPECT_EQ(open_now(6), DropReason::kNone) << "which takes no redirect";
  policy_->enis[eni_[1]].worker = 1;
  EXPECT_TRUE(connections_->close<Ip4Key>(find(3).connection(), 12));
  EXPECT_EQ(open_now(7), DropReason::kNone);
}

// As many as all others together may have.
TEST_F(ConnectionsTest, S2AllSharesFit) {
  for (const unsigned workers : {1U, 2U, 4U, 5U, 16U, 64U}) {
    EXPECT_EQ(redirect_room(1'000, workers), redirect_share(1'000, workers) * (workers - 1));
    EXPECT_GE(redirect_share(1'000, workers), std::min(1'000U, 2'000U / workers))
        << "a balancer's connections, of which each worker owns a part that is spread evenly";
  }
}

}  // namespace
}  // namespace gannet::dataplane
