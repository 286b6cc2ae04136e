// SPDX-License-Identifier: BSD-3-Clause
// Taking over the ethdevs that are the card's wires. Control threads, at probe and at the end.
#pragma once

#include "flows/emudpu/port.hpp"

namespace gannet::emudpu {

/// Finds the ethdev, claims it, and starts it, promiscuous, with buffers from `pool`.
/// \return 0 or a negative errno, after a line in the log
[[nodiscard]] int connect_wire(Port& port, rte_mempool* pool);
void disconnect_wire(Port& port);

}  // namespace gannet::emudpu
