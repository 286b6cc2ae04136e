// SPDX-License-Identifier: BSD-3-Clause
// What this machine has, and whether that is enough for a host configuration: asked by the daemon
// before it takes anything, and by `gannetctl doctor`. No DPDK.
#pragma once

#include "control/policy/host_config.hpp"
#include "flows/base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace gannet::control {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// Memory that programs may still take, in bytes; swap does not count.
[[nodiscard]] std::uint64_t available_memory_bytes();
/// Free huge pages of 2 MiB.
[[nodiscard]] std::uint64_t free_huge_pages();
/// What the tables of a host take, about; beside memory.size, which is for packets.
[[nodiscard]] std::uint64_t table_bytes(const HostConfig& host);
/// What the emulated card's own packet buffers take of memory.size; 0 without one.
[[nodiscard]] std::uint64_t card_buffer_bytes(const HostConfig& host);
/// The least memory.size for that and the buffers of the ports.
[[nodiscard]] std::uint64_t least_memory_bytes(const HostConfig& host);
/// Whether packet buffers go to huge pages.
[[nodiscard]] bool takes_huge_pages(const HostConfig& host);
/// Cores that this process may run on.
[[nodiscard]] std::vector<unsigned> allowed_cores();
/// The number of the network namespace that this process is in; 0 if it cannot be told.
[[nodiscard]] std::uint64_t network_namespace();
/// Names of the capabilities that opening ports takes and this process lacks.
[[nodiscard]] std::vector<std::string> missing_capabilities();

/// \return one sentence if the emulated card is to run on a core that this machine has not.
[[nodiscard]] Result<void> check_card_core(const HostConfig& host);

/// \return one sentence with the fix if the machine lacks something that the configuration needs.
[[nodiscard]] Result<void> check_machine(const HostConfig& host);

}  // namespace gannet::control
