// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/bench_switch.hpp"

#include "control/daemon.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "flows/packet/headers.hpp"
#include "tests/support/visible_mempool.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace gannet::test {
namespace {

constexpr unsigned kRingSlots = 1'024;
constexpr unsigned kBuffers = 4'096;
constexpr std::uint16_t kFrameRoom = 12'000;  // Of one buffer, headroom included.
constexpr unsigned kMaxTurns = 100'000;
// Of the card's counters: so often that ageing is as exact as in software.
constexpr Nanos kReadingEvery = kNanosPerMilli;

std::string unique(const std::string& stem) {
  static unsigned count = 0;
  return fmt::format("{}{}", stem, count++);
}

std::string host_text(const BenchConfig& config) {
  std::string ports = "  uplink: {type: vdev, args: net_ring_uplink}\n";
  for (const std::string& name : config.vm_ports) {
    ports += fmt::format("  {0}: {{type: vdev, args: net_ring_{0}}}\n", name);
  }
  std::string cores;
  for (unsigned i = 0; i < config.worker_count; ++i)
    cores += (i == 0 ? "" : ", ") + std::to_string(i);
  std::string nic;
  if (!config.card.empty()) {
    nic = fmt::format("nic: {{type: emulated, uplink: uplink, vfs: [{}]}}\n",
                      fmt::join(config.vm_ports, ", "));
  }
  return fmt::format(
      "apiVersion: gannet/v1\nkind: HostConfig\nworkers: {{cores: [{}]}}\n"
      "memory: {{size: 256MiB, hugepages: none}}\ncapacity: {{connections: {}}}\n"
      "underlay: {{port: uplink, ips: [192.0.2.11/24], gateway: 192.0.2.1, mtu: {}{}}}\n"
      "ports:\n{}{}{}",
      cores, config.connections, config.mtu, config.underlay, ports, nic, config.host_yaml);
}

// All segments of it.
Bytes bytes_of(const rte_mbuf& packet) {
  Bytes frame;
  frame.reserve(packet.pkt_len);
  for (const rte_mbuf* segment = &packet; segment != nullptr; segment = segment->next) {
    const auto* const data = rte_pktmbuf_mtod(segment, const std::uint8_t*);
    frame.insert(frame.end(), data, data + segment->data_len);
  }
  return frame;
}

}  // namespace

Result<std::unique_ptr<BenchSwitch>> BenchSwitch::create(const BenchConfig& config) {
  std::unique_ptr<BenchSwitch> bench(new BenchSwitch());
  if (const auto opened = bench->open(config); !opened) return tl::unexpected(opened.error());
  return bench;
}

Result<void> BenchSwitch::add_port(const std::string& name) {
  BenchPort port{name, unique("bench"), 0, nullptr, nullptr};
  port.rx = rte_ring_create((port.device + "r").c_str(), kRingSlots, SOCKET_ID_ANY, 0);
  port.tx = rte_ring_create((port.device + "t").c_str(), kRingSlots, SOCKET_ID_ANY, 0);
  if (port.rx == nullptr || port.tx == nullptr) return fail("no memory for the bench's rings");
  const int ethdev = rte_eth_from_rings(port.device.c_str(), &port.rx, 1, &port.tx, 1, 0);
  if (ethdev < 0) return fail("cannot make a port of rings");
  port.ethdev = static_cast<std::uint16_t>(ethdev);
  // The name by which the port will be opened.
  char device[RTE_ETH_NAME_MAX_LEN];
  rte_eth_dev_get_name_by_port(port.ethdev, device);
  port.device = device;
  ports_.push_back(port);
  return {};
}

