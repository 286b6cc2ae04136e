// SPDX-License-Identifier: BSD-3-Clause
// The audit of the guards: whether what they take arrives where they send it. Counters that the
// guards of one aim share, and those where they lead to, are compared again and again; what has
// been taken but does not arrive was lost or sent elsewhere, and the guards of that aim are put
// anew. Of packets let through to the flows those arrive that a flow's rule takes, as far as read,
// and those that none takes. Offload thread only; costs a few readings every tenth of a second.
#pragma once

#include "flows/base/time.hpp"
#include "flows/offload/guard_rules.hpp"

#include <array>
#include <cstdint>

namespace gannet::offload {

class GuardAudit final {
 public:
  /// \param flows_read_every how old the count of the flows' packets may be.
  GuardAudit(GuardRules& guards, Nanos flows_read_every)
      : guards_(guards), flows_patience_(3 * flows_read_every) {}

  /// \param flow_packets taken by the flows' rules, those that are gone included, as far as read.
  void turn(Nanos now, std::uint64_t flow_packets);
  /// What is under way now is not known to the end.
  void start_over() { looks_ = {}; }

  /// Times that the guards of an aim did what they should with packets, and that they did not.
  [[nodiscard]] std::uint64_t passed_count() const { return passed_count_; }
  [[nodiscard]] std::uint64_t wrong_count() const { return wrong_count_; }

 private:
  struct Look {
    GuardRules::Counts before;
    std::uint64_t expected = 0;  // Taken since then; 0: none yet.
    Nanos give_up = 0;
    bool is_based = false;
  };

  void look(GuardAim aim, Nanos now, std::uint64_t flow_packets);
  void base(GuardAim aim, std::uint64_t flow_packets);

  GuardRules& guards_;
  Nanos flows_patience_;
  std::array<Look, kGuardAims> looks_{};
  Nanos next_ = 0;
  std::uint64_t age_ = 0;
  std::uint64_t passed_count_ = 0;
  std::uint64_t wrong_count_ = 0;
};

}  // namespace gannet::offload
