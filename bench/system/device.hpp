// SPDX-License-Identifier: BSD-3-Clause
// DPDK devices of the benchmarks, with one queue pair each.
#pragma once

#include "flows/base/result.hpp"

#include <cstdint>
#include <string>

struct rte_mempool;

namespace gannet::bench {

/// Makes a virtual device and starts it. \return the number of its port.
[[nodiscard]] Result<std::uint16_t> open_device(const std::string& device, const std::string& args,
                                                rte_mempool* pool);

void close_device(std::uint16_t ethdev);

}  // namespace gannet::bench
