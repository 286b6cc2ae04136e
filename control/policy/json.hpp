// SPDX-License-Identifier: BSD-3-Clause
// The model as JSON, in the words of the policy: what is written reads back as an equal object, as
// JSON is YAML. For people who ask what is in force, for comparing, and for tests.
// Control thread and command line.
#pragma once

#include "control/policy/host_config.hpp"
#include "control/policy/model.hpp"
#include "control/policy/policy_test.hpp"

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

/// Whole documents, with apiVersion and kind. Fields with a default are always there.
[[nodiscard]] nlohmann::ordered_json to_json(const Policy& policy);
[[nodiscard]] nlohmann::ordered_json to_json(const HostConfig& host);
[[nodiscard]] nlohmann::ordered_json to_json(const PolicyTest& test);

/// Objects as they stand below their name in a document.
[[nodiscard]] nlohmann::ordered_json to_json(const Metadata& metadata);
[[nodiscard]] nlohmann::ordered_json to_json(const PrefixList& list);
[[nodiscard]] nlohmann::ordered_json to_json(const Vpc& vpc);
[[nodiscard]] nlohmann::ordered_json to_json(const Subnet& subnet);
[[nodiscard]] nlohmann::ordered_json to_json(const Mapping& mapping);
[[nodiscard]] nlohmann::ordered_json to_json(const RouteTable& table);
[[nodiscard]] nlohmann::ordered_json to_json(const SecurityGroup& group);
[[nodiscard]] nlohmann::ordered_json to_json(const Eni& eni);
[[nodiscard]] nlohmann::ordered_json to_json(const NatGateway& gateway);
[[nodiscard]] nlohmann::ordered_json to_json(const LoadBalancer& balancer);

}  // namespace gannet::control
