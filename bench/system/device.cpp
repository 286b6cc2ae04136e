// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/device.hpp"

#include <rte_dev.h>
#include <rte_ethdev.h>

namespace gannet::bench {

Result<std::uint16_t> open_device(const std::string& device, const std::string& args,
                                  rte_mempool* pool) {
  std::uint16_t ethdev = 0;
  const rte_eth_conf conf{};
  const bool is_open = rte_eal_hotplug_add("vdev", device.c_str(), args.c_str()) == 0 &&
                       rte_eth_dev_get_port_by_name(device.c_str(), &ethdev) == 0 &&
                       rte_eth_dev_configure(ethdev, 1, 1, &conf) == 0 &&
                       rte_eth_rx_queue_setup(ethdev, 0, 0, 0, nullptr, pool) == 0 &&
                       rte_eth_tx_queue_setup(ethdev, 0, 0, 0, nullptr) == 0 &&
                       rte_eth_dev_start(ethdev) == 0;
  if (!is_open) return fail("cannot open the device " + device + "," + args);
  return ethdev;
}

void close_device(std::uint16_t ethdev) {
  rte_eth_dev_stop(ethdev);
  rte_eth_dev_close(ethdev);
}

}  // namespace gannet::bench
