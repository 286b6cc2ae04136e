// SPDX-License-Identifier: BSD-3-Clause
// The fields of PolicyTest; how such a table is read stands in fields.hpp.
#pragma once

#include "control/policy/fields.hpp"
#include "control/policy/policy_test.hpp"

namespace gannet::control {

void describe(auto& v, As<TestPacket> auto& o) {
  v.object("packet", "The first packet of a connection.");
  v.required("eni", o.eni, "The ENI that receives or sends it.");
  v.required("direction", o.direction, "As the ENI sees it.");
  v.required("proto", o.proto, "Protocol by name or number.");
  v.optional("from", o.from, "Source; must be there on ingress, else the ENI's first address.");
  v.optional("to", o.to, "Destination; must be there on egress, else the ENI's first address.");
  v.optional("port", o.port, "Destination port, of tcp and udp.", kPortRange);
  v.optional("source_port", o.source_port, "Source port; absent: some ephemeral one.", kPortRange);
}

void describe(auto& v, As<Expectation> auto& o) {
  v.object("expectation", "What must come of the packet.");
  v.required("verdict", o.verdict, "Whether it arrives; a drop for any reason is a `deny`.");
  v.optional("rule", o.rule, "The rule that decides, as group/ingress/name or group/egress/name.");
  v.optional("reason", o.reason, "The drop reason, as counters call it.");
}

void describe(auto& v, As<TestCase> auto& o) {
  v.object("case", "One packet and what must come of it.");
  v.required("name", o.name, "What is promised, in words.");
  v.required("packet", o.packet, "The packet.");
  v.required("expect", o.expect, "What must come of it.");
}

void describe(auto& v, As<PolicyTest> auto& o) {
  v.object("PolicyTest", "Assertions about a policy, run without a dataplane.");
  v.required("policy", o.policy, "metadata.name of the policy.");
  v.required("cases", o.cases, "The assertions.");
}

}  // namespace gannet::control
