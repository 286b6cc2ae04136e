// SPDX-License-Identifier: BSD-3-Clause
// Reads a rule's actions: checks them against the profile and compiles them. Control threads.
#pragma once

#include "flows/emudpu/pattern.hpp"
#include "flows/emudpu/program.hpp"
#include "flows/emudpu/rule.hpp"

#include <cstdint>

#include <rte_flow.h>

namespace gannet::emudpu {

struct Meter;

/// An indirect COUNT or AGE: what an rte_flow_action_handle points to. It may outlive its rules.
struct IndirectAction {
  int type = 0;
  RuleStatus status = RuleStatus::kFree;
  std::uint16_t port = 0;
  std::uint32_t rule_count = 0;  // Rules that use it.
  Counter counter;
  Age* age = nullptr;
};

/// What actions refer to beyond the rule.
class ActionTargets : public PortMap {
 public:
  /// The table of a group in the same domain, made if there is none.
  [[nodiscard]] virtual GroupTable* obtain_table(Domain domain, std::uint16_t port,
                                                 std::uint32_t group) = 0;
  [[nodiscard]] virtual Meter* find_meter(std::uint16_t port, std::uint32_t id) = 0;
  [[nodiscard]] virtual std::uint16_t rx_queue_count(std::uint16_t port) const = 0;
  /// Whether a handle given by a program is one of ours and alive.
  [[nodiscard]] virtual bool is_alive(const IndirectAction* action) const = 0;
};

struct ActionContext {
  const Profile& profile;
  ActionTargets& targets;
  std::uint16_t port = 0;
  Domain domain = Domain::kTransfer;
  std::uint32_t group = 0;
  PatternHeaders headers;
};

struct ParsedActions {
  ProgramBuffer program;
  bool has_count = false;
  bool has_age = false;
  std::uint32_t age_timeout_s = 0;
  void* age_context = nullptr;
  IndirectAction* count = nullptr;
  IndirectAction* age = nullptr;
  Meter* meter = nullptr;
};

/// \return 0, or a negative errno with `error` filled in.
[[nodiscard]] int parse_actions(const ActionContext& context, const rte_flow_action* actions,
                                ParsedActions& out, rte_flow_error* error);

/// Works out which lengths and checksums of a stack of headers are the card's to fill in.
[[nodiscard]] HeadData describe_head(const std::uint8_t* bytes, std::uint16_t size);

}  // namespace gannet::emudpu
