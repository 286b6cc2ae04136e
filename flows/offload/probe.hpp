// SPDX-License-Identifier: BSD-3-Clause
// Asks a card what it can do: for each ability a small rule that needs it, given to
// rte_flow_validate. At start, and again after a reset. Offload thread or before it starts; some
// milliseconds.
#pragma once

#include "flows/offload/capabilities.hpp"

#include <cstdint>
#include <functional>

#include <rte_flow.h>

namespace gannet::offload {

/// Whether the card would take a rule.
using Validate =
    std::function<bool(const rte_flow_attr&, const rte_flow_item*, const rte_flow_action*)>;

/// \param in_port, out_port two ethdevs of the card. \param count_handle an indirect COUNT action
/// if the card has given one, else null.
[[nodiscard]] Capabilities probe(const Validate& validate, std::uint16_t in_port,
                                 std::uint16_t out_port,
                                 const rte_flow_action_handle* count_handle);

}  // namespace gannet::offload
