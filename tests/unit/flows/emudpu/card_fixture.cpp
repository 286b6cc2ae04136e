// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/flows/emudpu/card_fixture.hpp"

#include "flows/base/check.hpp"
#include "tests/support/literals.hpp"

#include <cstring>

#include <rte_eal.h>

namespace gannet::emudpu {
namespace {

using namespace test;  // NOLINT

class Eal : public ::testing::Environment {
 public:
  void SetUp() override {
    const char* arguments[] = {"emudpu_test", "--no-huge",      "-m", "128", "--no-pci",
                               "--no-shconf", "--no-telemetry", "-l", "0",   "--log-level=error"};
    GANNET_CHECK(
        rte_eal_init(static_cast<int>(std::size(arguments)), const_cast<char**>(arguments)) >= 0);
  }
  void TearDown() override { rte_eal_cleanup(); }
};
[[maybe_unused]] ::testing::Environment* const g_eal = ::testing::AddGlobalTestEnvironment(new Eal);

rte_mempool* the_pool() {
  static rte_mempool* const pool =
      rte_pktmbuf_pool_create("emudpu_test", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  GANNET_CHECK(pool != nullptr);
  return pool;
}

}  // namespace

Items& Items::from_port(unsigned index) {
  return item(RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT,
              rte_flow_item_ethdev{static_cast<std::uint16_t>(kFirstPortId + index)},
              rte_flow_item_ethdev{0xffff});
}

Actions& Actions::to_port(unsigned index) {
  return action(RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT,
                rte_flow_action_ethdev{static_cast<std::uint16_t>(kFirstPortId + index)});
}

CardTest::~CardTest() {
  for (const auto& port : card_->ports()) port->port_id = kNoPort;
}

void CardTest::use(const char* profile, void (*change)(CardConfig&)) {
  pool_ = the_pool();
  CardConfig config;
  config.name = "test";
  config.profile = *find_profile(profile);
  config.vfs = {"", ""};
  config.is_manual = true;
  if (change != nullptr) change(config);
  card_ = std::make_unique<Card>(std::move(config));
  for (const auto& port : card_->ports())
    port->port_id = static_cast<std::uint16_t>(kFirstPortId + port->index);
  card_->start_asic(pool_);
  executor_ = std::make_unique<Executor>(*this, pool_);
  now_ = kNanosPerSecond;
  static_cast<void>(card_->asic().poll(now_));
}

Rule* CardTest::create(Items items, Actions actions, std::uint32_t group, std::uint32_t priority) {
  rte_flow_attr attr{};
  attr.group = group;
  attr.priority = priority;
  attr.transfer = 1;
  error_ = {};
  return card_->create(proxy(), attr, items.end(), actions.end(), &error_);
}

std::pair<std::uint64_t, std::uint64_t> CardTest::count(Rule* rule) {
  rte_flow_query_count counted{};
  const rte_flow_action action{RTE_FLOW_ACTION_TYPE_COUNT, nullptr};
  EXPECT_EQ(card_->query(rule, &action, &counted, &error_), 0);
  return {counted.hits, counted.bytes};
}

Outcome CardTest::send(const Bytes& frame, Source source) {
  rte_mbuf* const packet = rte_pktmbuf_alloc(pool_);
  GANNET_CHECK(packet != nullptr);
  char* const bytes = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
  GANNET_CHECK(bytes != nullptr);
  std::memcpy(bytes, frame.data(), frame.size());
  ParsedPacket parsed;
  parsed.key.source = source;
  parse_packet(reinterpret_cast<const std::uint8_t*>(bytes), packet->data_len, packet->pkt_len,
               executor_->vxlan_ports(), parsed);
  outcomes_.clear();
  executor_->set_time(now_);
  card_->epoch().enter();
  static_cast<void>(
      executor_->run(packet, parsed, card_->transfer_root(), card_->port_tables().data()));
  card_->epoch().leave();
  return outcomes_.empty() ? Outcome{} : outcomes_.back();
}

void CardTest::keep(Outcome::Kind kind, std::uint16_t port, rte_mbuf* packet) {
  Bytes bytes;
  for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
    const auto* const data = rte_pktmbuf_mtod(segment, const std::uint8_t*);
    bytes.insert(bytes.end(), data, data + segment->data_len);
  }
  rte_pktmbuf_free(packet);
  outcomes_.push_back({kind, port, std::move(bytes), {}});
}

Packet udp_packet() {
  return Packet()
      .eth("02:00:00:00:00:01"_mac, "02:00:00:00:00:02"_mac)
      .ip("10.0.0.1"_ip, "10.0.0.2"_ip)
      .udp(1000, 2000)
      .data(32);
}

Items udp_pattern(std::uint16_t destination_port) {
  rte_flow_item_udp spec{};
  rte_flow_item_udp mask{};
  spec.hdr.dst_port = Be16(destination_port).raw();
  mask.hdr.dst_port = 0xffff;
  Items items;
  items.from_port(1).item(RTE_FLOW_ITEM_TYPE_ETH).item(RTE_FLOW_ITEM_TYPE_IPV4);
  items.item(RTE_FLOW_ITEM_TYPE_UDP, spec, mask);
  return items;
}

}  // namespace gannet::emudpu
