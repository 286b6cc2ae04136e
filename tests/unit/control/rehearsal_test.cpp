// SPDX-License-Identifier: BSD-3-Clause
// A policy from its text to the verdicts of the same layers that judge packets.
#include "control/rehearsal.hpp"

#include "control/policy/load.hpp"
#include "control/policy/validate.hpp"
#include "tests/support/literals.hpp"
#include "tests/unit/control/policy/marked_text.hpp"
#include "tests/unit/control/policy/sample_documents.hpp"

#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gannet::control {
namespace {

using dataplane::DropReason;
using test::operator""_ip;

class Rehearsal : public testing::Test {
 protected:
  void compile_policy(std::string_view text, std::uint32_t generation = 1) {
    Diagnostics diagnostics;
    const Source source{std::make_shared<const SourceFile>("p.yaml", std::string(text))};
    policy_ = load_policy({&source, 1}, diagnostics);
    ASSERT_TRUE(policy_.has_value());
    validate(*policy_, nullptr, diagnostics);
    ASSERT_EQ(diagnostics.error_count(), 0U);
    auto compiled = compile(*policy_, imagined_host(*policy_), {}, generation, 0, identities_);
    ASSERT_TRUE(compiled.has_value());
    compiled_ = std::move(*compiled);
  }

  RehearsalResult rehearse_one(const std::string& eni, Direction direction, Protocol proto,
                               const IpAddress& other, std::uint16_t port) {
    TestPacket packet;
    packet.eni = Reference(eni);
    packet.direction = direction;
    packet.proto = proto;
    (direction == Direction::kIngress ? packet.from : packet.to) = other;
    packet.port = port;
    auto result = rehearse(packet, *compiled_.snapshot, compiled_.names);
    EXPECT_TRUE(result.has_value());
    return result.value_or(RehearsalResult{});
  }
  RehearsalResult in(const std::string& eni, const IpAddress& from, std::uint16_t port) {
    return rehearse_one(eni, Direction::kIngress, kProtocolTcp, from, port);
  }
  RehearsalResult out(const std::string& eni, const IpAddress& to, std::uint16_t port,
                      Protocol proto = kProtocolTcp) {
    return rehearse_one(eni, Direction::kEgress, proto, to, port);
  }

