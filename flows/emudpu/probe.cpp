// SPDX-License-Identifier: BSD-3-Clause
// The virtual device: reads devargs, makes the card and its ethdevs, and takes them away.
#include "flows/emudpu/asic.hpp"
#include "flows/emudpu/log.hpp"
#include "flows/emudpu/registry.hpp"
#include "flows/emudpu/wires.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include <bus_vdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_devargs.h>
#include <rte_ether.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>

namespace gannet::emudpu {

int g_log_type;

namespace {

constexpr std::uint32_t kBuffersPerPort = 4096;
constexpr std::uint16_t kBufferBytes = RTE_MBUF_DEFAULT_BUF_SIZE;

struct Arguments {
  CardConfig config;
  std::vector<std::pair<std::string, std::string>> faults;
  std::string error;
};

template <typename T>
bool read_number(std::string_view text, T& out) {
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && status == std::errc{} && end == text.data() + text.size();
}

bool read_flag(std::string_view text, bool& out) {
  out = text == "1";
  return text == "0" || text == "1";
}

// One devarg; false if it has no such value.
bool read_argument(Arguments& arguments, std::string_view key, const char* value) {
  CardConfig& config = arguments.config;
  Profile& profile = config.profile;
  const std::string_view text = value;
  std::uint64_t number = 0;
  if (key == "profile" || key == "representor") return true;  // Read before and after the others.
  if (key == "uplink") {
    config.uplink = text == "none" ? "" : value;
    return true;
  }
  if (key == "vf") {
    config.vfs.emplace_back(text == "none" ? "" : value);
    return config.vfs.size() < kMaxPorts;
  }
  if (key.starts_with("fault_")) {
    arguments.faults.emplace_back(key.substr(6), value);
    return true;
  }
  if (key == "idle") {
    config.spins = text == "spin";
    return text == "spin" || text == "adaptive";
  }
  if (key == "core")
    return read_number(text, config.core) && config.core >= 0 && config.core < CPU_SETSIZE;
  if (key == "manual") return read_flag(text, config.is_manual);
  if (key == "duplicates") return read_flag(text, profile.has_duplicates);
  if (!read_number(text, number)) return false;
  const auto small = static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
  if (key == "slots") profile.slots = small;
  if (key == "counters") profile.counters = small;
  if (key == "ages") profile.ages = small;
  if (key == "flow_queues") profile.queues = small;
  if (key == "buffers") config.buffers = small;
  if (key == "insert_rate") profile.insert_rate = static_cast<double>(number);
  if (key == "insert_delay_us") profile.insert_delay = number * 1000;
  return true;
}

constexpr const char* kKeys[] = {"uplink",
                                 "vf",
                                 "representor",
                                 "profile",
                                 "core",
                                 "idle",
                                 "manual",
                                 "slots",
                                 "counters",
                                 "ages",
                                 "flow_queues",
                                 "buffers",
                                 "insert_rate",
                                 "insert_delay_us",
                                 "duplicates",
                                 "fault_full",
                                 "fault_insert_every",
                                 "fault_insert_percent",
                                 "fault_errno",
                                 "fault_slow_us",
                                 "fault_destroy_every",
                                 "fault_destroy_percent",
                                 "fault_lost_aged_percent",
                                 "fault_wrong",
                                 "fault_wrong_after",
                                 "fault_seed",
                                 nullptr};

int read_one(const char* key, const char* value, void* opaque) {
  auto& arguments = *static_cast<Arguments*>(opaque);
  if (value != nullptr && read_argument(arguments, key, value)) return 0;
  EMUDPU_LOG(ERR, "%s=%s: not a value of this devarg", key, value == nullptr ? "" : value);
  return -1;
}

int read_profile(const char*, const char* value, void* opaque) {
  const Profile* const profile = value == nullptr ? nullptr : find_profile(value);
  if (profile == nullptr) {
    EMUDPU_LOG(ERR, "there is no profile '%s'", value == nullptr ? "" : value);
    return -1;
  }
  static_cast<Arguments*>(opaque)->config.profile = *profile;
  return 0;
}

bool read_representors(const char* text, CardConfig& config) {
  config.representors.assign(config.vfs.size(), true);
  rte_eth_devargs wanted{};
  if (rte_eth_devargs_parse(text, &wanted) < 0) return false;
  if (wanted.type == RTE_ETH_REPRESENTOR_NONE) return true;
  if (wanted.type != RTE_ETH_REPRESENTOR_VF) return false;
  config.representors.assign(config.vfs.size(), false);
  for (unsigned i = 0; i < wanted.nb_representor_ports; ++i) {
    if (wanted.representor_ports[i] >= config.vfs.size()) return false;
    config.representors[wanted.representor_ports[i]] = true;
  }
  return true;
}

int read_arguments(const char* text, Arguments& out) {
  out.config.profile = *find_profile("unlimited");
  rte_kvargs* const list = rte_kvargs_parse(text, kKeys);
  if (list == nullptr) {
    EMUDPU_LOG(ERR, "devargs '%s' cannot be read; docs/emudpu.md lists them", text);
    return -EINVAL;
  }
  const bool is_good = rte_kvargs_process(list, "profile", read_profile, &out) == 0 &&
                       rte_kvargs_process(list, nullptr, read_one, &out) == 0;
  rte_kvargs_free(list);
  if (!is_good) return -EINVAL;
  if (read_representors(text, out.config)) return 0;
  EMUDPU_LOG(ERR, "representor= must name VFs of this card");
  return -EINVAL;
}

void set_mac(rte_eth_dev* device, const Port& port) {
  rte_ether_addr* const address = device->data->mac_addrs;
  if (port.wire_id != kNoPort && rte_eth_macaddr_get(port.wire_id, address) == 0) return;
  rte_eth_random_addr(address->addr_bytes);
}

int add_ethdev(rte_vdev_device* vdev, Port& port) {
  std::string name = rte_vdev_device_name(vdev);
  if (port.index != 0) name += "_representor_vf" + std::to_string(port.index - 1);
  rte_eth_dev* const device = rte_eth_dev_allocate(name.c_str());
  if (device == nullptr) return -ENOMEM;
  auto* const mine = static_cast<DevicePrivate*>(rte_zmalloc("emudpu", sizeof(DevicePrivate), 0));
  device->data->mac_addrs =
      static_cast<rte_ether_addr*>(rte_zmalloc("emudpu", sizeof(rte_ether_addr), 0));
  device->data->dev_private = mine;
  if (mine == nullptr || device->data->mac_addrs == nullptr) {
    rte_eth_dev_release_port(device);
    return -ENOMEM;
  }
  mine->port = &port;
  port.port_id = device->data->port_id;
  device->device = &vdev->device;
  device->data->numa_node = vdev->device.numa_node;
  device->data->dev_flags = RTE_ETH_DEV_FLOW_OPS_THREAD_SAFE | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
  device->data->promiscuous = 1;
  device->data->all_multicast = 1;
  if (port.index != 0) {
    device->data->dev_flags |= RTE_ETH_DEV_REPRESENTOR;
    device->data->representor_id = static_cast<std::uint16_t>(port.index - 1);
    device->data->backer_port_id = port.card->ports()[0]->port_id;
  }
  device->dev_ops = &device_operations();
  device->rx_pkt_burst = receive;
  device->tx_pkt_burst = transmit;
  std::uint16_t mtu = RTE_ETHER_MTU;
  if (port.wire_id != kNoPort) rte_eth_dev_get_mtu(port.wire_id, &mtu);
  device->data->mtu = mtu;
  set_mac(device, port);
  rte_eth_dev_probing_finish(device);
  return 0;
}

int build(rte_vdev_device* vdev, Card& card) {
  std::uint32_t buffers = card.config().buffers;
  if (buffers == 0) buffers = kBuffersPerPort * static_cast<std::uint32_t>(card.ports().size() + 1);
  rte_mempool* const pool = rte_pktmbuf_pool_create(card.config().name.c_str(), buffers - 1, 256, 0,
                                                    kBufferBytes, SOCKET_ID_ANY);
  if (pool == nullptr) {
    EMUDPU_LOG(ERR, "no memory for %u buffers", buffers);
    return -ENOMEM;
  }
  card.set_pool(pool);
  for (const auto& port : card.ports()) {
    if (const int status = connect_wire(*port, pool); status != 0) return status;
  }
  card.start_asic(pool);
  for (const auto& port : card.ports()) {
    if (port->index != 0 && !card.config().representors[port->index - 1u]) continue;
    if (const int status = add_ethdev(vdev, *port); status != 0) return status;
  }
  return 0;
}

int probe(rte_vdev_device* vdev) {
  Arguments arguments;
  arguments.config.name = rte_vdev_device_name(vdev);
  if (const int status = read_arguments(rte_vdev_device_args(vdev), arguments); status != 0)
    return status;
  auto* const card = new Card(std::move(arguments.config));
  for (const auto& [name, value] : arguments.faults) {
    if (card->faults().set(name, value)) continue;
    EMUDPU_LOG(ERR, "fault_%s=%s: not a value of this devarg", name.c_str(), value.c_str());
    delete card;
    return -EINVAL;
  }
  register_card(*card);
  const int status = build(vdev, *card);
  if (status != 0) remove_card(*card);
  return status;
}

int remove(rte_vdev_device* vdev) {
  const Card* const card = find_card(rte_vdev_device_name(vdev));
  if (card == nullptr) return 0;
  std::vector<std::uint16_t> ids;
  for (const auto& port : const_cast<Card*>(card)->ports()) {
    if (port->port_id != kNoPort) ids.push_back(port->port_id);
  }
  // Representors go before the proxy; the last one takes the card with it.
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    if (rte_eth_devices[*id].data->dev_started != 0) rte_eth_dev_stop(*id);
    rte_eth_dev_close(*id);
  }
  return 0;
}

}  // namespace

