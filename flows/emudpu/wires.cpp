// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/wires.hpp"

#include "flows/emudpu/asic.hpp"
#include "flows/emudpu/log.hpp"

#include <cerrno>
#include <cstring>

namespace gannet::emudpu {
namespace {

constexpr std::uint16_t kDescriptors = 1024;

int configure(std::uint16_t wire, rte_mempool* pool) {
  rte_eth_dev_info info;
  if (const int status = rte_eth_dev_info_get(wire, &info); status != 0) return status;
  rte_eth_conf conf{};
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  std::uint16_t mtu = 0;
  if (rte_eth_dev_get_mtu(wire, &mtu) == 0 && mtu >= RTE_ETHER_MIN_MTU && mtu <= info.max_mtu) {
    conf.rxmode.mtu = mtu;
  }
  if (const int status = rte_eth_dev_configure(wire, 1, 1, &conf); status != 0) return status;
  std::uint16_t rx = kDescriptors;
  std::uint16_t tx = kDescriptors;
  if (const int status = rte_eth_dev_adjust_nb_rx_tx_desc(wire, &rx, &tx); status != 0)
    return status;
  const int socket = rte_eth_dev_socket_id(wire);
  const auto node = socket < 0 ? 0u : static_cast<unsigned>(socket);
  if (const int status = rte_eth_rx_queue_setup(wire, 0, rx, node, nullptr, pool); status != 0)
    return status;
  if (const int status = rte_eth_tx_queue_setup(wire, 0, tx, node, nullptr); status != 0)
    return status;
  if (const int status = rte_eth_dev_start(wire); status != 0) return status;
  // A wire without a filter is promiscuous anyway.
  const int promiscuous = rte_eth_promiscuous_enable(wire);
  return promiscuous == -ENOTSUP ? 0 : promiscuous;
}

// The ethdev below has been removed: the cable is out.
int lose_wire(std::uint16_t, rte_eth_event_type, void* argument, void*) {
  auto& port = *static_cast<Port*>(argument);
  port.card->asic().while_paused([&port] { port.wire_id = kNoPort; });
  return 0;
}

}  // namespace

int connect_wire(Port& port, rte_mempool* pool) {
  if (port.wire_name.empty()) return 0;
  std::uint16_t wire;
  if (rte_eth_dev_get_port_by_name(port.wire_name.c_str(), &wire) != 0) {
    EMUDPU_LOG(ERR, "there is no ethdev '%s'; it must be created before the card",
               port.wire_name.c_str());
    return -ENODEV;
  }
  rte_eth_dev_owner owner{};
  if (rte_eth_dev_owner_new(&owner.id) != 0) return -ENOMEM;
  std::strncpy(owner.name, "net_emudpu", sizeof owner.name - 1);
  if (const int status = rte_eth_dev_owner_set(wire, &owner); status != 0) {
    EMUDPU_LOG(ERR, "ethdev '%s' belongs to somebody else", port.wire_name.c_str());
    return status;
  }
  port.owner_id = owner.id;
  if (const int status = configure(wire, pool); status != 0) {
    EMUDPU_LOG(ERR, "ethdev '%s' cannot be started: %s", port.wire_name.c_str(),
               std::strerror(-status));
    rte_eth_dev_owner_unset(wire, owner.id);
    return status;
  }
  port.wire_id = wire;
  rte_eth_dev_callback_register(wire, RTE_ETH_EVENT_DESTROY, lose_wire, &port);
  return 0;
}

void disconnect_wire(Port& port) {
  if (port.wire_id == kNoPort || rte_eth_dev_is_valid_port(port.wire_id) == 0) return;
  rte_eth_dev_callback_unregister(port.wire_id, RTE_ETH_EVENT_DESTROY, lose_wire, &port);
  rte_eth_dev_stop(port.wire_id);
  rte_eth_dev_owner_unset(port.wire_id, port.owner_id);
  port.wire_id = kNoPort;
}

}  // namespace gannet::emudpu
