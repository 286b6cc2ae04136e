// SPDX-License-Identifier: BSD-3-Clause
// What compiling a list of actions carries along, shared by the two halves of it: changes of
// headers (header_actions.cpp) and everything else (actions.cpp).
#pragma once

#include "flows/emudpu/actions.hpp"

#include <algorithm>
#include <cerrno>

namespace gannet::emudpu {

inline constexpr std::uint32_t kAnyL3 = kHasIpv4 | kHasIpv6;
inline constexpr std::uint32_t kAnyPorts = kHasTcp | kHasUdp;

// Places in the order that ActionOrder asks for.
enum Rank : unsigned { kFree, kDecap, kChange, kPush, kEncap };

struct ActionBuilder {
  const ActionContext& context;
  ParsedActions& out;
  rte_flow_error* error;
  bool is_sample = false;
  ProgramBuffer* program = nullptr;
  // What is known of the headers that a change would meet now.
  std::uint32_t presence = 0;
  std::uint32_t inner_presence = 0;
  unsigned rank = kFree;
  bool has_fate = false;
  ProgramBuffer fate{};
};

inline int refuse(const ActionBuilder& b, const rte_flow_action& action, const char* message,
                  int code = EINVAL) {
  return rte_flow_error_set(b.error, code, RTE_FLOW_ERROR_TYPE_ACTION, &action, message);
}

inline int refuse_conf(const ActionBuilder& b, const rte_flow_action& action, const char* message,
                       int code = EINVAL) {
  return rte_flow_error_set(b.error, code, RTE_FLOW_ERROR_TYPE_ACTION_CONF, action.conf, message);
}

template <typename T>
const T& conf(const rte_flow_action& action) {
  return *static_cast<const T*>(action.conf);
}

inline int too_long(const ActionBuilder& b, const rte_flow_action& action) {
  return refuse(b, action, "too many actions", ENOSPC);
}

/// Compiles an action that changes headers.
[[nodiscard]] int add_header_action(ActionBuilder& b, const rte_flow_action& action);

}  // namespace gannet::emudpu
