// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nat_mappings.hpp"

#include "tests/support/literals.hpp"

#include <memory>
#include <set>

#include <gtest/gtest.h>

namespace gannet::dataplane {
namespace {

using test::operator""_ip4;

constexpr flows::HashSeed kSeed{{1, 2, 3, 4}};
constexpr std::uint16_t kBlock = 8;

// A gateway with one address and a block of eight ports for each of two ENIs.
class NatMappingsTest : public testing::Test {
 protected:
  NatMappingsTest() {
    gateway_.block_ports = kBlock;
    gateway_.block_of_eni = {{0, 1024, kBlock}, {0, 1032, kBlock}};
    NatAddress address;
    address.ip = "203.0.113.20"_ip4;
    address.gateway = 0;
    address.block_ports = kBlock;
    address.ports = ports_.get();
    policy_.nat_addresses.push_back(address);
  }

  std::uint32_t make(std::uint16_t inside_port, Ticks now = 0, std::uint16_t eni = 0,
                     std::uint8_t protocol = packet::kProtoUdp) {
    return mappings_.find_or_make(gateway_, policy_, eni, protocol, "10.0.0.1"_ip4, inside_port,
                                  now);
  }
  std::uint32_t make_and_hold(std::uint16_t inside_port, Ticks now = 0, std::uint16_t eni = 0,
                              std::uint8_t protocol = packet::kProtoUdp) {
    const auto i = make(inside_port, now, eni, protocol);
    if (i != NatMappings::kNone) mappings_.hold(i);
    return i;
  }

  std::unique_ptr<NatPorts> ports_ = std::make_unique<NatPorts>();
  Snapshot policy_;
  NatGateway gateway_;
  NatMappings mappings_ = *NatMappings::create(16, kSeed);
};

// N1: the same inside endpoint has the same public one, whoever it talks to.
TEST_F(NatMappingsTest, N1OneEndpointOneMapping) {
  const auto first = make_and_hold(5000);
  EXPECT_EQ(make_and_hold(5000), first);
  EXPECT_NE(make_and_hold(5001), first);
  EXPECT_EQ(mappings_[first].holder_count, 2U);
  const auto inside = ports_->find(packet::kProtoUdp, mappings_[first].public_port);
  EXPECT_EQ(inside.ip, "10.0.0.1"_ip4);
  EXPECT_EQ(inside.port, 5000);
  EXPECT_EQ(inside.eni, 0);
}

TEST_F(NatMappingsTest, PortsAreOfTheEnisOwnBlock) {
  std::set<std::uint16_t> seen;
  for (std::uint16_t port = 0; port < kBlock; ++port) {
    const auto i = make_and_hold(port);
    ASSERT_NE(i, NatMappings::kNone);
    seen.insert(mappings_[i].public_port);
  }
  EXPECT_EQ(seen.size(), kBlock);
  EXPECT_EQ(*seen.begin(), 1024);
  EXPECT_EQ(*seen.rbegin(), 1031);
  // The block is used up; the other ENI's is not, and neither are other protocols' ports.
  EXPECT_EQ(make(99), NatMappings::kNone);
  EXPECT_EQ(mappings_[make_and_hold(99, 0, 1)].public_port / kBlock, 1032 / kBlock);
  EXPECT_NE(make(99, 0, 0, packet::kProtoTcp), NatMappings::kNone);
}

TEST_F(NatMappingsTest, AnEniWithoutABlockHasNoMapping) {
  EXPECT_EQ(make(1, 0, 2), NatMappings::kNone);
  gateway_.block_of_eni[1].count = 0;
  EXPECT_EQ(make(1, 0, 1), NatMappings::kNone);
}

// R22: a port is kept for its last user for 120 s.
TEST_F(NatMappingsTest, R22ReusesPortOnlyAfterTimeout) {
  const auto i = make_and_hold(5000);
  const auto port = mappings_[i].public_port;
  const Ticks delay = duration_ticks(kPortReuseDelay);
  mappings_.release(i, 10);
  EXPECT_FALSE(ports_->find(packet::kProtoUdp, port).is_valid());
  EXPECT_EQ(ports_->state(packet::kProtoUdp, port), NatPortState::kLingering);
  mappings_.expire(10 + delay - 1, 100);
  EXPECT_EQ(mappings_.used_count(), 1U);
  EXPECT_EQ(make_and_hold(5000, 20), i);  // Its last user gets it back.
  EXPECT_TRUE(ports_->find(packet::kProtoUdp, port).is_valid());
  mappings_.release(i, 30);
  mappings_.expire(30 + delay, 100);
  EXPECT_EQ(mappings_.used_count(), 0U);
  EXPECT_EQ(ports_->state(packet::kProtoUdp, port), NatPortState::kFree);
}

// R22: unless the pool is short.
TEST_F(NatMappingsTest, R22ShortOfPortsTakesOneThatLingers) {
  for (std::uint16_t port = 0; port < kBlock; ++port) (void)make_and_hold(port);
  const auto freed = mappings_[make(3)].public_port;
  mappings_.release(make(3), 5);
  const auto i = make_and_hold(100, 6);
  ASSERT_NE(i, NatMappings::kNone);
  EXPECT_EQ(mappings_[i].public_port, freed);
  EXPECT_EQ(ports_->find(packet::kProtoUdp, freed).port, 100);
  EXPECT_EQ(make(3), NatMappings::kNone);
}

TEST_F(NatMappingsTest, RecordsAreBounded) {
  gateway_.block_of_eni[0].count = 64;
  for (std::uint16_t port = 0; port < 16; ++port) {
    ASSERT_NE(make_and_hold(port), NatMappings::kNone);
  }
  EXPECT_EQ(make(16), NatMappings::kNone);
  mappings_.release(make(7), 0);
  EXPECT_NE(make_and_hold(16), NatMappings::kNone);
  EXPECT_EQ(mappings_.used_count(), 16U);
}

// A mapping is of the address and block that the policy gives now.
TEST_F(NatMappingsTest, AnotherBlockIsAnotherMapping) {
  const auto old_mapping = make_and_hold(5000);
  gateway_.block_of_eni[0].first = 2048;
  EXPECT_EQ(mappings_.find(gateway_, policy_, 0, packet::kProtoUdp, "10.0.0.1"_ip4, 5000),
            NatMappings::kNone);
  const auto new_mapping = make_and_hold(5000);
  EXPECT_NE(new_mapping, old_mapping);
  EXPECT_GE(mappings_[new_mapping].public_port, 2048);
}

}  // namespace
}  // namespace gannet::dataplane
