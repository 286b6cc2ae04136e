// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/device_stats.hpp"

#include "flows/emudpu/registry.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace gannet::emudpu {
namespace {

std::uint64_t read(const std::atomic<std::uint64_t>& value) {
  return value.load(std::memory_order_relaxed);
}

void sum(const rte_eth_dev* device, rte_eth_stats& out) {
  for (std::uint16_t i = 0; i < device->data->nb_rx_queues; ++i) {
    const auto* const queue = static_cast<const RxQueue*>(device->data->rx_queues[i]);
    if (queue == nullptr) continue;
    out.ipackets += read(queue->received.packets);
    out.ibytes += read(queue->received.bytes);
    out.imissed += read(queue->missed);
    out.rx_nombuf += read(queue->without_buffer);
    if (i >= RTE_ETHDEV_QUEUE_STAT_CNTRS) continue;
    out.q_ipackets[i] = read(queue->received.packets);
    out.q_ibytes[i] = read(queue->received.bytes);
  }
  for (std::uint16_t i = 0; i < device->data->nb_tx_queues; ++i) {
    const auto* const queue = static_cast<const TxQueue*>(device->data->tx_queues[i]);
    if (queue == nullptr) continue;
    out.opackets += read(queue->sent.packets);
    out.obytes += read(queue->sent.bytes);
    if (i >= RTE_ETHDEV_QUEUE_STAT_CNTRS) continue;
    out.q_opackets[i] = read(queue->sent.packets);
    out.q_obytes[i] = read(queue->sent.bytes);
  }
}

int stats_get(rte_eth_dev* device, rte_eth_stats* stats) {
  sum(device, *stats);
  const rte_eth_stats& base = port_of(device).stats_base;
  stats->ipackets -= base.ipackets;
  stats->ibytes -= base.ibytes;
  stats->imissed -= base.imissed;
  stats->rx_nombuf -= base.rx_nombuf;
  stats->opackets -= base.opackets;
  stats->obytes -= base.obytes;
  return 0;
}

int stats_reset(rte_eth_dev* device) {
  port_of(device).stats_base = {};
  sum(device, port_of(device).stats_base);
  return 0;
}

struct ExtendedStatistic {
  const char* name;
  std::uint64_t (*read)(const WireCounters&);
};

template <DropCause kCause>
std::uint64_t read_drops(const WireCounters& c) {
  return read(c.drops[static_cast<unsigned>(kCause)]);
}

constexpr ExtendedStatistic kExtended[] = {
    {"wire_rx_packets", [](const WireCounters& c) { return read(c.received.packets); }},
    {"wire_rx_bytes", [](const WireCounters& c) { return read(c.received.bytes); }},
    {"wire_tx_packets", [](const WireCounters& c) { return read(c.sent.packets); }},
    {"wire_tx_bytes", [](const WireCounters& c) { return read(c.sent.bytes); }},
    {"wire_tx_failures", [](const WireCounters& c) { return read(c.send_failures); }},
    {"hardware_packets", [](const WireCounters& c) { return read(c.forwarded.packets); }},
    {"hardware_bytes", [](const WireCounters& c) { return read(c.forwarded.bytes); }},
    {"software_packets", [](const WireCounters& c) { return read(c.to_software.packets); }},
    {"software_bytes", [](const WireCounters& c) { return read(c.to_software.bytes); }},
    {"software_not_started", [](const WireCounters& c) { return read(c.unheard); }},
    {"drop_by_rule", read_drops<DropCause::kRule>},
    {"drop_by_meter", read_drops<DropCause::kMeter>},
    {"drop_unfit_for_action", read_drops<DropCause::kPacket>},
    {"drop_no_memory", read_drops<DropCause::kMemory>},
    {"drop_jump_loop", read_drops<DropCause::kLoop>},
    {"drop_isolated", read_drops<DropCause::kIsolated>},
};

int xstats_get(rte_eth_dev* device, rte_eth_xstat* values, unsigned room) {
  const WireCounters& counters = port_of(device).counters;
  const auto count = static_cast<unsigned>(std::size(kExtended));
  if (room < count || values == nullptr) return static_cast<int>(count);
  for (unsigned i = 0; i < count; ++i) values[i] = {i, kExtended[i].read(counters)};
  return static_cast<int>(count);
}

int xstats_get_names(rte_eth_dev*, rte_eth_xstat_name* names, unsigned room) {
  const auto count = static_cast<unsigned>(std::size(kExtended));
  if (names == nullptr || room < count) return static_cast<int>(count);
  for (unsigned i = 0; i < count; ++i) {
    std::snprintf(names[i].name, sizeof names[i].name, "%s", kExtended[i].name);
  }
  return static_cast<int>(count);
}

}  // namespace

void add_statistics(eth_dev_ops& operations) {
  operations.stats_get = stats_get;
  operations.stats_reset = stats_reset;
  operations.xstats_get = xstats_get;
  operations.xstats_get_names = xstats_get_names;
}

}  // namespace gannet::emudpu