  std::optional<Policy> policy_;
  Identities identities_;
  CompiledPolicy compiled_;
};

TEST_F(Rehearsal, NamesTheRuleThatDecides) {
  compile_policy(kSamplePolicy);
  const auto allowed = in("web-1", "8.8.8.8"_ip, 443);
  EXPECT_TRUE(allowed.is_allowed());
  EXPECT_EQ(allowed.rule, "web-frontend/ingress/https");
  EXPECT_EQ(allowed.goes_to, "eni web-1");
  // It came to the public address and leaves for the ENI's own.
  EXPECT_EQ(allowed.original.destination, "203.0.113.11"_ip);
  EXPECT_EQ(allowed.leaving.destination, "10.10.1.11"_ip);

  const auto denied = in("web-1", "8.8.8.8"_ip, 22);
  EXPECT_EQ(denied.reason, DropReason::sg_ingress_denied);
  EXPECT_EQ(denied.rule, "web-frontend/ingress/default");
  EXPECT_EQ(denied.goes_to, "nowhere");
  EXPECT_EQ(in("web-1", "198.51.100.7"_ip, 22).rule, "web-frontend/ingress/ssh");
}

TEST_F(Rehearsal, RulesKnowGroupsByTheirMembers) {
  compile_policy(kSamplePolicy);
  EXPECT_EQ(in("db-1", "10.10.1.11"_ip, 5432).rule, "database/ingress/pg");
  EXPECT_EQ(in("db-1", "10.10.2.20"_ip, 5432).reason, DropReason::sg_ingress_denied);
}

TEST_F(Rehearsal, TheSenderIsAskedToo) {
  compile_policy(kSamplePolicy);
  EXPECT_EQ(out("db-1", "8.8.8.8"_ip, 123, kProtocolUdp).rule, "database/egress/ntp");
  const auto denied = out("db-1", "8.8.8.8"_ip, 123);
  EXPECT_EQ(denied.reason, DropReason::sg_egress_denied);
  EXPECT_EQ(denied.rule, "database/egress/default");
}

TEST_F(Rehearsal, AddressesAreTranslatedOnTheWayOut) {
  compile_policy(kSamplePolicy);
  const auto public_ip = out("web-1", "8.8.8.8"_ip, 80);
  EXPECT_EQ(public_ip.leaving.source, "203.0.113.11"_ip);
  EXPECT_EQ(public_ip.goes_to, "internet");
  const auto gateway = out("db-1", "8.8.8.8"_ip, 123, kProtocolUdp);
  // The first address: the ENI with a public one of its own holds no ports of the gateway.
  EXPECT_EQ(gateway.leaving.source, "203.0.113.20"_ip);
  EXPECT_EQ(gateway.leaving.source_port, 1024);
}

TEST_F(Rehearsal, AVipLeadsToABackend) {
  compile_policy(kSamplePolicy);
  const auto result = out("web-1", "10.10.9.9"_ip, 443);
  EXPECT_EQ(result.leaving.destination_port, 8443);
  EXPECT_EQ(out("web-1", "10.10.9.9"_ip, 444).reason, DropReason::lb_no_listener);
}

TEST_F(Rehearsal, TunnelsLeadToTheHostOfTheMapping) {
  compile_policy(kSamplePolicy);
  EXPECT_EQ(out("web-1", "10.10.2.20"_ip, 80).goes_to, "host 192.0.2.12 (vni 5001)");
  EXPECT_EQ(out("web-1", "10.10.2.21"_ip, 80).reason, DropReason::no_mapping);
  EXPECT_EQ(out("web-1", "10.20.0.1"_ip, 80).reason, DropReason::no_mapping);
}

TEST_F(Rehearsal, ARouteCanDrop) {
  compile_policy(replaced(kSamplePolicy, "via: internet", "via: drop"));
  EXPECT_EQ(out("web-1", "8.8.8.8"_ip, 80).reason, DropReason::route_drop);
  compile_policy(
      replaced(kSamplePolicy, "{to: 0.0.0.0/0, via: internet}", "{to: 9.0.0.0/8, via: internet}"));
  EXPECT_EQ(out("web-1", "8.8.8.8"_ip, 80).reason, DropReason::no_route);
}

TEST_F(Rehearsal, AnAuditedGroupDeniesNothing) {
  compile_policy(replaced(kSamplePolicy, "  database:\n", "  database:\n    mode: audit\n"));
  EXPECT_TRUE(in("db-1", "10.10.2.20"_ip, 5432).is_allowed());
}

TEST_F(Rehearsal, R24EveryGroupMustAllow) {
  compile_policy(replaced(kSamplePolicy, "security_groups: [web-frontend]",
                          "security_groups: [web-frontend, database]"));
  EXPECT_EQ(in("web-1", "8.8.8.8"_ip, 443).reason, DropReason::sg_ingress_denied);
}

TEST_F(Rehearsal, AnEniWithoutGroupsIsClosed) {
  compile_policy(replaced(kSamplePolicy, "    security_groups: [database]\n", ""));
  EXPECT_EQ(in("db-1", "10.10.1.11"_ip, 5432).reason, DropReason::sg_ingress_denied);
  EXPECT_TRUE(out("db-1", "8.8.8.8"_ip, 80).is_allowed());
}

TEST_F(Rehearsal, TellsWhyAPacketCannotBe) {
  compile_policy(kSamplePolicy);
  TestPacket packet;
  packet.eni = Reference("nobody");
  const auto result = rehearse(packet, *compiled_.snapshot, compiled_.names);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("nobody"), std::string::npos);
}

// P5: the same policy again gives the same numbers, so no flow has to be judged anew.
TEST_F(Rehearsal, P5IndicesOutliveAPolicy) {
  compile_policy(kSamplePolicy);
  const auto enis = compiled_.names.enis;
  const auto vpcs = compiled_.names.vpcs;
  compile_policy(fmt::format("# Again.\n{}", kSamplePolicy), 2);
  EXPECT_EQ(compiled_.names.enis, enis);
  EXPECT_EQ(compiled_.names.vpcs, vpcs);
  EXPECT_EQ(compiled_.snapshot->generation, 2U);
}

}  // namespace
}  // namespace gannet::control
