// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/card_rig.hpp"

#include "control/daemon.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"

#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>
#include <sys/prctl.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace gannet::bench {
namespace {

constexpr std::string_view kScenario = "encap";
constexpr auto kIdlePause = std::chrono::microseconds(10);
constexpr unsigned kWireSlots = 1'024;
constexpr unsigned kFrames = 8'191;                   // That the rig may have on the way.
constexpr std::uint32_t kFirstCutFlow = 64 * 16'384;  // Flows from this number have other ports,
constexpr const char* kCutPorts = "1064-1200";        // these.
constexpr std::uint16_t kFirstCutPort = 1'064;
constexpr std::size_t kInnerPort = 50 + 14 + 20 + 2;  // Of the destination, in a tunnel.

std::string card_policy(bool denies) {
  std::string text = policy_of(*find_scenario(kScenario), PolicyShape{});
  if (!denies) return text;
  const std::string heading = "    egress:\n";
  return text.insert(
      text.find(heading) + heading.size(),
      fmt::format("      - {{name: no, action: deny, proto: udp, ports: [\"{}\"], to: any}}\n",
                  kCutPorts));
}

}  // namespace

Result<std::unique_ptr<CardRig>> CardRig::create(std::uint32_t connections) {
  std::unique_ptr<CardRig> rig(new CardRig());
  prctl(PR_SET_TIMERSLACK, 1'000);  // Or a short pause is a long one.
  if (const auto opened = rig->open(connections); !opened) return tl::unexpected(opened.error());
  return rig;
}

// \return the name of the ethdev.
Result<std::string> CardRig::add_wire(const std::string& name) {
  Wire& wire = wires_[name == "uplink" ? 0 : 1];
  wire.in = rte_ring_create(("in_" + name).c_str(), kWireSlots, SOCKET_ID_ANY, 0);
  wire.out = rte_ring_create(("out_" + name).c_str(), kWireSlots, SOCKET_ID_ANY, 0);
  if (wire.in == nullptr || wire.out == nullptr) return fail("no memory for the rig's wires");
  const int ethdev =
      rte_eth_from_rings(("wire_" + name).c_str(), &wire.in, 1, &wire.out, 1, SOCKET_ID_ANY);
  if (ethdev < 0) return fail("cannot make a wire of rings");
  wire.ethdev = static_cast<std::uint16_t>(ethdev);
  char device[RTE_ETH_NAME_MAX_LEN];
  rte_eth_dev_get_name_by_port(wire.ethdev, device);
  return std::string(device);
}

Result<void> CardRig::open(std::uint32_t connections) {
  control::Diagnostics diagnostics;
  const std::string text = host_of(*find_scenario(kScenario), connections) +
                           "nic: {type: emulated, uplink: uplink, vfs: [vm1]}\n";
  const std::vector<control::Source> sources{
      {std::make_shared<control::SourceFile>("host", text), false}};
  const auto host = control::load_host_config(sources, diagnostics);
  if (host) control::validate(*host, diagnostics);
  if (!host || diagnostics.has_errors()) {
    return fail(control::render(control::Format::kText, diagnostics, "host"));
  }
  host_ = *host;
  pool_ =
      rte_pktmbuf_pool_create("frames", kFrames, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool_ == nullptr) return fail("no memory for the rig's packets: reserve more huge pages");
  std::vector<std::string> wires;
  for (const control::HostPort& port : host_.ports) {
    const auto wire = add_wire(port.name);
    if (!wire) return tl::unexpected(wire.error());
    wires.push_back(*wire);
  }
  auto card = control::EmulatedCard::open({wires, "unlimited", ""});
  if (!card) return tl::unexpected(card.error());
  card_.emplace(std::move(*card));
  return open_switch(connections);
}

Result<void> CardRig::open_switch(std::uint32_t connections) {
  std::vector<dataplane::PortConfig> ports;
  for (const control::HostPort& port : host_.ports) {
    const char* const device = card_->representor(ports.size()).c_str();
    ports.push_back({port.name.c_str(), device, 0, port.name == "uplink", true});
  }
  const std::vector<unsigned> cores{1};
  dataplane::DataplaneConfig config;
  config.ports = ports;
  config.cores = cores;
  config.tracking = control::tracking_of(host_, config.clock.now(), true);
  config.max_mtu = 1'600;
  config.offload = control::offload_settings_of(host_);
  config.offload->max_rules = connections;  // Of each, one direction sends.
  auto made = dataplane::Dataplane::create(config);
  if (!made) return tl::unexpected(made.error());
  dataplane_ = std::move(*made);
  auto manager = control::OffloadManager::create(control::offload_config_of(host_), *dataplane_);
  if (!manager) return tl::unexpected(manager.error());
  offload_ = std::move(*manager);
  controller_ = std::make_unique<control::Controller>(host_, control::facts_of(host_, *dataplane_),
                                                      *dataplane_, offload_.get());
  dataplane_->start();
  learn_neighbors();
  return apply(false);
}

CardRig::~CardRig() {
  controller_.reset();
  offload_.reset();
  dataplane_.reset();
  card_.reset();
  for (const Wire& wire : wires_) {
    if (wire.out == nullptr) continue;
    rte_eth_dev_stop(wire.ethdev);
    rte_eth_dev_close(wire.ethdev);
    for (rte_ring* const ring : {wire.in, wire.out}) {
      void* packet = nullptr;
      while (rte_ring_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
      rte_ring_free(ring);
    }
  }
  rte_mempool_free(pool_);
}

Result<void> CardRig::apply(bool denies) {
  control::Diagnostics diagnostics;
  const auto applied = controller_->apply({{"bench", card_policy(denies)}}, diagnostics);
  if (applied.is_applied) return {};
  return fail(control::render(control::Format::kText, diagnostics, "bench") + applied.error);
}

bool CardRig::is_conforming() const {
  const std::uint32_t wanted = controller_->generation();
  return dataplane_->conforming_generation() >= wanted &&
         offload_->conforming_generation() >= wanted;
}

void CardRig::learn_neighbors() {
  for (unsigned i = 0; i <= kRemoteHosts; ++i) {
    dataplane_->neighbors().learn(remote_host(i), remote_host_mac(i),
                                  to_ticks(dataplane_->clock().now()));
  }
}

void CardRig::send(Kind kind, std::uint32_t flow) {
  static const Scenario scenario = *find_scenario("encap");
  const std::uint32_t number = kind == Kind::kDenied ? kFirstCutFlow + flow : flow;
  const Frame frame = make_udp(flow_of(scenario, number), 64);
  rte_mbuf* packet = nullptr;
  while ((packet = rte_pktmbuf_alloc(pool_)) == nullptr) receive();
  std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size())), frame.data(),
              frame.size());
  while (rte_ring_enqueue(wires_[1].in, packet) != 0) receive();
  ++sent_[static_cast<int>(kind)];
}

