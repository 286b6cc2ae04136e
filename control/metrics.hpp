// SPDX-License-Identifier: BSD-3-Clause
// Counters for Prometheus (text exposition format 0.0.4), at /metrics of a TCP address. Names
// follow one grammar: gannet_<subject>_<outcome>_total, with the port or worker as a label. Control
// thread.
#pragma once

#include "control/controller.hpp"
#include "control/policy/host_config.hpp"
#include "flows/base/result.hpp"

#include <memory>
#include <string>

struct event_base;
struct evhttp;

namespace gannet::control {

/// All metrics as one text.
[[nodiscard]] std::string metrics_text(Controller& controller);

class MetricsServer final {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> listen(event_base* base,
                                                                     const SocketAddress& address,
                                                                     Controller& controller);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

 private:
  MetricsServer(evhttp* http, Controller& controller) : http_(http), controller_(controller) {}

  evhttp* http_;
  Controller& controller_;
};

}  // namespace gannet::control
