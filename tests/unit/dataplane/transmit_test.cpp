// SPDX-License-Identifier: BSD-3-Clause
// The queues on a worker's way out, whichever way packets come into them.
#include "dataplane/transmit.hpp"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace gannet::dataplane {
namespace {

constexpr unsigned kRoom = 512;

constexpr std::uint16_t kBytes = 64;

class Transmit : public testing::Test {
 protected:
  void SetUp() override {
    static unsigned count = 0;  // A name can be used once.
    const std::string name = "transmit" + std::to_string(count++);
    wire_ = rte_ring_create(name.c_str(), kRoom, SOCKET_ID_ANY, 0);
    ASSERT_NE(wire_, nullptr);
    const int ethdev = rte_eth_from_rings(name.c_str(), &wire_, 1, &wire_, 1, 0);
    ASSERT_GE(ethdev, 0);
    pool_ = rte_pktmbuf_pool_create(name.c_str(), kRoom - 1, 0, 0, 256, SOCKET_ID_ANY);
    ASSERT_NE(pool_, nullptr);
    const rte_eth_conf conf{};
    ASSERT_EQ(rte_eth_dev_configure(static_cast<std::uint16_t>(ethdev), 1, 1, &conf), 0);
    ASSERT_EQ(rte_eth_rx_queue_setup(static_cast<std::uint16_t>(ethdev), 0, 0, 0, nullptr, pool_),
              0);
    ASSERT_EQ(rte_eth_tx_queue_setup(static_cast<std::uint16_t>(ethdev), 0, 0, 0, nullptr), 0);
    ASSERT_EQ(rte_eth_dev_start(static_cast<std::uint16_t>(ethdev)), 0);
    ports_.resize(2);
    for (std::uint16_t i = 0; i < 2; ++i) {
      ports_[i].index = i;
      ports_[i].ethdev = static_cast<std::uint16_t>(ethdev);
      ports_[i].has_queue = i == 0;
      ports_[i].counters = &counters_[i];
    }
  }
  void TearDown() override {
    rte_eth_dev_stop(ports_[0].ethdev);
    rte_eth_dev_close(ports_[0].ethdev);
    rte_ring_free(wire_);
    rte_mempool_free(pool_);
  }

  rte_mbuf* packet() {
    rte_mbuf* const made = rte_pktmbuf_alloc(pool_);
    EXPECT_NE(rte_pktmbuf_append(made, kBytes), nullptr);
    sent_.push_back(made);
    return made;
  }
  // Everything comes out, once and in order.
  void expect_all_out() {
    for (rte_mbuf* const expected : sent_) {
      void* out = nullptr;
      ASSERT_EQ(rte_ring_dequeue(wire_, &out), 0);
      EXPECT_EQ(out, expected);
      rte_pktmbuf_free(expected);
    }
    EXPECT_TRUE(rte_ring_empty(wire_));
    EXPECT_EQ(counters_[0].tx_packets.read(), sent_.size());
    EXPECT_EQ(counters_[0].tx_bytes.read(), kBytes * sent_.size());
    EXPECT_EQ(counters_[0].forwarded_packets.read() + counters_[1].forwarded_packets.read(),
              sent_.size());
  }

  rte_ring* wire_ = nullptr;
  rte_mempool* pool_ = nullptr;
  std::array<PortCounters, 2> counters_{};
  std::vector<PortContext> ports_;
  std::vector<rte_mbuf*> sent_;
};

// For every number of packets that lie in the queue already: a burst by a lane, then one by one.
TEST_F(Transmit, ALaneLeavesRoomForWhatComesBehindIt) {
  Transmitter transmitter(ports_, 0, {});
  for (unsigned before = 0; before <= Transmitter::kBurst; ++before) {
    for (unsigned i = 0; i < before; ++i) transmitter.send(0, packet(), 0, 0);
    auto lane = transmitter.open_lane(0);
    ASSERT_EQ(lane.port, 0u);
    for (unsigned i = 0; i < Transmitter::kLaneRoom; ++i) lane.push(packet(), kBytes);
    transmitter.close_lane(lane, 1);
    for (unsigned i = 0; i < 3; ++i) transmitter.send(0, packet(), 0, 0);
    transmitter.flush();
    expect_all_out();
    if (HasFatalFailure()) return;
    sent_.clear();
    for (PortCounters& c : counters_) {
      c.tx_packets.add(-c.tx_packets.read());
      c.tx_bytes.add(-c.tx_bytes.read());
      c.forwarded_packets.add(-c.forwarded_packets.read());
    }
  }
}

// Of two ports' packets, by turns of three and two, the last do not fit.
TEST_F(Transmit, WhatIsRefusedCountsWhereItCameIn) {
  Transmitter transmitter(ports_, 0, {});
  constexpr unsigned kFit = 52;
  void* const filler = packet();
  for (unsigned i = rte_ring_free_count(wire_); i > kFit; --i) {
    ASSERT_EQ(rte_ring_enqueue(wire_, filler), 0);
  }
  std::array<std::uint64_t, 2> fit{};
  std::array<std::uint64_t, 2> refused{};
  for (unsigned i = 0; i < Transmitter::kBurst; ++i) {
    const std::uint16_t from = i % 5 < 3 ? 0 : 1;
    ++(i < kFit ? fit : refused)[from];
    transmitter.send(0, packet(), from, 0);
  }
  transmitter.flush();
  EXPECT_EQ(counters_[0].tx_packets.read(), kFit);
  EXPECT_EQ(counters_[0].tx_bytes.read(), kBytes * kFit);
  for (std::size_t port = 0; port < 2; ++port) {
    EXPECT_EQ(counters_[port].forwarded_packets.read(), fit[port]);
    EXPECT_EQ(counters_[port].drops[static_cast<std::size_t>(DropReason::tx_full)].read(),
              refused[port]);
  }
}

TEST_F(Transmit, WhoseQueueAnotherHasGetsNoLane) {
  Transmitter transmitter(ports_, 0, {});
  EXPECT_EQ(transmitter.open_lane(1).port, Transmitter::kNoLane);
  EXPECT_EQ(transmitter.open_lane(7).port, Transmitter::kNoLane);
  ports_[0].bytes_per_second = 1'000;
  EXPECT_EQ(transmitter.open_lane(0).port, Transmitter::kNoLane);
}

}  // namespace
}  // namespace gannet::dataplane
