// SPDX-License-Identifier: BSD-3-Clause
// A representor as an ethdev: configuration, queues, link, and the burst functions.
#include "flows/emudpu/asic.hpp"
#include "flows/emudpu/device_stats.hpp"
#include "flows/emudpu/registry.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <rte_malloc.h>

namespace gannet::emudpu {
namespace {

constexpr std::uint16_t kDefaultDescriptors = 1024;
constexpr std::uint16_t kMaxDescriptors = 8192;
constexpr std::uint32_t kMaxFrame = 9728;
constexpr std::uint64_t kRssTypes = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

int configure(rte_eth_dev*) { return 0; }

int start(rte_eth_dev* device) {
  Port& port = port_of(device);
  port.card->asic().while_paused([&] {
    port.rx_count = device->data->nb_rx_queues;
    port.tx_count = device->data->nb_tx_queues;
    for (std::uint16_t i = 0; i < port.rx_count; ++i) {
      port.rx[i] = static_cast<RxQueue*>(device->data->rx_queues[i]);
    }
    for (std::uint16_t i = 0; i < port.tx_count; ++i) {
      port.tx[i] = static_cast<TxQueue*>(device->data->tx_queues[i]);
    }
    port.is_started = true;
  });
  return 0;
}

int stop(rte_eth_dev* device) {
  Port& port = port_of(device);
  port.card->asic().while_paused([&] {
    port.is_started = false;
    port.rx_count = 0;
    port.tx_count = 0;
  });
  return 0;
}

int info_get(rte_eth_dev* device, rte_eth_dev_info* info) {
  const Port& port = port_of(device);
  info->max_rx_queues = kMaxQueues;
  info->max_tx_queues = kMaxQueues;
  info->min_rx_bufsize = 64;
  info->max_rx_pktlen = kMaxFrame;
  info->max_mtu = kMaxFrame - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
  rte_eth_dev_info wire;
  if (port.wire_id != kNoPort && rte_eth_dev_info_get(port.wire_id, &wire) == 0) {
    info->max_mtu = std::min(info->max_mtu, wire.max_mtu);
    info->max_rx_pktlen = std::min(info->max_rx_pktlen, wire.max_rx_pktlen);
  }
  info->max_mac_addrs = 1;
  info->flow_type_rss_offloads = kRssTypes;
  info->hash_key_size = 40;
  info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_RSS_HASH;
  info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  info->rx_desc_lim = {.nb_max = kMaxDescriptors,
                       .nb_min = 32,
                       .nb_align = 1,
                       .nb_seg_max = UINT16_MAX,
                       .nb_mtu_seg_max = UINT16_MAX};
  info->tx_desc_lim = info->rx_desc_lim;
  info->default_rxportconf = {.burst_size = 32, .ring_size = kDefaultDescriptors, .nb_queues = 1};
  info->default_txportconf = info->default_rxportconf;
  info->speed_capa = RTE_ETH_LINK_SPEED_100G;
  info->dev_capa = RTE_ETH_DEV_CAPA_FLOW_RULE_KEEP | RTE_ETH_DEV_CAPA_FLOW_SHARED_OBJECT_KEEP;
  info->switch_info.name = port.card->config().name.c_str();
  info->switch_info.domain_id = port.card->switch_domain();
  info->switch_info.port_id = port.index;
  return 0;
}

rte_ring* make_ring(const rte_eth_dev* device, char direction, unsigned queue, unsigned size,
                    int socket) {
  char name[RTE_RING_NAMESIZE];
  std::snprintf(name, sizeof name, "emudpu_%u_%c%u", device->data->port_id, direction, queue);
  return rte_ring_create(name, size, socket, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

void free_ring(rte_ring* ring) {
  if (ring == nullptr) return;
  void* packet = nullptr;
  while (rte_ring_sc_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
  rte_ring_free(ring);
}

void rx_queue_release(rte_eth_dev* device, std::uint16_t id) {
  auto* const queue = static_cast<RxQueue*>(device->data->rx_queues[id]);
  if (queue == nullptr) return;
  free_ring(queue->ring);
  delete queue;
  device->data->rx_queues[id] = nullptr;
}

void tx_queue_release(rte_eth_dev* device, std::uint16_t id) {
  auto* const queue = static_cast<TxQueue*>(device->data->tx_queues[id]);
  if (queue == nullptr) return;
  free_ring(queue->ring);
  delete queue;
  device->data->tx_queues[id] = nullptr;
}

int rx_queue_setup(rte_eth_dev* device, std::uint16_t id, std::uint16_t descriptors,
                   unsigned socket, const rte_eth_rxconf*, rte_mempool* pool) {
  rx_queue_release(device, id);
  rte_ring* const ring = make_ring(device, 'r', id, descriptors, static_cast<int>(socket));
  if (ring == nullptr) return -ENOMEM;
  auto* const queue = new RxQueue();
  queue->ring = ring;
  queue->pool = pool;
  queue->port_id = device->data->port_id;
  device->data->rx_queues[id] = queue;
  return 0;
}

int tx_queue_setup(rte_eth_dev* device, std::uint16_t id, std::uint16_t descriptors,
                   unsigned socket, const rte_eth_txconf*) {
  tx_queue_release(device, id);
  rte_ring* const ring = make_ring(device, 't', id, descriptors, static_cast<int>(socket));
  if (ring == nullptr) return -ENOMEM;
  auto* const queue = new TxQueue();
  queue->ring = ring;
  device->data->tx_queues[id] = queue;
  return 0;
}

int close(rte_eth_dev* device) {
  Port& port = port_of(device);
  Card& card = *port.card;
  if (port.is_started) stop(device);
  card.close(port);
  for (std::uint16_t i = 0; i < device->data->nb_rx_queues; ++i) rx_queue_release(device, i);
  for (std::uint16_t i = 0; i < device->data->nb_tx_queues; ++i) tx_queue_release(device, i);
  rte_free(device->data->mac_addrs);
  device->data->mac_addrs = nullptr;
  port.port_id = kNoPort;
  // The last port takes the card with it.
  if (std::ranges::all_of(card.ports(), [](const auto& p) { return p->port_id == kNoPort; })) {
    remove_card(card);
  }
  return 0;
}

int link_update(rte_eth_dev* device, int) {
  const Port& port = port_of(device);
  rte_eth_link link{};
  link.link_speed = RTE_ETH_SPEED_NUM_100G;
  link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
  link.link_status = port.wire_name.empty() ? RTE_ETH_LINK_DOWN : RTE_ETH_LINK_UP;
  rte_eth_link wire;
  if (port.wire_id != kNoPort && rte_eth_link_get_nowait(port.wire_id, &wire) == 0) {
    link.link_status = wire.link_status;
  }
  return rte_eth_linkstatus_set(device, &link);
}

// A representor receives what misses the card's tables, whatever its address.
int promiscuous_on(rte_eth_dev*) { return 0; }
int promiscuous_off(rte_eth_dev*) { return 0; }

int mac_addr_set(rte_eth_dev* device, rte_ether_addr* address) {
  const Port& port = port_of(device);
  if (port.wire_id == kNoPort) return 0;
  const int status = rte_eth_dev_default_mac_addr_set(port.wire_id, address);
  return status == -ENOTSUP ? 0 : status;
}

int mtu_set(rte_eth_dev* device, std::uint16_t mtu) {
  const Port& port = port_of(device);
  if (port.wire_id == kNoPort) return 0;
  std::uint16_t now = 0;
  if (rte_eth_dev_get_mtu(port.wire_id, &now) == 0 && now == mtu) return 0;
  const int status = rte_eth_dev_set_mtu(port.wire_id, mtu);
  return status == -ENOTSUP ? 0 : status;
}

int flow_ops_get(rte_eth_dev*, const rte_flow_ops** ops) {
  *ops = &flow_operations();
  return 0;
}

// rte_ethdev hands in a pointer to the operations' pointer.
int mtr_ops_get(rte_eth_dev* device, void* ops) {
  if (port_of(device).card->profile().meters == 0) return -ENOTSUP;
  *static_cast<const rte_mtr_ops**>(ops) = &meter_operations();
  return 0;
}

int representor_info_get(rte_eth_dev* device, rte_eth_representor_info* info) {
  const Card& card = *port_of(device).card;
  const auto vfs = static_cast<std::uint32_t>(card.config().vfs.size());
  const std::uint32_t ranges = vfs == 0 ? 0 : 1;
  if (info == nullptr) return static_cast<int>(ranges);
  info->controller = 0;
  info->pf = 0;
  info->nb_ranges = std::min(info->nb_ranges_alloc, ranges);
  if (info->nb_ranges != 0) {
    rte_eth_representor_range& range = info->ranges[0];
    range = {};
    range.type = RTE_ETH_REPRESENTOR_VF;
    range.controller = info->controller;
    range.pf = info->pf;
    range.vf = 0;
    range.id_base = 0;
    range.id_end = vfs - 1;
    std::snprintf(range.name, sizeof range.name, "vf");
  }
  return static_cast<int>(ranges);
}

int udp_tunnel_port(rte_eth_dev* device, std::uint16_t from, std::uint16_t to) {
  VxlanPorts& ports = port_of(device).card->asic().vxlan_ports();
  const auto place = std::ranges::find(ports, from);
  if (place == ports.end()) return -ENOSPC;
  port_of(device).card->asic().while_paused([&] { *place = to; });
  return 0;
}

int udp_tunnel_port_add(rte_eth_dev* device, rte_eth_udp_tunnel* tunnel) {
  if (tunnel->prot_type != RTE_ETH_TUNNEL_TYPE_VXLAN) return -ENOTSUP;
  const VxlanPorts& ports = port_of(device).card->asic().vxlan_ports();
  if (std::ranges::find(ports, tunnel->udp_port) != ports.end()) return 0;
  return udp_tunnel_port(device, 0, tunnel->udp_port);
}

int udp_tunnel_port_del(rte_eth_dev* device, rte_eth_udp_tunnel* tunnel) {
  if (tunnel->prot_type != RTE_ETH_TUNNEL_TYPE_VXLAN) return -ENOTSUP;
  return udp_tunnel_port(device, tunnel->udp_port, 0);
}

eth_dev_ops make_operations() {
  eth_dev_ops ops{};
  ops.dev_configure = configure;
  ops.dev_start = start;
  ops.dev_stop = stop;
  ops.dev_close = close;
  ops.dev_reset = [](rte_eth_dev* device) {
    port_of(device).card->reset();
    return 0;
  };
  ops.link_update = link_update;
  ops.promiscuous_enable = promiscuous_on;
  ops.promiscuous_disable = promiscuous_off;
  ops.allmulticast_enable = promiscuous_on;
  ops.allmulticast_disable = promiscuous_off;
  ops.mac_addr_set = mac_addr_set;
  ops.mtu_set = mtu_set;
  ops.dev_infos_get = info_get;
  ops.rx_queue_setup = rx_queue_setup;
  ops.rx_queue_release = rx_queue_release;
  ops.tx_queue_setup = tx_queue_setup;
  ops.tx_queue_release = tx_queue_release;
  ops.udp_tunnel_port_add = udp_tunnel_port_add;
  ops.udp_tunnel_port_del = udp_tunnel_port_del;
  ops.flow_ops_get = flow_ops_get;
  ops.mtr_ops_get = mtr_ops_get;
  ops.representor_info_get = representor_info_get;
  add_statistics(ops);
  return ops;
}

}  // namespace

const eth_dev_ops& device_operations() {
  static const eth_dev_ops operations = make_operations();
  return operations;
}

std::uint16_t receive(void* queue, rte_mbuf** packets, std::uint16_t room) {
  auto& from = *static_cast<RxQueue*>(queue);
  const unsigned count =
      rte_ring_sc_dequeue_burst(from.ring, reinterpret_cast<void**>(packets), room, nullptr);
  if (count == 0) return 0;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) bytes += packets[i]->pkt_len;
  from.received.add(count, bytes);
  return static_cast<std::uint16_t>(count);
}

std::uint16_t transmit(void* queue, rte_mbuf** packets, std::uint16_t count) {
  auto& to = *static_cast<TxQueue*>(queue);
  std::uint64_t bytes = 0;  // Read while the packets are still the caller's.
  for (unsigned i = 0; i < count; ++i) bytes += packets[i]->pkt_len;
  const unsigned taken =
      rte_ring_sp_enqueue_burst(to.ring, reinterpret_cast<void* const*>(packets), count, nullptr);
  for (unsigned i = taken; i < count; ++i) bytes -= packets[i]->pkt_len;
  to.sent.add(taken, bytes);
  return static_cast<std::uint16_t>(taken);
}

}  // namespace gannet::emudpu
