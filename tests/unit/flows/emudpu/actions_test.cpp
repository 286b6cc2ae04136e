// SPDX-License-Identifier: BSD-3-Clause
// What a rule does to a packet, byte for byte.
#include "tests/support/checksum_model.hpp"
#include "tests/support/literals.hpp"
#include "tests/unit/flows/emudpu/card_fixture.hpp"

#include <random>

namespace gannet::emudpu {
namespace {

using namespace test;  // NOLINT

class EmudpuActions : public CardTest {};

rte_flow_action_set_tp port(std::uint16_t number) { return {Be16(number).raw()}; }

struct Tunnel {
  rte_flow_item_eth eth{};
  rte_flow_item_ipv4 ip{};
  rte_flow_item_udp udp{};
  rte_flow_item_vxlan vxlan{};
  rte_flow_item items[5] = {};

  Tunnel() {
    store(&eth.hdr.dst_addr, "02:00:00:00:00:0b"_mac);
    store(&eth.hdr.src_addr, "02:00:00:00:00:0a"_mac);
    eth.hdr.ether_type = Be16(packet::kEtherTypeIpv4).raw();
    ip.hdr.version_ihl = 0x45;
    ip.hdr.type_of_service = 0xb8;
    ip.hdr.fragment_offset = Be16(packet::kIpv4DontFragment).raw();
    ip.hdr.time_to_live = 64;
    ip.hdr.next_proto_id = packet::kProtoUdp;
    ip.hdr.src_addr = "192.0.2.11"_ip4.raw();
    ip.hdr.dst_addr = "192.0.2.12"_ip4.raw();
    udp.hdr.src_port = Be16(50'000).raw();
    udp.hdr.dst_port = Be16(packet::kVxlanPort).raw();
    vxlan.flags = packet::kVxlanFlagVni;
    vxlan.vni[1] = 0x13;
    vxlan.vni[2] = 0x89;
    items[0] = {RTE_FLOW_ITEM_TYPE_ETH, &eth, nullptr, nullptr};
    items[1] = {RTE_FLOW_ITEM_TYPE_IPV4, &ip, nullptr, nullptr};
    items[2] = {RTE_FLOW_ITEM_TYPE_UDP, &udp, nullptr, nullptr};
    items[3] = {RTE_FLOW_ITEM_TYPE_VXLAN, &vxlan, nullptr, nullptr};
    items[4] = {RTE_FLOW_ITEM_TYPE_END, nullptr, nullptr, nullptr};
  }
};

Bytes tunnelled(const Bytes& inner) {
  return Packet()
      .eth("02:00:00:00:00:0a"_mac, "02:00:00:00:00:0b"_mac)
      .ip("192.0.2.11"_ip, "192.0.2.12"_ip, {.tos = 0xb8, .dont_fragment = true})
      .udp_without_checksum(50'000, packet::kVxlanPort)
      .vxlan(0x1389)
      .data(inner)
      .bytes();
}

TEST_F(EmudpuActions, EncapsulateWithTheHeadersGivenAndLengthsWorkedOut) {
  Tunnel tunnel;
  ASSERT_NE(create(udp_pattern(), Actions()
                                      .action(RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP,
                                              rte_flow_action_vxlan_encap{tunnel.items})
                                      .to_port(0)),
            nullptr)
      << error_.message;
  const Bytes inner = udp_packet().bytes();
  const Outcome got = send(inner);
  EXPECT_EQ(got.kind, Outcome::kWire);
  EXPECT_EQ(got.bytes, tunnelled(inner));
}

TEST_F(EmudpuActions, DecapsulateToTheInnerFrame) {
  Items items;
  items.from_port(0)
      .item(RTE_FLOW_ITEM_TYPE_ETH)
      .item(RTE_FLOW_ITEM_TYPE_IPV4)
      .item(RTE_FLOW_ITEM_TYPE_UDP);
  items.item(RTE_FLOW_ITEM_TYPE_VXLAN).item(RTE_FLOW_ITEM_TYPE_ETH).item(RTE_FLOW_ITEM_TYPE_IPV4);
  ASSERT_NE(create(items, Actions()
                              .action(RTE_FLOW_ACTION_TYPE_VXLAN_DECAP)
                              .action(RTE_FLOW_ACTION_TYPE_DEC_TTL)
                              .to_port(1)),
            nullptr);
  const Outcome got = send(tunnelled(udp_packet().bytes()), 0);
  const Bytes expected = Packet()
                             .eth("02:00:00:00:00:01"_mac, "02:00:00:00:00:02"_mac)
                             .ip("10.0.0.1"_ip, "10.0.0.2"_ip, {.ttl = 63})
                             .udp(1000, 2000)
                             .data(32)
                             .bytes();
  EXPECT_EQ(got.bytes, expected);
  EXPECT_EQ(got.port, 1u);
}

TEST_F(EmudpuActions, KeepTheChecksumsOfRandomPacketsRight) {
  std::mt19937 random(11);
  Items items;
  items.from_port(1).item(RTE_FLOW_ITEM_TYPE_ETH).item(RTE_FLOW_ITEM_TYPE_IPV4);
  for (unsigned round = 0; round < 200; ++round) {
    rte_flow_action_set_ipv4 source{static_cast<std::uint32_t>(random())};
    rte_flow_action_set_ipv4 destination{static_cast<std::uint32_t>(random())};
    Rule* const rule = create(
        items,
        Actions()
            .action(RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC, source)
            .action(RTE_FLOW_ACTION_TYPE_SET_IPV4_DST, destination)
            .action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port(static_cast<std::uint16_t>(random())))
            .action(RTE_FLOW_ACTION_TYPE_SET_TP_DST, port(static_cast<std::uint16_t>(random())))
            .action(RTE_FLOW_ACTION_TYPE_DEC_TTL)
            .to_port(0));
    ASSERT_NE(rule, nullptr);
    for (unsigned i = 0; i < 50; ++i) {
      Packet packet;
      packet.eth("02:00:00:00:00:01"_mac, "02:00:00:00:00:02"_mac);
      packet.ip(Ip4::from_host(static_cast<std::uint32_t>(random())), "10.0.0.2"_ip,
                {.ttl = static_cast<std::uint8_t>(random() % 254 + 2),
                 .id = static_cast<std::uint16_t>(random())});
      if (random() % 2 == 0) {
        packet.udp(static_cast<std::uint16_t>(random()), 5);
      } else {
        packet.tcp({.source_port = 5, .destination_port = static_cast<std::uint16_t>(random())});
      }
      packet.data(random() % 64);
      const Outcome got = send(packet.bytes());
      ASSERT_EQ(got.kind, Outcome::kWire);
      ASSERT_EQ(find_wrong_checksum(got.bytes), "");
    }
    ASSERT_EQ(destroy(rule), 0);
  }
}

TEST_F(EmudpuActions, LeaveAChecksumAloneWhereChangesCancelOut) {
  // Swapped ports are no change of the sum; a checksum of 0xffff must not become 0.
  ASSERT_NE(create(udp_pattern(), Actions()
                                      .action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port(2000))
                                      .action(RTE_FLOW_ACTION_TYPE_SET_TP_DST, port(1000))
                                      .to_port(0)),
            nullptr);
  for (const std::uint16_t checksum : {0x0000, 0xffff, 0x1234}) {
    Bytes frame = udp_packet().bytes();
    store(frame.data() + 40, Be16(checksum));
    const Outcome got = send(frame);
    EXPECT_EQ(load<Be16>(got.bytes.data() + 34).host(), 2000);
    EXPECT_EQ(load<Be16>(got.bytes.data() + 40).host(), checksum);
  }
}

TEST_F(EmudpuActions, SendAComputedUdpChecksumOfZeroAsAllOnes) {
  ASSERT_NE(create(udp_pattern(),
                   Actions().action(RTE_FLOW_ACTION_TYPE_SET_TP_SRC, port(1001)).to_port(0)),
            nullptr);
  Bytes frame = udp_packet().bytes();
  // HC' = HC - 1 here: 1 would become 0.
  store(frame.data() + 40, Be16(1));
  EXPECT_EQ(load<Be16>(send(frame).bytes.data() + 40).host(), 0xffff);
}

TEST_F(EmudpuActions, ModifyFieldsAsMlx5Documents) {
  rte_flow_action_modify_field dscp{};
  dscp.operation = RTE_FLOW_MODIFY_SET;
  dscp.dst.field = RTE_FLOW_FIELD_IPV4_DSCP;
  dscp.src.field = RTE_FLOW_FIELD_VALUE;
  dscp.src.value[0] = 46;
  dscp.width = 6;
  rte_flow_action_modify_field swap{};
  swap.operation = RTE_FLOW_MODIFY_SET;
  swap.dst.field = RTE_FLOW_FIELD_MAC_SRC;
  swap.src.field = RTE_FLOW_FIELD_MAC_DST;
  swap.width = 48;
  ASSERT_NE(create(udp_pattern(), Actions()
                                      .action(RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, dscp)
                                      .action(RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, swap)
                                      .to_port(0)),
            nullptr)
      << error_.message;
  const Bytes expected = Packet()
                             .eth("02:00:00:00:00:02"_mac, "02:00:00:00:00:02"_mac)
                             .ip("10.0.0.1"_ip, "10.0.0.2"_ip, {.tos = 46 << 2})
                             .udp(1000, 2000)
                             .data(32)
                             .bytes();
  EXPECT_EQ(send(udp_packet().bytes()).bytes, expected);
}

TEST_F(EmudpuActions, RawEncapAndDecapUndoEachOther) {
  Bytes head = tunnelled({});
  rte_flow_action_raw_encap put{head.data(), nullptr, head.size()};
  rte_flow_action_raw_decap take{nullptr, head.size()};
  ASSERT_NE(create(udp_pattern(), Actions().action(RTE_FLOW_ACTION_TYPE_RAW_ENCAP, put).to_port(0)),
            nullptr);
  const Bytes inner = udp_packet().bytes();
  const Bytes outer = send(inner).bytes;
  EXPECT_EQ(outer, tunnelled(inner));
  Items items;
  items.from_port(0).item(RTE_FLOW_ITEM_TYPE_ETH);
  ASSERT_NE(create(items, Actions().action(RTE_FLOW_ACTION_TYPE_RAW_DECAP, take).to_port(1)),
            nullptr);
  EXPECT_EQ(send(outer, 0).bytes, inner);
}

TEST_F(EmudpuActions, SampleEveryNth) {
  rte_flow_action_ethdev mirror{kFirstPortId + 2};
  rte_flow_action inner[] = {{RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &mirror},
                             {RTE_FLOW_ACTION_TYPE_END, nullptr}};
  ASSERT_NE(create(udp_pattern(),
                   Actions()
                       .action(RTE_FLOW_ACTION_TYPE_SAMPLE, rte_flow_action_sample{3, inner})
                       .action(RTE_FLOW_ACTION_TYPE_DEC_TTL)
                       .to_port(0)),
            nullptr);
  unsigned copies = 0;
  for (unsigned i = 0; i < 9; ++i) {
    static_cast<void>(send(udp_packet().bytes()));
    if (outcomes_.size() == 2) {
      ++copies;
      EXPECT_EQ(outcomes_[0].port, 2u);
      EXPECT_EQ(outcomes_[0].bytes, udp_packet().bytes());
    }
    EXPECT_EQ(outcomes_.back().port, 0u);
  }
  EXPECT_EQ(copies, 3u);
}

TEST_F(EmudpuActions, ALoopOfJumpsDropsThePacket) {
  Items any;
  any.from_port(1).item(RTE_FLOW_ITEM_TYPE_ETH);
  ASSERT_NE(create(any, Actions().action(RTE_FLOW_ACTION_TYPE_JUMP, rte_flow_action_jump{1}), 0),
            nullptr);
  ASSERT_NE(create(any, Actions().action(RTE_FLOW_ACTION_TYPE_JUMP, rte_flow_action_jump{2}), 1),
            nullptr);
  ASSERT_NE(create(any, Actions().action(RTE_FLOW_ACTION_TYPE_JUMP, rte_flow_action_jump{1}), 2),
            nullptr);
  const Outcome got = send(udp_packet().bytes());
  EXPECT_EQ(got.kind, Outcome::kDropped);
  EXPECT_EQ(got.cause, DropCause::kLoop);
}

}  // namespace
}  // namespace gannet::emudpu
