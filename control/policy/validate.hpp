// SPDX-License-Identifier: BSD-3-Clause
// What the tables of fields cannot say: names that must exist, addresses that must fit, numbers
// that must agree. All findings, each at the value that is wrong. Values that could not be decoded
// are passed over: they have been reported. Control thread and command line; nearly linear in the
// size of the policy.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/host_config.hpp"
#include "control/policy/model.hpp"
#include "control/policy/policy_test.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gannet::control {

/// \param host this machine, to check the policy against; null: only the policy in itself.
void validate(const Policy& policy, const HostConfig* host, Diagnostics& diagnostics);
void validate(const HostConfig& host, Diagnostics& diagnostics);
/// What an operator may tell the driver of the emulated card by itself; part of the host's.
void validate_card_arguments(const Located<std::string>& arguments, Diagnostics& diagnostics);
/// The number that one of these arguments has, if it is given.
[[nodiscard]] std::optional<std::uint64_t> card_argument(const Nic& nic, std::string_view name);
void validate(const PolicyTest& test, const Policy& policy, Diagnostics& diagnostics);

/// What is right but probably not meant: warnings only. Of a policy without errors.
void lint(const Policy& policy, Diagnostics& diagnostics);

}  // namespace gannet::control
