// SPDX-License-Identifier: BSD-3-Clause
// What is said of offload to people and programs: the rows of `show offload`, and where a flow's
// packets go. Control thread.
#pragma once

#include "control/controller.hpp"
#include "control/flow_view.hpp"
#include "flows/connection.hpp"

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

/// The rows of `show offload`: item, value, meaning.
[[nodiscard]] nlohmann::ordered_json show_offload(Controller& controller);

/// Says where flows are forwarded, as things are at the moment of its making: `hardware`, `pending`
/// or `software (reason)`. What keeps a flow in software for good is said also of one for which the
/// card has not been asked yet.
class PathTexts final {
 public:
  explicit PathTexts(Controller& controller);
  [[nodiscard]] std::string text(const FlowRecord& record, flows::Direction direction) const;

 private:
  [[nodiscard]] std::string_view reason(const FlowRecord& record,
                                        const flows::FlowOffload& flow) const;
  [[nodiscard]] offload::Refusal obstacle(const FlowRecord& record) const;

  const dataplane::Snapshot& policy_;
  std::vector<bool> is_on_card_;  // By port.
  bool has_card_ = false;
  bool is_enabled_ = false;
  bool is_strict_tcp_ = false;
};

/// Flows that have ended, or are to be cut, and whose rule the card does not let go.
[[nodiscard]] std::vector<FlowRecord> stuck_flows(Controller& controller, const FlowFilter& filter);
/// The same in words; empty if all is as it should be.
[[nodiscard]] nlohmann::ordered_json stuck_rules(Controller& controller);

}  // namespace gannet::control
