// SPDX-License-Identifier: BSD-3-Clause
// How long somebody may go on who holds a lock that others wait for. Asked between two calls of a
// driver, which may take long each: the first step may always be taken, so that all get on.
#pragma once

#include "flows/base/time.hpp"

#include <functional>
#include <utility>

namespace gannet::offload {

class Budget {
 public:
  /// \param clock tells the time.
  explicit Budget(std::function<Nanos()> clock) : clock_(std::move(clock)) {}

  void start(Nanos length) {
    end_ = clock_() + length;
    is_first_ = true;
  }
  /// Whether another step may be taken now.
  [[nodiscard]] bool allows() { return std::exchange(is_first_, false) || clock_() < end_; }

 private:
  std::function<Nanos()> clock_;
  Nanos end_ = 0;
  bool is_first_ = true;
};

}  // namespace gannet::offload
