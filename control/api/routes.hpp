// SPDX-License-Identifier: BSD-3-Clause
// What each request means. Paths and bodies are documented in docs/api.md; every answer is JSON,
// and an error is {"error": "one sentence with the fix"}. Control thread only.
#pragma once

#include "control/api/background.hpp"
#include "control/api/server.hpp"
#include "control/controller.hpp"

#include <chrono>
#include <memory>
#include <optional>

struct event;
struct event_base;

namespace gannet::control {

class Capture;
class TopSampler;

class ApiRoutes final {
 public:
  ApiRoutes(event_base* base, Controller& controller);
  ~ApiRoutes();
  ApiRoutes(const ApiRoutes&) = delete;
  ApiRoutes& operator=(const ApiRoutes&) = delete;

  void handle(const ApiRequest& request, ApiReply reply);

 private:
  struct Checked;  // A policy that may be put in force.
  struct Waiter;   // An apply whose sender waits until every connection conforms.
  // An apply that is taken back unless it is confirmed.
  struct Unconfirmed {
    std::uint32_t guarded;                    // That waits for the confirmation.
    std::shared_ptr<const Revision> back_to;  // Kept, however long the history has become.
    event* timer;
  };

  [[nodiscard]] ApiResponse get(const ApiRequest& request);
  [[nodiscard]] ApiResponse status();
  [[nodiscard]] ApiResponse get_flows(const ApiRequest& request);
  [[nodiscard]] ApiResponse flush(const ApiRequest& request);
  [[nodiscard]] ApiResponse explain(const ApiRequest& request);
  [[nodiscard]] ApiResponse capture(const ApiRequest& request);
  [[nodiscard]] ApiResponse trace(const ApiRequest& request);
  [[nodiscard]] ApiResponse history() const;
  [[nodiscard]] ApiResponse confirm();
  [[nodiscard]] ApiResponse set_offload(const ApiRequest& request);
  void plan(const ApiRequest& request, ApiReply reply);
  void apply(const ApiRequest& request, ApiReply reply);
  void put_in_force(Checked& checked, const ApiRequest& request, ApiReply reply);
  void rollback(const ApiRequest& request, ApiReply reply);
  void finish_apply(const ApplyResult& result, const Diagnostics& diagnostics,
                    const std::optional<Unconfirmed>& ended, const ApiRequest& request,
                    ApiReply reply);
  void guard(std::chrono::nanoseconds within, std::shared_ptr<const Revision> back_to);
  // Whatever is put in force by hand ends the wait for a confirmation of what was before it.
  // \return what has ended, for the answer; null if nothing has waited.
  [[nodiscard]] std::optional<Unconfirmed> end_guard();
  void take_guard_away();

  event_base* base_;
  Controller& controller_;
  std::optional<Unconfirmed> unconfirmed_;
  std::unique_ptr<TopSampler> top_;   // From when somebody asked first.
  std::unique_ptr<Capture> capture_;  // One at a time.
  Background background_;
};

}  // namespace gannet::control
