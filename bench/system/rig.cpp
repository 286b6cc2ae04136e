// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/rig.hpp"

#include "bench/system/device.hpp"
#include "control/daemon.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include <fmt/format.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace gannet::bench {
namespace {

constexpr unsigned kBatch = 64;
constexpr std::uint32_t kSpareBuffers = 4'096;
constexpr std::uint32_t kMinCaptured = 1'024;  // Packets of a file: one packet alone is no load.
constexpr unsigned kPollsPerLook = 256;        // Between two looks at the clock.

}  // namespace

Result<std::unique_ptr<Rig>> Rig::create(const RigConfig& config) {
  std::unique_ptr<Rig> rig(new Rig(config));
  if (const auto opened = rig->open(); !opened) return tl::unexpected(opened.error());
  return rig;
}

Result<void> Rig::add_port(const std::string& name) {
  RigPort port{name, "rig_" + name, nullptr, nullptr};
  port.rx = rte_ring_create((port.device + "_rx").c_str(), config_.ring_slots, SOCKET_ID_ANY,
                            RING_F_SP_ENQ | RING_F_SC_DEQ);
  port.tx = rte_ring_create((port.device + "_tx").c_str(), config_.ring_slots, SOCKET_ID_ANY,
                            RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (port.rx == nullptr || port.tx == nullptr) return fail("no memory for the rig's rings");
  const int ethdev = rte_eth_from_rings(port.device.c_str(), &port.rx, 1, &port.tx, 1, 0);
  if (ethdev < 0) return fail("cannot make a port of rings");
  char device[RTE_ETH_NAME_MAX_LEN];
  rte_eth_dev_get_name_by_port(static_cast<std::uint16_t>(ethdev), device);
  port.device = device;
  ports_.push_back(port);
  return {};
}

Result<void> Rig::open() {
  control::Diagnostics diagnostics;
  const std::uint32_t capacity = config_.capacity != 0 ? config_.capacity : config_.flow_count + 64;
  const std::vector<control::Source> sources{
      {std::make_shared<control::SourceFile>("host", host_of(config_.scenario, capacity)), false}};
  const auto host = control::load_host_config(sources, diagnostics);
  if (host) control::validate(*host, diagnostics);
  if (!host || diagnostics.has_errors()) {
    return fail(control::render(control::Format::kText, diagnostics, "host"));
  }
  host_ = *host;
  const std::uint32_t captured = std::max(config_.flow_count, kMinCaptured);
  buffer_count_ = config_.buffer_count != 0 ? config_.buffer_count : 2 * captured + kSpareBuffers;
  pool_ = rte_pktmbuf_pool_create("rig", buffer_count_, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                  SOCKET_ID_ANY);
  if (pool_ == nullptr) return fail("no memory for the rig's packets: reserve more huge pages");
  std::vector<dataplane::PortConfig> ports;
  for (const control::HostPort& port : host_.ports) {
    if (const auto added = add_port(port.name); !added) return tl::unexpected(added.error());
  }
  for (const RigPort& port : ports_) {
    ports.push_back({port.name.c_str(), port.device.c_str(), 0, port.name == "uplink"});
  }
  const std::vector<unsigned> cores{1};
  dataplane::DataplaneConfig dataplane;
  dataplane.ports = ports;
  dataplane.cores = cores;
  dataplane.idle = dataplane::Idle::kSpin;
  dataplane.tracking = control::tracking_of(host_, 0, config_.has_huge_pages);
  dataplane.tracking.ip6_capacity = 1;  // No scenario speaks IPv6.
  dataplane.max_mtu = 1'600;
  dataplane.has_own_threads = config_.has_own_thread;
  if (config_.clock != nullptr) dataplane.clock = dataplane::Clock(config_.clock);
  auto made = dataplane::Dataplane::create(dataplane);
  if (!made) return tl::unexpected(made.error());
  dataplane_ = std::move(*made);
  controller_ = std::make_unique<control::Controller>(host_, control::facts_of(host_, *dataplane_),
                                                      *dataplane_);
  return apply(policy_of(config_.scenario, config_.policy));
}

Result<void> Rig::apply(const std::string& policy) {
  control::Diagnostics diagnostics;
  const control::ApplyResult applied = controller_->apply({{"bench", policy}}, diagnostics);
  if (!applied.is_applied) {
    return fail(control::render(control::Format::kText, diagnostics, "bench") + applied.error);
  }
  return {};
}

Result<void> Rig::swap_rules() {
  PolicyShape shape = config_.policy;
  shape.first_denied_port += ++swap_count_ % 2;
  return apply(policy_of(config_.scenario, shape));
}

Rig::~Rig() {
  controller_.reset();
  dataplane_.reset();
  for (const std::uint16_t ethdev : captures_) {
    close_device(ethdev);
  }
  for (const RigPort& port : ports_) {
    for (rte_ring* const ring : {port.rx, port.tx}) {
      void* packet = nullptr;
      while (rte_ring_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
      rte_ring_free(ring);
    }
  }
  rte_mempool_free(pool_);
}

std::uint16_t Rig::index_of(const std::string& port) const {
  const auto found = std::find_if(ports_.begin(), ports_.end(),
                                  [&port](const RigPort& p) { return p.name == port; });
  return static_cast<std::uint16_t>(found - ports_.begin());
}

const Rig::RigPort& Rig::port(std::string_view name) const {
  return *std::find_if(ports_.begin(), ports_.end(),
                       [name](const RigPort& p) { return p.name == name; });
}

void Rig::send(const RigPort& port, const Frame& frame) {
  rte_mbuf* const packet = rte_pktmbuf_alloc(pool_);
  char* const room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
  std::memcpy(room, frame.data(), frame.size());
  rte_ring_enqueue(port.rx, packet);
}

void Rig::confirm_neighbors() {
  const Ticks now = to_ticks(dataplane_->clock().now());
  for (unsigned i = 0; i <= kRemoteHosts; ++i) {
    dataplane_->neighbors().learn(remote_host(i), remote_host_mac(i), now);
  }
}

void Rig::settle() {
  while (dataplane_->worker(0).poll()) {
  }
}

std::vector<Frame> Rig::take(const RigPort& port) {
  std::vector<Frame> frames;
  void* entry = nullptr;
  while (rte_ring_dequeue(port.tx, &entry) == 0) {
    auto* const packet = static_cast<rte_mbuf*>(entry);
    const auto* const data = rte_pktmbuf_mtod(packet, const std::uint8_t*);
    // ARP questions of the switch are for nobody here.
    if (packet->data_len > 14 && data[13] != 0x06)
      frames.emplace_back(data, data + packet->data_len);
    rte_pktmbuf_free(packet);
  }
  return frames;
}

Result<void> Rig::connect() {
  const RigPort& near_port = port("vm1");
  const RigPort& far_port = port(config_.scenario.far_port);
  confirm_neighbors();
  for (std::uint32_t first = 0; first < config_.flow_count; first += kBatch) {
    const std::uint32_t count = std::min<std::uint32_t>(kBatch, config_.flow_count - first);
    for (std::uint32_t i = 0; i < count; ++i) {
      const unsigned bytes = config_.is_imix ? imix_bytes(first + i) : config_.frame_bytes;
      there_.push_back(make_udp(flow_of(config_.scenario, first + i), bytes));
      send(near_port, there_.back());
    }
    settle();
    const std::vector<Frame> out = take(far_port);
    for (const Frame& frame : out) {
      back_.push_back(reply_to(frame, vm1_mac()));
      send(far_port, back_.back());
    }
    settle();
    const std::size_t answered = take(near_port).size();
    if (out.size() != count || answered != count) {
      return fail(
          fmt::format("of {} first packets {} came out and {} were answered: the policy does "
                      "not let the flows through",
                      count, out.size(), answered));
    }
  }
  return {};
}

// A device that plays a capture file for ever, in the place of a ring.
Result<std::string> Rig::plug(const std::string& port, std::vector<Frame>& frames) {
  const std::size_t distinct = frames.size();
  while (frames.size() < kMinCaptured) frames.push_back(frames[frames.size() % distinct]);
  std::mt19937 random(42);  // Equal in every run.
  std::shuffle(frames.begin(), frames.end(), random);
  const std::string file = config_.folder + "/" + port + ".pcap";
  if (const auto written = write_pcap(file, frames); !written)
    return tl::unexpected(written.error());
  frames.clear();
  frames.shrink_to_fit();
  const auto plugged = plug_device(port, "net_pcap_" + port, "rx_pcap=" + file + ",infinite_rx=1");
  if (!plugged) return tl::unexpected(plugged.error());
  return file;
}

Result<void> Rig::plug_device(const std::string& port, const std::string& device,
                              const std::string& args) {
  const auto opened = open_device(device, args, pool_);
  if (!opened) return tl::unexpected(opened.error());
  captures_.push_back(*opened);
  dataplane_->worker(0).replug(index_of(port), *opened);
  return {};
}

Result<void> Rig::plug_captures() {
  std::vector<Frame> none;
  if (config_.scenario.measures_there) {
    const auto file = plug("vm1", there_);
    if (!file) return tl::unexpected(file.error());
    there_file_ = *file;
  }
  const std::string far_port(config_.scenario.far_port);
  if (config_.scenario.measures_back) {
    const auto file = plug(far_port, back_);
    if (!file) return tl::unexpected(file.error());
    back_file_ = *file;
  }
  // What the other port sends has to go somewhere: a sink that takes everything.
  for (const std::string& port : {std::string("vm1"), far_port}) {
    const bool is_plugged =
        port == "vm1" ? config_.scenario.measures_there : config_.scenario.measures_back;
    if (is_plugged) continue;
    if (const auto plugged = plug_device(port, "net_null_" + port, "no-rx=1"); !plugged) {
      return tl::unexpected(plugged.error());
    }
  }
  return {};
}

Measured Rig::counters() const {
  Measured m;
  const dataplane::WorkerStats& stats = dataplane_->worker(0).stats();
  m.fast = stats.path.fast_packets.read();
  m.slow = stats.path.slow_packets.read();
  for (const auto& port : stats.ports) {
    m.packets += port.rx_packets.read();
    for (const auto& reason : port.drops) m.drops += reason.read();
  }
  return m;
}

Measured Rig::measure(double seconds, dataplane::StepCycles* steps) {
  using Clock = std::chrono::steady_clock;
  dataplane::Worker& worker = dataplane_->worker(0);
  confirm_neighbors();
  const Measured before = counters();
  const auto started = Clock::now();
  const auto until =
      started + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const std::uint64_t cycles = rte_rdtsc();
  while (Clock::now() < until) {
    for (unsigned i = 0; i < kPollsPerLook; ++i) {
      steps == nullptr ? worker.poll() : worker.poll(*steps);
    }
  }
  Measured m = counters();
  m.cycles = rte_rdtsc() - cycles;
  m.seconds = std::chrono::duration<double>(Clock::now() - started).count();
  m.packets -= before.packets;
  m.fast -= before.fast;
  m.slow -= before.slow;
  m.drops -= before.drops;
  return m;
}

std::uint64_t Rig::connection_count() const {
  return dataplane_->worker(0).connections().connection_total();
}

}  // namespace gannet::bench
