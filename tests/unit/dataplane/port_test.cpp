// SPDX-License-Identifier: BSD-3-Clause
// What a port asks of its device.
#include "dataplane/port.hpp"

#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace gannet::dataplane {
namespace {

// A guest leaves the checksums of TCP and UDP to a device that says it checks them, and nobody
// would write them.
TEST(Port, GuestsHaveToWriteTheirChecksums) {
  const std::string socket = "/tmp/gannet-port-test-" + std::to_string(getpid());
  const std::string device = "net_vhost_port_test,iface=" + socket;
  rte_mempool* const pool =
      rte_pktmbuf_pool_create("port_test", 2'047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  ASSERT_NE(pool, nullptr);
  PortConfig config;
  config.name = "vm1";
  config.device = device.c_str();
  {
    const auto port = Port::open(config, 1, pool);
    ASSERT_TRUE(port.has_value()) << port.error().message;
    rte_eth_dev_info info;
    ASSERT_EQ(rte_eth_dev_info_get(port->ethdev(), &info), 0);
    constexpr std::uint64_t kL4 = RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
    EXPECT_EQ(info.rx_offload_capa & kL4, kL4);
    rte_eth_conf conf;
    ASSERT_EQ(rte_eth_dev_conf_get(port->ethdev(), &conf), 0);
    EXPECT_EQ(conf.rxmode.offloads & kL4, 0u);
  }
  rte_mempool_free(pool);
}

}  // namespace
}  // namespace gannet::dataplane
