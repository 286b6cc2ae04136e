// SPDX-License-Identifier: BSD-3-Clause
// What a rule matches: against a model that looks at the packet's bytes with code of its own.
#include "tests/support/literals.hpp"
#include "tests/unit/flows/emudpu/card_fixture.hpp"

#include <random>
#include <set>

namespace gannet::emudpu {
namespace {

using namespace test;  // NOLINT

// A rule over source and destination address and ports, each under a mask, from a small world so
// that rules overlap and packets hit.
struct ModelRule {
  std::uint32_t priority;
  std::uint32_t source, source_mask;
  std::uint16_t port, port_mask;
  bool is_tcp;
  unsigned to;
  Rule* handle;
};

Packet model_packet(std::uint32_t source, std::uint16_t port, bool is_tcp) {
  Packet packet;
  packet.eth("02:00:00:00:00:01"_mac, "02:00:00:00:00:02"_mac);
  packet.ip(Ip4::from_host(source), "10.0.0.2"_ip);
  if (is_tcp) return packet.tcp({.source_port = port, .destination_port = 80});
  return packet.udp(port, 80);
}

bool hits(const ModelRule& rule, const Bytes& frame) {
  const auto word = [&frame](std::size_t at) { return frame[at] << 8 | frame[at + 1]; };
  const auto source =
      static_cast<std::uint32_t>(word(26)) << 16 | static_cast<std::uint32_t>(word(28));
  return frame[23] == (rule.is_tcp ? 6 : 17) &&
         (source & rule.source_mask) == (rule.source & rule.source_mask) &&
         (word(34) & rule.port_mask) == (rule.port & rule.port_mask);
}

class EmudpuRules : public CardTest {
 protected:
  Rule* add(const ModelRule& rule) {
    rte_flow_item_ipv4 ip{}, ip_mask{};
    ip.hdr.src_addr = Be32(rule.source).raw();
    ip_mask.hdr.src_addr = Be32(rule.source_mask).raw();
    Items items;
    items.from_port(1).item(RTE_FLOW_ITEM_TYPE_ETH).item(RTE_FLOW_ITEM_TYPE_IPV4, ip, ip_mask);
    if (rule.is_tcp) {
      rte_flow_item_tcp l4{}, mask{};
      l4.hdr.src_port = Be16(rule.port).raw();
      mask.hdr.src_port = Be16(rule.port_mask).raw();
      items.item(RTE_FLOW_ITEM_TYPE_TCP, l4, mask);
    } else {
      rte_flow_item_udp l4{}, mask{};
      l4.hdr.src_port = Be16(rule.port).raw();
      mask.hdr.src_port = Be16(rule.port_mask).raw();
      items.item(RTE_FLOW_ITEM_TYPE_UDP, l4, mask);
    }
    return create(std::move(items), Actions().to_port(rule.to), 0, rule.priority);
  }
};

// covers: O23
TEST_F(EmudpuRules, TakeExactlyThePacketsThatTheModelTakes) {
  std::mt19937 random(7);
  const auto draw = [&random](unsigned below) { return static_cast<unsigned>(random() % below); };
  constexpr std::uint32_t kSourceMasks[] = {0xffff'ffff, 0xffff'fff0, 0xffff'ff00, 0};
  constexpr std::uint16_t kPortMasks[] = {0xffff, 0xfff0, 0};
  std::vector<ModelRule> model;
  for (unsigned step = 0; step < 4000; ++step) {
    if (draw(3) == 0 && !model.empty()) {
      const auto victim = model.begin() + draw(static_cast<unsigned>(model.size()));
      ASSERT_EQ(destroy(victim->handle), 0);
      model.erase(victim);
    } else if (model.size() < 300) {
      // Each rule has a priority of its own: overlap is decided.
      ModelRule rule{step,
                     0x0a00'0000 + draw(64),
                     kSourceMasks[draw(4)],
                     static_cast<std::uint16_t>(draw(64)),
                     kPortMasks[draw(3)],
                     draw(2) == 0,
                     draw(3),
                     nullptr};
      rule.handle = add(rule);
      ASSERT_NE(rule.handle, nullptr) << error_.message;
      model.push_back(rule);
    }
    const Bytes frame =
        model_packet(0x0a00'0000 + draw(64), static_cast<std::uint16_t>(draw(64)), draw(2) == 0)
            .bytes();
    const ModelRule* best = nullptr;
    for (const ModelRule& rule : model) {
      if (hits(rule, frame) && (best == nullptr || rule.priority < best->priority)) best = &rule;
    }
    const Outcome got = send(frame);
    ASSERT_EQ(got.bytes, frame);
    ASSERT_EQ(got.kind, best == nullptr ? Outcome::kProgram : Outcome::kWire) << "step " << step;
    ASSERT_EQ(got.port, best == nullptr ? 1u : best->to) << "step " << step;
  }
}

TEST_F(EmudpuRules, AreFoundByTheThousandWhileTheTableGrows) {
  std::vector<Rule*> rules;
  for (unsigned i = 0; i < 20'000; ++i) {
    rules.push_back(add({0, 0x0a00'0000 + i, 0xffff'ffff, 7, 0xffff, false, 2, nullptr}));
    ASSERT_NE(rules.back(), nullptr);
  }
  for (unsigned i = 0; i < rules.size(); i += 2) ASSERT_EQ(destroy(rules[i]), 0);
  for (unsigned i = 0; i < rules.size(); ++i) {
    const Outcome got = send(model_packet(0x0a00'0000 + i, 7, false).bytes());
    ASSERT_EQ(got.kind, i % 2 == 0 ? Outcome::kProgram : Outcome::kWire) << i;
  }
}

TEST_F(EmudpuRules, OfOneMatchTheOldestTakesThePacket) {
  Rule* const first = create(udp_pattern(), Actions().to_port(0));
  ASSERT_NE(create(udp_pattern(), Actions().to_port(2)), nullptr);
  EXPECT_EQ(send(udp_packet().bytes()).port, 0u);
  ASSERT_EQ(destroy(first), 0);
  EXPECT_EQ(send(udp_packet().bytes()).port, 2u);
}

TEST_F(EmudpuRules, WithoutDuplicatesRefuseTheSecond) {
  use("unlimited", [](CardConfig& config) { config.profile.has_duplicates = false; });
  ASSERT_NE(create(udp_pattern(), Actions().to_port(0)), nullptr);
  EXPECT_EQ(create(udp_pattern(), Actions().to_port(2)), nullptr);
  EXPECT_EQ(rte_errno, EEXIST);
}

TEST_F(EmudpuRules, NeverTakeWhatTheProgramSendsUnlessTheySaySo) {
  ASSERT_NE(create(udp_pattern(), Actions().action(RTE_FLOW_ACTION_TYPE_DROP)), nullptr);
  Items any;
  any.item(RTE_FLOW_ITEM_TYPE_ETH);
  ASSERT_NE(create(any, Actions().action(RTE_FLOW_ACTION_TYPE_DROP), 0, 9), nullptr);
  const Outcome got = send(udp_packet().bytes(), 1 | kFromProgram);
  EXPECT_EQ(got.kind, Outcome::kWire);
  EXPECT_EQ(got.port, 1u);
  Items from_program;
  from_program
      .item(RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR, rte_flow_item_ethdev{kFirstPortId + 1},
            rte_flow_item_ethdev{0xffff})
      .item(RTE_FLOW_ITEM_TYPE_ETH);
  ASSERT_NE(create(from_program, Actions().to_port(2)), nullptr);
  EXPECT_EQ(send(udp_packet().bytes(), 1 | kFromProgram).port, 2u);
}

TEST_F(EmudpuRules, SeeNoPortsInFragmentsBehindTheFirst) {
  ASSERT_NE(create(udp_pattern(), Actions().to_port(2)), nullptr);
  const std::vector<Bytes> pieces =
      cut_into_fragments(Packet(udp_packet()).data(100).bytes(), 32, 5);
  ASSERT_GE(pieces.size(), 2u);
  EXPECT_EQ(send(pieces[0]).kind, Outcome::kWire);
  EXPECT_EQ(send(pieces[1]).kind, Outcome::kProgram);
}

TEST_F(EmudpuRules, OnUntaggedHeadersPassTaggedPacketsBy) {
  ASSERT_NE(create(udp_pattern(), Actions().to_port(2)), nullptr);
  const Bytes tagged = Packet()
                           .eth("02:00:00:00:00:01"_mac, "02:00:00:00:00:02"_mac)
                           .vlan(5)
                           .ip("10.0.0.1"_ip, "10.0.0.2"_ip)
                           .udp(1000, 2000)
                           .bytes();
  EXPECT_EQ(send(tagged).kind, Outcome::kProgram);
}

}  // namespace
}  // namespace gannet::emudpu
