// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/security_group.hpp"

namespace gannet::dataplane {
namespace {

struct Answer {
  bool is_allowed;
  std::uint32_t rule;  // That denied, or that of the last group that allowed.
};

void note_match(FirstPacket& first, std::uint32_t rule) {
  first.policy.count_rule(first.worker, rule);
  const bool is_logged = first.policy.rules[rule].logs && first.logged_count < first.kMaxLogged;
  if (is_logged) first.logged_rules[first.logged_count++] = rule;
}

// `side` is which half of each group to ask: &SecurityGroup::ingress or egress.
Answer ask_groups(FirstPacket& first, const Eni& eni, GroupSide SecurityGroup::*side,
                  const IpAddress& remote, bool allowed_without_groups) {
  Answer outcome{allowed_without_groups, flows::kNoRule};
  for (const std::uint16_t index : eni.groups) {
    const SecurityGroup& group = first.policy.groups[index];
    const GroupSide& half = group.*side;
    const std::uint32_t match =
        half.acl.match(remote, first.current.protocol, first.current.service_port());
    const std::uint32_t rule = match == Acl::kNoMatch ? half.default_rule : match;
    if (!first.is_rehearsal) note_match(first, rule);
    const bool allows = first.policy.rules[rule].allows || group.is_audit;
    outcome = {allows, rule};
    if (!allows) break;
  }
  return outcome;
}

}  // namespace

DropReason SecurityGroups::judge_egress(FirstPacket& first) noexcept {
  if (first.skips_egress) return DropReason::kNone;
  const Answer outcome =
      ask_groups(first, first.sender(), &SecurityGroup::egress, first.current.destination, true);
  first.egress_rule = outcome.rule;
  first.note(Step::kEgressGroups, outcome.rule);
  return outcome.is_allowed ? DropReason::kNone : DropReason::sg_egress_denied;
}

DropReason SecurityGroups::judge_ingress(FirstPacket& first) noexcept {
  if (first.skips_ingress) return DropReason::kNone;
  const Eni& receiver = first.policy.enis[first.to->eni];
  const Answer outcome =
      ask_groups(first, receiver, &SecurityGroup::ingress, first.current.source, false);
  first.ingress_rule = outcome.rule;
  first.note(Step::kIngressGroups, outcome.rule);
  return outcome.is_allowed ? DropReason::kNone : DropReason::sg_ingress_denied;
}

}  // namespace gannet::dataplane
