// SPDX-License-Identifier: BSD-3-Clause
// What the card takes and what it must leave to software, on a whole switch with a stopped clock.
#include "control/flow_view.hpp"
#include "tests/card/conversation.hpp"

#include <string>

#include <gtest/gtest.h>

namespace gannet::test {
namespace {

// A conversation of vm1 with the remote VM, both directions on the card.
void start_remote_udp(BenchSwitch& bench) {
  for (int i = 0; i < 2; ++i) {
    pass(bench, "vm1", from_vm1(kRemote).udp(1000, 53).data(10).bytes(), "uplink");
    pass(bench, "uplink", from_remote(bench, kVm1Mac, kVm1).udp(53, 1000).data(4).bytes(), "vm1");
  }
  EXPECT_EQ(rules(bench), 2u);
}

TEST(Card, TakesAFlowAfterItsFirstPackets) {  // O2
  const auto bench = make_world(kUnlimited);
  const Bytes request = from_vm1(kRemote).udp(1000, 53).data(10).bytes();
  const Bytes first = pass(*bench, "vm1", request, "uplink");
  EXPECT_EQ(pass(*bench, "vm1", request, "uplink"), first);
  EXPECT_EQ(rules(*bench), 1u);
  const std::uint64_t in_software = software_packets(*bench);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pass(*bench, "vm1", request, "uplink"), first);
  EXPECT_EQ(software_packets(*bench), in_software);
  EXPECT_EQ(bench->miscounted(), "");
}

TEST(Card, GivesTheSameBytesAsSoftwareOutOfATunnel) {  // O1, V9
  const auto bench = make_world(kUnlimited);
  const auto software = make_world("");
  start_remote_udp(*bench);
  for (int i = 0; i < 2; ++i) {
    pass(*software, "vm1", from_vm1(kRemote).udp(1000, 53).data(10).bytes(), "uplink");
    pass(*software, "uplink", from_remote(*software, kVm1Mac, kVm1).udp(53, 1000).data(4).bytes(),
         "vm1");
  }
  const Bytes answer = from_remote(*bench, kVm1Mac, kVm1).udp(53, 1000).data(99).bytes();
  EXPECT_EQ(pass(*bench, "uplink", answer, "vm1"),
            pass(*software, "uplink",
                 from_remote(*software, kVm1Mac, kVm1).udp(53, 1000).data(99).bytes(), "vm1"));
  EXPECT_FALSE(comes_to_software(*bench, "uplink", answer));
}

TEST(Card, NeverTakesAPacketThatDiffersInWhatTheDecisionRead) {  // O16, O18
  const auto bench = make_world(kUnlimited);
  start_remote_udp(*bench);
  const auto udp = [](Packet packet) { return packet.udp(53, 1000).data(4).bytes(); };
  const auto from = [&](Ip4 peer, std::uint32_t vni, std::uint8_t tos, IpFields inner = {}) {
    return udp(from_remote(*bench, kVm1Mac, kVm1, std::move(inner), peer, vni, tos));
  };
  IpFields fragment;
  fragment.more_fragments = true;
  IpFields expiring;
  expiring.ttl = 1;
  IpFields with_options;
  with_options.options = {1, 1, 1, 0};
  IpFields urgent;
  urgent.tos = 0x10;
  EXPECT_FALSE(comes_to_software(*bench, "uplink", from(kPeer, kVni, 0)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", from(kOtherPeer, kVni, 0)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", from(kPeer, kOtherVni, 0)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", from(kPeer, kVni, 3)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", from(kPeer, kVni, 0, fragment)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", from(kPeer, kVni, 0, with_options)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", from(kPeer, kVni, 0, expiring)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink",
                                udp(from_remote(*bench, kVm2Mac, kVm1))));  // Another inner MAC.
  EXPECT_TRUE(comes_to_software(*bench, "vm1", from_vm1(kRemote, urgent).udp(1000, 53).bytes()));
  EXPECT_TRUE(comes_to_software(*bench, "vm1", from_vm1(kRemote, fragment).udp(1000, 53).bytes()));
  EXPECT_TRUE(comes_to_software(*bench, "vm1", from_vm1(kRemote, expiring).udp(1000, 53).bytes()));
  EXPECT_TRUE(comes_to_software(*bench, "vm1", from_vm1(kPeer).udp(1000, 53).bytes()));
  EXPECT_TRUE(comes_to_software(*bench, "vm1", from_vm1(kRemote).udp(1000, 54).bytes()));
  // From another port, or with another source, it is spoofed: never forwarded.
  EXPECT_TRUE(comes_to_software(*bench, "vm2", from_vm1(kRemote).udp(1000, 53).bytes()));
  EXPECT_TRUE(comes_to_software(
      *bench, "vm1",
      Packet().eth(kVm2Mac, dataplane::kGatewayMac).ip(kVm1, kRemote).udp(1000, 53).bytes()));
  // Longer than the path carries.
  EXPECT_TRUE(
      comes_to_software(*bench, "vm1", from_vm1(kRemote).udp(1000, 53).data(1'600).bytes()));
  EXPECT_FALSE(comes_to_software(*bench, "vm1", from_vm1(kRemote).udp(1000, 53).data(9).bytes()));
}

// Another host of the internet sends to the port that a NAT gateway has given to a flow on the
// card: same destination, same port, but not that flow. (O16, O17)
TEST(Card, TellsRemotesOfOnePublicPortApart) {
  const auto bench = make_world(kUnlimited);
  Bytes out;
  for (int i = 0; i < 2; ++i) {
    out = pass(*bench, "vm2", from_vm2(kInternet).udp(1000, 53).data(4).bytes(), "uplink");
  }
  ASSERT_GE(out.size(), 36u);
  const auto port = static_cast<std::uint16_t>(out[34] << 8 | out[35]);
  const Ip4 gateway{203, 0, 113, 20};
  const auto answer = [&](const Ip4& from, std::uint16_t from_port) {
    return Packet()
        .eth(kRouterMac, bench->uplink_mac())
        .ip(from, gateway)
        .udp(from_port, port)
        .bytes();
  };
  for (int i = 0; i < 2; ++i) pass(*bench, "uplink", answer(kInternet, 53), "vm2");
  EXPECT_EQ(rules(*bench), 2u);
  EXPECT_FALSE(comes_to_software(*bench, "uplink", answer(kInternet, 53)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", answer(kInternet, 54)));
  EXPECT_TRUE(comes_to_software(*bench, "uplink", answer(Ip4(198, 51, 100, 2), 53)));
}

TcpFields segment(std::uint16_t from, std::uint16_t to, std::uint8_t flags, std::uint32_t sequence,
                  std::uint32_t acknowledgment) {
  TcpFields fields;
  fields.source_port = from;
  fields.destination_port = to;
  fields.flags = flags;
  fields.sequence = sequence;
  fields.acknowledgment = acknowledgment;
  return fields;
}

class TcpOnCard : public testing::Test {
 protected:
  TcpOnCard() : bench_(make_world(kUnlimited)) {}

  Bytes client(std::uint8_t flags, std::uint32_t sequence, std::uint32_t ack, std::size_t bytes) {
    return from_vm1(kVm2).tcp(segment(1000, 80, flags, sequence, ack)).data(bytes).bytes();
  }
  Bytes server(std::uint8_t flags, std::uint32_t sequence, std::uint32_t ack, std::size_t bytes) {
    return from_vm2(kVm1).tcp(segment(80, 1000, flags, sequence, ack)).data(bytes).bytes();
  }
  void establish() {
    using namespace packet;
    pass(*bench_, "vm1", client(kTcpSyn, 100, 0, 0), "vm2");
    pass(*bench_, "vm2", server(kTcpSyn | kTcpAck, 500, 101, 0), "vm1");
    EXPECT_EQ(rules(*bench_), 0u);
    pass(*bench_, "vm1", client(kTcpAck, 101, 501, 0), "vm2");
    pass(*bench_, "vm2", server(kTcpAck, 501, 101, 10), "vm1");
    EXPECT_EQ(rules(*bench_), 2u);
  }

  std::unique_ptr<BenchSwitch> bench_;
};

TEST_F(TcpOnCard, OnlyEstablishedConnectionsAndNoSynFinRst) {  // O3
  using namespace packet;
  establish();
  EXPECT_FALSE(comes_to_software(*bench_, "vm1", client(kTcpAck, 101, 511, 5)));
  EXPECT_FALSE(comes_to_software(*bench_, "vm1", client(kTcpAck | kTcpPsh, 106, 511, 5)));
  EXPECT_TRUE(comes_to_software(*bench_, "vm1", client(kTcpAck | kTcpFin, 111, 511, 0)));
  EXPECT_EQ(rules(*bench_), 2u);  // The other side may send for as long as it likes (F30).
  EXPECT_FALSE(comes_to_software(*bench_, "vm2", server(kTcpAck, 511, 112, 700)));
  EXPECT_TRUE(comes_to_software(*bench_, "vm2", server(kTcpAck | kTcpFin, 1211, 112, 0)));
  EXPECT_EQ(rules(*bench_), 0u);
  EXPECT_EQ(bench_->drops().size(), 0u);
}

TEST_F(TcpOnCard, AResetIsPassedAndDataBringsTheConnectionBack) {  // R27
  using namespace packet;
  establish();
  // Far outside any window that software knew: on the card the connection has gone on meanwhile.
  pass(*bench_, "vm2", server(kTcpRst, 90'000'000, 0, 0), "vm1");
  EXPECT_EQ(rules(*bench_), 0u);
  pass(*bench_, "vm1", client(kTcpAck, 80'000'000, 90'000'000, 5), "vm2");
  pass(*bench_, "vm1", client(kTcpAck, 80'000'005, 90'000'000, 5), "vm2");
  EXPECT_EQ(rules(*bench_), 1u);
}

TEST_F(TcpOnCard, AResetConnectionIsForgottenAfterTenSeconds) {  // R27
  using namespace packet;
  establish();
  pass(*bench_, "vm2", server(kTcpRst, 511, 0, 0), "vm1");
  bench_->advance(11 * kNanosPerSecond);
  EXPECT_EQ(bench_->connection_count(), 0u);
}

TEST(Card, KeepsAConnectionAliveThatOnlyItSees) {  // O8
  const auto bench = make_world(kUnlimited, "timers: {udp: 5s, udp_stream: 5s}\n");
  start_remote_udp(*bench);
  const Bytes request = from_vm1(kRemote).udp(1000, 53).data(10).bytes();
  for (int second = 0; second < 20; ++second) {
    EXPECT_FALSE(comes_to_software(*bench, "vm1", request));
    bench->advance(kNanosPerSecond);
  }
  EXPECT_EQ(bench->connection_count(), 1u);
  bench->advance(7 * kNanosPerSecond);
  EXPECT_EQ(bench->connection_count(), 0u);
  EXPECT_EQ(rules(*bench), 0u);
}

/// What must hold whether rules go through template tables or one by one.
class EitherWay : public testing::TestWithParam<const char*> {};

TEST_P(EitherWay, CountsEveryPacketOnce) {  // O7
  const auto bench = make_world(GetParam());
  start_remote_udp(*bench);
  for (int i = 0; i < 500; ++i) {
    bench->send("vm1", from_vm1(kRemote).udp(1000, 53).data(10).bytes());
    bench->send("uplink", from_remote(*bench, kVm1Mac, kVm1).udp(53, 1000).data(4).bytes());
    if (i % 50 == 0) bench->run();
  }
  bench->run();
  EXPECT_EQ(bench->miscounted(), "");
  EXPECT_EQ(bench->card_count(), 1'000u);
}

TEST_P(EitherWay, IsOfNoUseToAFlowThatThePolicyCuts) {  // O14, F46
  const auto bench = make_world(GetParam());
  // Into this host's vm1 on port 53, which the policy is going to deny.
  for (int i = 0; i < 2; ++i) {
    pass(*bench, "uplink", from_remote(*bench, kVm1Mac, kVm1).udp(2000, 53).bytes(), "vm1");
  }
  pass(*bench, "vm1", from_vm1(kRemote).udp(1000, 99).bytes(), "uplink");
  pass(*bench, "vm1", from_vm1(kRemote).udp(1000, 99).bytes(), "uplink");
  EXPECT_EQ(rules(*bench), 2u);
  const auto before = bench->offload()->status().stats;
  ASSERT_TRUE(bench->apply("locked", world_policy(true)).has_value());
  EXPECT_EQ(bench->offload()->conforming_generation(), bench->controller().generation());
  const auto after = bench->offload()->status().stats;
  EXPECT_EQ(rules(*bench), 1u);
  EXPECT_EQ(after.removed - before.removed, 1u);  // The other has not been touched.
  EXPECT_EQ(after.installed, before.installed);
  bench->send("uplink", from_remote(*bench, kVm1Mac, kVm1).udp(2000, 53).bytes());
  bench->run();
  EXPECT_TRUE(bench->take_output().empty());
  EXPECT_EQ(bench->drops()["sg_ingress_denied"], 1u);
  EXPECT_FALSE(comes_to_software(*bench, "vm1", from_vm1(kRemote).udp(1000, 99).bytes()));
}

// Between a change and its receipt the card may still follow the old policy, and not afterwards.
// (O14)
TEST(Card, KeepsAnOldVerdictNoLongerThanUntilTheReceipt) {
  const auto bench = make_world(kUnlimited);
  const Bytes request = from_remote(*bench, kVm1Mac, kVm1).udp(2000, 53).bytes();
  for (int i = 0; i < 2; ++i) pass(*bench, "uplink", request, "vm1");
  EXPECT_EQ(rules(*bench), 1u);
  ASSERT_TRUE(bench->apply("locked", world_policy(true), false).has_value());
  EXPECT_LT(bench->offload()->conforming_generation(), bench->controller().generation());
  pass(*bench, "uplink", request, "vm1");  // The clock stands still: nobody has looked yet.
  for (int i = 0; i < 16; ++i) bench->advance(kNanosPerMilli);
  EXPECT_EQ(bench->offload()->conforming_generation(), bench->controller().generation());
  bench->send("uplink", request);
  bench->run();
  EXPECT_TRUE(bench->take_output().empty());
  EXPECT_EQ(rules(*bench), 0u);
}

// A bandwidth limit is software's business: with it the flow leaves the card, without it it comes
// back. Every packet passes, and is counted once. (O5, O6)
TEST(Card, GivesUpAFlowThatItCannotServeAndTakesItBack) {
  const auto bench = make_world(kUnlimited);
  const Bytes request = from_vm1(kRemote).udp(1000, 53).data(10).bytes();
  const auto pass_ten = [&] {
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(pass(*bench, "vm1", request, "uplink").empty());
  };
  pass_ten();
  EXPECT_EQ(rules(*bench), 1u);
  std::string limited = world_policy();
  const std::string kVm = "port: vm1,\n        security_groups: [open]";
  limited.replace(limited.find(kVm), kVm.size(), kVm + ", qos: {bandwidth: 1Gbps}");
  ASSERT_TRUE(bench->apply("limited", limited).has_value());
  pass_ten();
  EXPECT_EQ(rules(*bench), 0u);
  ASSERT_TRUE(bench->apply("world", world_policy()).has_value());
  const std::uint64_t in_software = software_packets(*bench);
  for (int i = 0; i < 10; ++i) pass_ten();
  EXPECT_LE(software_packets(*bench) - in_software, 10u);
  EXPECT_EQ(rules(*bench), 1u);
  EXPECT_EQ(bench->miscounted(), "");
}

TEST(Card, LosesTheRulesOfFlowsThatAreFlushed) {  // O15
  const auto bench = make_world(kUnlimited);
  start_remote_udp(*bench);
  EXPECT_EQ(control::flush_flows(bench->dataplane(), {}), 1u);
  bench->run();
  EXPECT_EQ(rules(*bench), 0u);
  EXPECT_EQ(bench->connection_count(), 0u);
}

TEST_P(EitherWay, SendsToTheNewMacOfANextHop) {
  const auto bench = make_world(GetParam());
  start_remote_udp(*bench);
  const Bytes request = from_vm1(kRemote).udp(1000, 53).data(10).bytes();
  const Mac moved{{2, 0, 0, 0, 0, 0x77}};
  bench->set_neighbor(kPeer, moved);
  bench->dataplane().neighbors().learn(kPeer, moved, to_ticks(bench->dataplane().clock().now()));
  // Until the old one has been asked and is silent.
  for (int tenth = 0; tenth < 13; ++tenth) bench->advance(100 * kNanosPerMilli);
  bench->run();
  EXPECT_EQ(rules(*bench), 1u);
  Bytes out = pass(*bench, "vm1", request, "uplink");
  for (int i = 0; i < 40; ++i) out = pass(*bench, "vm1", request, "uplink");
  EXPECT_EQ(first_bytes(out, 6), Bytes(moved.bytes.begin(), moved.bytes.end()));
  EXPECT_EQ(rules(*bench), 2u);
}

TEST(Card, WaitsForAsManyPacketsAsItIsTold) {
  const auto bench = make_world(kUnlimited, "offload: {min_packets: 5}\n");
  const Bytes request = from_vm1(kRemote).udp(1000, 53).bytes();
  for (int i = 0; i < 4; ++i) pass(*bench, "vm1", request, "uplink");
  EXPECT_EQ(rules(*bench), 0u);
  pass(*bench, "vm1", request, "uplink");
  EXPECT_EQ(rules(*bench), 1u);
}

TEST(Card, IsNotForTcpThatMustBeChecked) {  // R27
  const auto bench = make_world(kUnlimited, "tracking: {strict_tcp: true}\n");
  using namespace packet;
  pass(*bench, "vm1", from_vm1(kVm2).tcp(segment(1000, 80, kTcpSyn, 1, 0)).bytes(), "vm2");
  pass(*bench, "vm2", from_vm2(kVm1).tcp(segment(80, 1000, kTcpSyn | kTcpAck, 1, 2)).bytes(),
       "vm1");
  for (int i = 0; i < 5; ++i) {
    pass(*bench, "vm1", from_vm1(kVm2).tcp(segment(1000, 80, kTcpAck, 2, 2)).bytes(), "vm2");
  }
  EXPECT_EQ(rules(*bench), 0u);
}

INSTANTIATE_TEST_SUITE_P(Card, EitherWay, testing::Values(kUnlimited, kOneByOne));

}  // namespace
}  // namespace gannet::test