Result<void> BenchSwitch::open(const BenchConfig& config) {
  control::Diagnostics diagnostics;
  const std::vector<control::Source> sources{
      {std::make_shared<control::SourceFile>("bench", host_text(config)), false}};
  const auto host = control::load_host_config(sources, diagnostics);
  if (host) control::validate(*host, diagnostics);
  if (!host || diagnostics.has_errors()) {
    return fail(control::render(control::Format::kText, diagnostics, "bench"));
  }
  host_ = *host;
  is_live_ = config.is_live;
  pool_ =
      rte_pktmbuf_pool_create(unique("frames").c_str(), kBuffers, 0, 0, kFrameRoom, SOCKET_ID_ANY);
  if (pool_ == nullptr) return fail("no memory for the bench's frames");
  for (const control::HostPort& port : host_.ports) {
    if (const auto added = add_port(port.name); !added) return tl::unexpected(added.error());
  }
  if (const auto opened = open_card(config); !opened) return opened;
  if (const auto opened = open_dataplane(config); !opened) return opened;
  if (card_) {
    control::OffloadManagerConfig offload = control::offload_config_of(host_);
    offload.has_own_thread = is_live_;
    offload.withdrawal_patience = config.card_patience;
    if (!is_live_) offload.engine.reading_every = kReadingEvery;
    if (config.look_round != 0) offload.engine.audit.round = config.look_round;
    auto manager = control::OffloadManager::create(offload, *dataplane_);
    if (!manager) return tl::unexpected(manager.error());
    offload_ = std::move(*manager);
  }
  controller_ = std::make_unique<control::Controller>(host_, control::facts_of(host_, *dataplane_),
                                                      *dataplane_, offload_.get());
  // The first probe comes from port 50000 with sequence number 64,000, each next one a step
  // further.
  upkeep_ = std::make_unique<control::Upkeep>(
      *controller_, control::ProbeNumbers{50'000 - dataplane::kFirstProbePort - 1, 0});
  for (const BenchPort& port : ports_) {
    if (is_live_) make_port_visible(port.ethdev);
  }
  dataplane_->start();
  run();
  return {};
}

Result<void> BenchSwitch::open_card(const BenchConfig& config) {
  if (config.card.empty()) return {};
  std::vector<std::string> wires;
  for (const BenchPort& port : ports_) wires.push_back(port.device);
  auto card = control::EmulatedCard::open(
      {wires, "", (is_live_ ? "" : "manual=1,buffers=1024,") + config.card});
  if (!card) return tl::unexpected(card.error());
  card_.emplace(std::move(*card));
  return {};
}

Result<void> BenchSwitch::open_dataplane(const BenchConfig& config) {
  std::vector<dataplane::PortConfig> ports;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    const BenchPort& port = ports_[i];
    const char* const device = card_ ? card_->representor(i).c_str() : port.device.c_str();
    ports.push_back({port.name.c_str(), device, 0, port.name == "uplink", card_.has_value()});
  }
  std::vector<unsigned> cores(config.worker_count, 0);
  const unsigned core_count = std::max(std::thread::hardware_concurrency(), 1U);
  for (unsigned i = 0; i < cores.size(); ++i) cores[i] = i % core_count;
  dataplane::DataplaneConfig dataplane;
  dataplane.ports = ports;
  dataplane.cores = cores;
  if (!is_live_) dataplane.clock = dataplane::Clock(&clock_);
  dataplane.tracking = control::tracking_of(host_, dataplane.clock.now(), false);
  // A cold start's grace for connections without a SYN is a test's own subject (R6).
  const bool asks = config.host_yaml.find("midstream_after_start") != std::string::npos;
  if (!asks) dataplane.tracking.picks_up_until = 0;
  dataplane.fragment_timeout = duration_ticks(static_cast<Nanos>(host_.timers.fragment.count()));
  dataplane.buffer_count = kBuffers;
  dataplane.max_mtu = 9'000;
  dataplane.has_own_threads = is_live_;
  dataplane.seed = config.seed;
  if (card_) dataplane.offload = control::offload_settings_of(host_);
  auto made = dataplane::Dataplane::create(dataplane);
  if (!made) return tl::unexpected(made.error());
  dataplane_ = std::move(*made);
  return {};
}

BenchSwitch::~BenchSwitch() {
  static_cast<void>(close());
  rte_mempool_free(pool_);
}

unsigned BenchSwitch::close() {
  upkeep_.reset();
  const bool is_wire = card_.has_value();
  controller_.reset();
  offload_.reset();
  dataplane_.reset();
  card_.reset();
  for (const BenchPort& port : ports_) {
    if (is_wire) {  // Otherwise the dataplane has closed it.
      rte_eth_dev_stop(port.ethdev);
      rte_eth_dev_close(port.ethdev);
    }
    for (rte_ring* const ring : {port.rx, port.tx}) {
      void* packet = nullptr;
      while (rte_ring_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
      rte_ring_free(ring);
    }
  }
  ports_.clear();
  return pool_ == nullptr ? 0 : rte_mempool_in_use_count(pool_);
}

Result<void> BenchSwitch::apply(const std::string& name, const std::string& text, bool sweeps) {
  control::Diagnostics diagnostics;
  const control::ApplyResult result = controller_->apply({{name, text}}, diagnostics);
  if (!result.is_applied) {
    return fail(control::render(control::Format::kText, diagnostics, name) + result.error);
  }
  for (const auto& [ip, mac] : neighbors_) {
    dataplane_->neighbors().learn(ip, mac, to_ticks(dataplane_->clock().now()));
  }
  if (sweeps) settle_policy();
  return {};
}

Result<void> BenchSwitch::report_backend(const control::BackendId& id, bool is_healthy) {
  controller_->set_backend_health(id, is_healthy);
  if (const auto done = controller_->recompile(); !done) return done;
  settle_policy();
  return {};
}

// Some turns of housekeeping, in which connections are judged again.
void BenchSwitch::settle_policy() {
  for (int i = 0; i < 16; ++i) advance(kNanosPerMilli);
}

bool BenchSwitch::send(const std::string& port, const Bytes& frame, const FrameForm& form) {
  const auto to = std::find_if(ports_.begin(), ports_.end(),
                               [&port](const BenchPort& p) { return p.name == port; });
  if (to == ports_.end()) return false;
  if (frame.size() + RTE_PKTMBUF_HEADROOM > kFrameRoom) return false;
  const std::size_t most = form.segment_bytes == 0 ? frame.size() : form.segment_bytes;
  rte_mbuf* packet = nullptr;
  std::size_t at = 0;
  do {
    const std::size_t size = std::min(most, frame.size() - at);
    rte_mbuf* const segment = rte_pktmbuf_alloc(pool_);
    if (segment == nullptr) {  // Only where workers are behind.
      rte_pktmbuf_free(packet);
      return false;
    }
    char* const room = rte_pktmbuf_append(segment, static_cast<std::uint16_t>(size));
    std::memcpy(room, frame.data() + at, size);
    if (packet == nullptr) {
      packet = segment;
    } else {
      rte_pktmbuf_chain(packet, segment);
    }
    at += size;
  } while (at < frame.size());
  if (form.has_bad_l4_checksum) packet->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_BAD;
  if (form.has_bad_ip_checksum) packet->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
  if (form.has_bad_outer_ip_checksum) packet->ol_flags |= RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD;
  before_enqueue();
  if (rte_ring_enqueue(to->rx, packet) == 0) {
    ++to->sent;
    return true;
  }
  rte_pktmbuf_free(packet);
  return false;
}

bool BenchSwitch::poll_workers() {
  bool has_moved = false;
  for (unsigned i = 0; i < dataplane_->worker_count(); ++i) {
    has_moved = dataplane_->worker(i).poll() || has_moved;
  }
  return has_moved;
}

bool BenchSwitch::poll_all() {
  if (is_live_) return false;
  bool has_moved = false;
  if (card_) has_moved = rte_pmd_emudpu_poll(card_->name().c_str(), clock_.load()) > 0;
  has_moved = poll_workers() || has_moved;
  if (offload_ != nullptr && !is_offload_held_) has_moved = offload_->turn() || has_moved;
  // What housekeeping has sent is no packet that a worker received: the card has to say that it
  // moves.
  if (card_) has_moved = rte_pmd_emudpu_poll(card_->name().c_str(), clock_.load()) > 0 || has_moved;
  return has_moved;
}

// The other hosts on the underlay answer ARP; tests see neither question nor answer.
bool BenchSwitch::answer_question(const Bytes& frame) {
  constexpr std::size_t kArp = sizeof(packet::EthernetHeader);
  if (frame.size() < kArp + sizeof(packet::ArpHeader)) return false;
  const auto& ethernet = packet::header_at<packet::EthernetHeader>(frame.data());
  const auto& arp = packet::header_at<packet::ArpHeader>(frame.data() + kArp);
  if (ethernet.ether_type.host() != packet::kEtherTypeArp || arp.operation.host() != 1)
    return false;
  const auto found = neighbors_.find(arp.target_ip);
  if (found == neighbors_.end() || arp.sender_mac != uplink_mac()) return false;
  send("uplink", Packet()
                     .eth(found->second, arp.sender_mac)
                     .arp(2, found->second, arp.target_ip, arp.sender_mac, arp.sender_ip)
                     .bytes());
  return true;
}

void BenchSwitch::run() {
  for (unsigned turn = 0; turn < kMaxTurns; ++turn) {
    bool has_moved = poll_all();
    for (BenchPort& port : ports_) {
      void* entry = nullptr;
      while (rte_ring_dequeue(port.tx, &entry) == 0) {
        after_dequeue();
        auto* const packet = static_cast<rte_mbuf*>(entry);
        Bytes frame = bytes_of(*packet);
        rte_pktmbuf_free(packet);
        has_moved = true;
        ++port.received;
        if (port.name == "uplink" && answer_question(frame)) continue;
        output_[port.name].push_back(std::move(frame));
      }
    }
    if (!has_moved) return;
  }
}

void BenchSwitch::advance(Nanos by) {
  if (card_ && by > kReadingEvery) {  // What the card has carried until now was carried now.
    clock_.fetch_add(kReadingEvery);
    run();
    by -= kReadingEvery;
  }
  clock_.fetch_add(by);
  run();
  // Housekeeping is due again only when time moves; a little more lets it finish what it began.
  for (int i = 0; i < 4; ++i) {
    clock_.fetch_add(200'000);
    if (i == 3) upkeep_->run();  // Workers take its commands in housekeeping.
    run();
  }
  // Each turn gives up on the fragments of one packet.
  for (int i = 0; i < 256 && !is_live_; ++i) static_cast<void>(poll_workers());
  run();
}

std::map<std::string, std::vector<Bytes>> BenchSwitch::take_output() {
  return std::exchange(output_, {});
}

Mac BenchSwitch::uplink_mac() const { return dataplane_->ports().front().mac(); }

}  // namespace gannet::test