void CardRig::receive() {
  std::array<void*, 64> burst{};
  bool has_some = false;
  for (const Wire& wire : wires_) {
    const unsigned count = rte_ring_dequeue_burst(wire.out, burst.data(), burst.size(), nullptr);
    has_some = has_some || count != 0;
    for (unsigned i = 0; i < count; ++i) {
      auto* const packet = static_cast<rte_mbuf*>(burst[i]);
      const auto* const data = rte_pktmbuf_mtod(packet, const std::uint8_t*);
      if (packet->data_len > kInnerPort + 1) {
        const unsigned port = data[kInnerPort] * 256U + data[kInnerPort + 1];
        ++came_[port >= kFirstCutPort ? 1 : 0];
      }
      rte_pktmbuf_free(packet);
    }
  }
  // With fewer cores than threads the others need this one: a thread that only yields takes half.
  if (!has_some) std::this_thread::sleep_for(kIdlePause);
}

void CardRig::drain() {
  using Clock = std::chrono::steady_clock;
  auto last = Clock::now();
  while (Clock::now() - last < std::chrono::milliseconds(50)) {
    const std::uint64_t before = came_[0] + came_[1];
    receive();
    if (came_[0] + came_[1] != before) last = Clock::now();
  }
}

}  // namespace gannet::bench