void remove_card(Card& card) {
  unregister_card(card);
  card.stop_asic();
  for (const auto& port : card.ports()) disconnect_wire(*port);
  rte_mempool* const pool = card.pool();
  delete &card;
  // Buffers that the program still holds were copied to its own pools; those of wires are back.
  rte_mempool_free(pool);
}

}  // namespace gannet::emudpu

static rte_vdev_driver emudpu_driver = {
    .next = {},
    .driver = {},
    .probe = gannet::emudpu::probe,
    .remove = gannet::emudpu::remove,
    .dma_map = nullptr,
    .dma_unmap = nullptr,
    .drv_flags = 0,
};

RTE_PMD_REGISTER_VDEV(net_emudpu, emudpu_driver);
RTE_PMD_REGISTER_PARAM_STRING(
    net_emudpu,
    "uplink=<ethdev> vf=<ethdev> representor=<list> "
    "profile=unlimited|connectx6dx|e810|tiny core=<int> idle=adaptive|spin "
    "manual=0|1 slots=<int> counters=<int> ages=<int> "
    "flow_queues=<int> buffers=<int> "
    "insert_rate=<int> insert_delay_us=<int> duplicates=0|1 fault_<name>=<value>");
RTE_INIT(emudpu_log_init) {
  gannet::emudpu::g_log_type =
      rte_log_register_type_and_pick_level("pmd.net.emudpu", RTE_LOG_NOTICE);
}
