// SPDX-License-Identifier: BSD-3-Clause
// What the control thread does by itself, a few dozen times a second: reads what the workers have
// to tell, keeps the health checks going, and forgets path MTUs that are too old. Control thread
// only.
#pragma once

#include "control/health.hpp"

namespace gannet::control {

class Upkeep final {
 public:
  Upkeep(Controller& controller, ProbeNumbers first)
      : controller_(controller), health_(controller, first) {}

  void run();

 private:
  void read_news();

  Controller& controller_;
  HealthChecker health_;
};

}  // namespace gannet::control
