// SPDX-License-Identifier: BSD-3-Clause
// The cards of this process, for telemetry and the functions of rte_pmd_emudpu.h.
#pragma once

#include "flows/emudpu/card.hpp"

#include <functional>
#include <string_view>

#include <ethdev_driver.h>
#include <rte_flow_driver.h>
#include <rte_mtr_driver.h>

namespace gannet::emudpu {

void register_card(Card& card);
void unregister_card(Card& card);
[[nodiscard]] Card* find_card(std::string_view name);
void for_each_card(const std::function<void(Card&)>& visit);

/// Stops a card that has no ports any more and frees it (probe.cpp).
void remove_card(Card& card);

/// The driver's entry into rte_ethdev (device.cpp).
[[nodiscard]] const eth_dev_ops& device_operations();
[[nodiscard]] const rte_flow_ops& flow_operations();
[[nodiscard]] const rte_mtr_ops& meter_operations();
[[nodiscard]] std::uint16_t receive(void* queue, rte_mbuf** packets, std::uint16_t room);
[[nodiscard]] std::uint16_t transmit(void* queue, rte_mbuf** packets, std::uint16_t count);

/// What an ethdev of this driver keeps as its private data.
struct DevicePrivate {
  Port* port;
};
[[nodiscard]] inline Port& port_of(const rte_eth_dev* device) {
  return *static_cast<DevicePrivate*>(device->data->dev_private)->port;
}

}  // namespace gannet::emudpu
