// SPDX-License-Identifier: BSD-3-Clause
// The ports of a HostConfig as DPDK devices. Control thread.
#pragma once

#include "control/policy/host_config.hpp"
#include "flows/base/result.hpp"

#include <string>
#include <vector>

namespace gannet::control {

/// What the kernel says of an interface; an MTU of -1 if there is none of that name here.
struct Interface {
  int mtu = -1;
  unsigned flags = 0;  // IFF_*.
};
[[nodiscard]] Interface look_up_interface(const std::string& name);

/// The file of the emulated card's driver: it lies beside this program.
[[nodiscard]] std::string emulated_card_driver();

/// A port's devargs: what DPDK is asked to open.
[[nodiscard]] std::string devargs_of(const HostPort& port, std::uint16_t mtu);

/// Whether the kernel interfaces that ports use are there, and the uplink's is wide enough.
/// \return one sentence with the fix for the first that is not.
[[nodiscard]] Result<void> check_interfaces(const HostConfig& host);

/// PCI addresses that the ports need; DPDK leaves all other devices alone.
[[nodiscard]] std::vector<std::string> pci_addresses(const HostConfig& host);

}  // namespace gannet::control
