// SPDX-License-Identifier: BSD-3-Clause
// Assertions about a policy, run without a dataplane. Plain data; fields and sentences stand in
// fields_test.hpp. Command line.
#pragma once

#include "control/policy/dictionary.hpp"
#include "control/policy/model.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace gannet::control {

/// The first packet of a connection.
struct TestPacket {
  Reference eni;
  Direction direction = Direction::kIngress;  // As the ENI sees it.
  Located<Protocol> proto;
  Located<IpAddress> from;        // Not given on the way out: the ENI's own first address.
  Located<IpAddress> to;          // Not given on the way in: the same.
  std::uint16_t port = 0;         // Destination port.
  std::uint16_t source_port = 0;  // 0: some ephemeral one.
  friend bool operator==(const TestPacket&, const TestPacket&) = default;
};

struct Expectation {
  Action verdict = Action::kAllow;
  Reference rule;               // "web-frontend/ingress/https"; not given: any.
  Located<std::string> reason;  // Of a drop; not given: any.
  friend bool operator==(const Expectation&, const Expectation&) = default;
};

struct TestCase {
  std::string name;
  Place place;
  TestPacket packet;
  Expectation expect;
  friend bool operator==(const TestCase&, const TestCase&) = default;
};

struct PolicyTest {
  Reference policy;  // metadata.name of the policy that is tested.
  std::vector<TestCase> cases;
  Sources sources;  // Keep the places alive.
};

}  // namespace gannet::control
