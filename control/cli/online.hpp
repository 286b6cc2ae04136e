// SPDX-License-Identifier: BSD-3-Clause
// Commands that ask or tell the daemon. Each returns the exit status: 0 done, 1 failed, 2 changes
// or unhealthy.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

struct OnlineOptions {
  std::string socket;
  bool is_json = false;
  std::string format = "text";  // Of diagnostics.
  double timeout_seconds = 30;  // For each answer of the daemon.
};

/// The daemon's answer to a request; an error has been printed if there is none. \param body empty:
/// GET.
[[nodiscard]] std::optional<nlohmann::ordered_json> ask(const OnlineOptions& options,
                                                        const std::string& target,
                                                        const std::string& body);

int show(const OnlineOptions& options, const std::string& what);
int list_flows(const OnlineOptions& options, const std::vector<std::string>& filter,
               std::size_t limit);
/// Ends flows. \param filter as for list_flows(), or "all".
int flush_flows(const OnlineOptions& options, const std::vector<std::string>& filter);
int explain_flow(const OnlineOptions& options, const std::string& flow);
/// \param words "eni=vm1 proto=tcp from=8.8.8.8 port=443".
int trace_packet(const OnlineOptions& options, const std::vector<std::string>& words);
int list_events(const OnlineOptions& options);
int list_rule_log(const OnlineOptions& options);
int list_history(const OnlineOptions& options);

/// What a policy would change: 0 nothing, 2 changes, 1 error.
int plan_policy(const OnlineOptions& options, const std::vector<std::string>& files);

struct ApplyOptions {
  std::vector<std::string> files;
  std::string wait;     // "", "sw" or "hw".
  std::string confirm;  // A duration; empty: not needed.
  std::string expect;   // Revision that must be in force; empty: any.
};
int apply_policy(const OnlineOptions& options, const ApplyOptions& apply);
int confirm_policy(const OnlineOptions& options);
/// Switches offload at run time. \param mode auto or disabled.
int set_offload(const OnlineOptions& options, const std::string& mode);
int rollback_policy(const OnlineOptions& options, unsigned revision);

}  // namespace gannet::control
