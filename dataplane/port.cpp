// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

namespace gannet::dataplane {
namespace {

constexpr std::uint16_t kRxDescriptors = 1'024;
constexpr std::uint16_t kTxDescriptors = 1'024;
// Of the flow queue, and counters that its card sets aside; less if it has less.
constexpr std::uint32_t kFlowOperations = 1'024;
constexpr std::uint32_t kFlowCounters = 1U << 20;

std::string sentence(const PortConfig& config, const char* what, int error) {
  return std::string("port ") + config.name + ": " + what + " (" + config.device +
         "): " + rte_strerror(std::abs(error));
}

// The device's name: what stands before the first comma of its devargs.
std::string device_name(const char* devargs) {
  const std::string text(devargs);
  return text.substr(0, text.find(','));
}

// Virtual devices have one queue pair that one worker owns; only cards spread packets over queues.
unsigned usable_queues(const rte_eth_dev_info& info, unsigned worker_count) {
  const rte_bus* const bus = rte_dev_bus(info.device);
  const bool is_card = bus != nullptr && std::strcmp(rte_bus_name(bus), "pci") == 0;
  if (!is_card) return 1;
  return std::min<unsigned>(
      {worker_count, info.max_rx_queues, info.max_tx_queues, RTE_MAX_QUEUES_PER_PORT});
}

// The checksums that the device is to check. To virtio's drivers that means that TCP and UDP need
// none: a guest's packets come without unless they are told that nobody else checks.
std::uint64_t checksum_offloads(const rte_eth_dev_info& info) {
  const std::uint64_t offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
  const std::string_view driver(info.driver_name == nullptr ? "" : info.driver_name);
  const bool is_virtio = driver == "net_vhost" || driver.starts_with("net_virtio");
  constexpr std::uint64_t kL4 = RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
  return is_virtio ? offloads & ~kL4 : offloads;
}

}  // namespace

Result<Port> Port::open(const PortConfig& config, unsigned worker_count, rte_mempool* pool) {
  const std::string name = device_name(config.device);
  std::uint16_t ethdev = 0;
  bool is_probed = false;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &ethdev) != 0) {
    const int error = rte_dev_probe(config.device);
    if (error != 0) {
      return fail(sentence(config, "cannot open the device", error) +
                  "; check that it exists and that the daemon may use it");
    }
    is_probed = true;
    if (rte_eth_dev_get_port_by_name(name.c_str(), &ethdev) != 0) {
      return fail(sentence(config, "the device is no Ethernet port", ENODEV));
    }
  }
  Port port(ethdev, is_probed);
  if (const auto started = port.start(config, worker_count, pool); !started) {
    return tl::unexpected(started.error());
  }
  return port;
}

Result<void> Port::start(const PortConfig& config, unsigned worker_count, rte_mempool* pool) {
  rte_eth_dev_info info;
  int error = rte_eth_dev_info_get(ethdev_, &info);
  if (error != 0) return fail(sentence(config, "cannot ask what the device can do", error));
  queue_count_ =
      static_cast<std::uint16_t>(config.is_uplink ? usable_queues(info, worker_count) : 1);

  rte_eth_conf conf{};
  conf.rxmode.offloads = checksum_offloads(info);
  if (queue_count_ > 1) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf =
        info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);
  }
  error = rte_eth_dev_configure(ethdev_, queue_count_, queue_count_, &conf);
  if (error != 0) return fail(sentence(config, "cannot configure the device", error));
  std::uint16_t rx_count = kRxDescriptors;
  std::uint16_t tx_count = kTxDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(ethdev_, &rx_count, &tx_count);
  const int socket = rte_eth_dev_socket_id(ethdev_);
  const unsigned node = socket < 0 ? 0 : static_cast<unsigned>(socket);
  for (std::uint16_t q = 0; q < queue_count_; ++q) {
    error = rte_eth_rx_queue_setup(ethdev_, q, rx_count, node, nullptr, pool);
    if (error == 0) error = rte_eth_tx_queue_setup(ethdev_, q, tx_count, node, nullptr);
    if (error != 0) return fail(sentence(config, "cannot set up a queue", error));
  }
  // A device that says it cannot may still do it: af_packet carries what its interface does.
  const bool can_set =
      unsigned{config.mtu} + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN <= info.max_rx_pktlen;
  if (config.mtu != 0 && can_set) {
    error = rte_eth_dev_set_mtu(ethdev_, config.mtu);
    if (error != 0 && error != -ENOTSUP) {
      return fail(sentence(config, "cannot set the MTU", error));
    }
  }
  if (config.is_on_card && config.is_uplink) configure_flow_queue();
  error = rte_eth_dev_start(ethdev_);
  if (error != 0) return fail(sentence(config, "cannot start the device", error));
  // Frames for VMs and public addresses are not the port's own. Some devices need no telling.
  rte_eth_promiscuous_enable(ethdev_);
  rte_ether_addr address;
  error = rte_eth_macaddr_get(ethdev_, &address);
  if (error != 0) return fail(sentence(config, "cannot read the MAC address", error));
  std::memcpy(mac_.bytes.data(), address.addr_bytes, sizeof mac_);
  return {};
}

// rte_flow wants its queues to be known before the port starts; whether they are of use, the
// offload thread finds out. A port without them is one like any other.
void Port::configure_flow_queue() {
  rte_flow_port_info info{};
  rte_flow_queue_info queue_info{};
  rte_flow_error error{};
  if (rte_flow_info_get(ethdev_, &info, &queue_info, &error) != 0) return;
  if (info.max_nb_queues == 0 || queue_info.max_size == 0) return;
  rte_flow_port_attr attributes{};
  attributes.nb_counters = std::min(info.max_nb_counters, kFlowCounters);
  rte_flow_queue_attr queue{};
  queue.size = std::min(queue_info.max_size, kFlowOperations);
  const rte_flow_queue_attr* queues[] = {&queue};
  if (rte_flow_configure(ethdev_, &attributes, 1, queues, &error) == 0) {
    flow_queue_size_ = queue.size;
  }
}

bool Port::is_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(ethdev_, &link) != 0 || link.link_status == RTE_ETH_LINK_UP;
}

PortLosses Port::losses() const {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(ethdev_, &stats) != 0) return {};
  PortLosses losses{stats.imissed, stats.ierrors, stats.rx_nombuf};
  std::uint64_t id = 0;  // Only emulated cards have it.
  if (rte_eth_xstats_get_id_by_name(ethdev_, "wire_tx_failures", &id) == 0) {
    rte_eth_xstats_get_by_id(ethdev_, &id, &losses.wire_tx_failures, 1);
  }
  return losses;
}

Port::Port(Port&& other) noexcept
    : ethdev_(other.ethdev_),
      is_probed_(other.is_probed_),
      queue_count_(other.queue_count_),
      flow_queue_size_(other.flow_queue_size_),
      mac_(other.mac_) {
  other.ethdev_ = kMoved;
}

Port::~Port() {
  if (ethdev_ == kMoved) return;
  rte_eth_dev_info info;
  const bool has_device = rte_eth_dev_info_get(ethdev_, &info) == 0;
  rte_eth_dev_stop(ethdev_);
  rte_eth_dev_close(ethdev_);
  if (is_probed_ && has_device && info.device != nullptr) rte_dev_remove(info.device);
}

}  // namespace gannet::dataplane
