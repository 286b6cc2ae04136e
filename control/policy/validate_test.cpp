// SPDX-License-Identifier: BSD-3-Clause
// Assertions, against the policy that they are about.
#include "control/policy/validate.hpp"

#include "control/policy/check.hpp"
#include "control/policy/values.hpp"

#include <algorithm>
#include <array>

namespace gannet::control {
namespace {

constexpr auto kDropReasons = std::to_array<std::string_view>({
#define DROP(name, sentence) #name,
#include "dataplane/drops.def"
#undef DROP
});

void check_addresses(const TestPacket& packet, const Eni* eni, const Place& place,
                     Diagnostics& diagnostics) {
  const bool is_ingress = packet.direction == Direction::kIngress;
  const auto& remote = is_ingress ? packet.from : packet.to;
  const auto& own = is_ingress ? packet.to : packet.from;
  if (!remote.place.is_known() && !remote.is_given) {
    diagnostics.error(Slug::missing_field, place,
                      fmt::format("a packet of direction {} needs '{}'",
                                  to_string(packet.direction), is_ingress ? "from" : "to"));
  }
  if (!remote.is_given) return;
  if (own.is_given && own->family() != remote->family()) {
    diagnostics.error(Slug::mixed_families, remote.place,
                      "'from' and 'to' are of different families");
  } else if (!own.is_given && eni != nullptr) {
    const bool has_family = std::any_of(
        eni->ips.begin(), eni->ips.end(),
        [&remote](const auto& ip) { return !ip.is_given || ip->family() == remote->family(); });
    if (!has_family) {
      diagnostics.error(Slug::mixed_families, remote.place,
                        fmt::format("ENI '{}' has no address of this family", eni->name));
    }
  }
}

void check_packet(const Policy& policy, const TestPacket& packet, const Place& place,
                  Diagnostics& diagnostics) {
  const Eni* const eni = resolve(policy.enis, packet.eni, "ENI", diagnostics);
  check_addresses(packet, eni, place, diagnostics);
  if (!packet.proto.is_given) return;
  if (packet.proto->number == Protocol::kAny) {
    diagnostics.error(Slug::invalid_value, packet.proto.place, "a packet has one protocol");
  } else if (packet.proto->has_ports() && packet.port == 0) {
    diagnostics.error(Slug::missing_field, place, "a packet of tcp or udp needs 'port'");
  } else if (!packet.proto->has_ports() && (packet.port != 0 || packet.source_port != 0)) {
    diagnostics.error(Slug::ports_without_protocol, packet.proto.place,
                      "ports can be given for tcp and udp only");
  }
}

// group/ingress/rule or group/egress/rule, where a rule called `default` is the group's default.
void check_rule_path(const Policy& policy, const Reference& path, Diagnostics& diagnostics) {
  if (!path.is_given || policy.security_groups.is_partial()) return;
  const std::string_view text = *path;
  const auto first = text.find('/');
  const auto last = text.rfind('/');
  const auto side = first < last ? text.substr(first + 1, last - first - 1) : std::string_view();
  if (side != "ingress" && side != "egress") {
    diagnostics.error(
        Slug::invalid_value, path.place,
        fmt::format("expected GROUP/ingress/RULE or GROUP/egress/RULE, found '{}'", text));
    return;
  }
  const Reference group_name(std::string(text.substr(0, first)), path.place);
  const auto* const group =
      resolve(policy.security_groups, group_name, "security group", diagnostics);
  if (group == nullptr || text.substr(last + 1) == "default") return;
  const auto rule_name = text.substr(last + 1);
  const auto& rules = side == "ingress" ? group->ingress : group->egress;
  NearestName nearest(rule_name);
  for (const Rule& rule : rules) {
    if (rule.name == rule_name) return;
    nearest.offer(rule.name);
  }
  auto& diagnostic = diagnostics.error(
      Slug::unknown_reference, path.place,
      fmt::format("unknown rule '{}' in {} of security group '{}'", rule_name, side, group->name));
  if (const auto best = nearest.best()) {
    const auto rule = std::find_if(rules.begin(), rules.end(),
                                   [&best](const Rule& r) { return r.name == *best; });
    diagnostic.note(rule->place, fmt::format("did you mean '{}', defined here?", *best));
  }
}

void check_reason(const Expectation& expect, Diagnostics& diagnostics) {
  if (!expect.reason.is_given) return;
  if (expect.verdict == Action::kAllow) {
    diagnostics.error(Slug::conflicting_fields, expect.reason.place,
                      "what is allowed has no drop reason");
  }
  const std::string_view reason = *expect.reason;
  NearestName nearest(reason);
  for (const auto name : kDropReasons) {
    if (name == reason) return;
    nearest.offer(name);
  }
  const auto best = nearest.best();
  diagnostics.error(Slug::unknown_reference, expect.reason.place,
                    fmt::format("unknown drop reason '{}'{}", reason,
                                best ? fmt::format("; did you mean '{}'?", *best) : ""));
}

}  // namespace

void validate(const PolicyTest& test, const Policy& policy, Diagnostics& diagnostics) {
  const auto& name = policy.metadata->name;
  if (test.policy.is_given && name.is_given && *test.policy != *name) {
    diagnostics
        .error(Slug::unknown_reference, test.policy.place,
               fmt::format("unknown policy '{}'", *test.policy))
        .note(name.place, fmt::format("the policy is '{}', named here", *name));
  }
  FirstPlaces<std::string> names;
  for (const TestCase& test_case : test.cases) {
    if (!test_case.name.empty()) {
      names.add(test_case.name, test_case.place, Slug::duplicate_name,
                fmt::format("another case is called '{}'", test_case.name), diagnostics);
    }
    check_packet(policy, test_case.packet, test_case.place, diagnostics);
    check_rule_path(policy, test_case.expect.rule, diagnostics);
    check_reason(test_case.expect, diagnostics);
  }
}

}  // namespace gannet::control
