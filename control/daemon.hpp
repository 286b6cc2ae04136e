// SPDX-License-Identifier: BSD-3-Clause
// The daemon as a whole: opens what the host configuration names, runs the event loop of the
// control thread until it is told to stop, and leaves nothing behind. Main thread only.
#pragma once

#include "control/api/routes.hpp"
#include "control/api/server.hpp"
#include "control/card_watch.hpp"
#include "control/controller.hpp"
#include "control/emulated_card.hpp"
#include "control/metrics.hpp"
#include "control/offload_manager.hpp"
#include "control/policy/host_config.hpp"
#include "control/port_watch.hpp"
#include "control/upkeep.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/eal.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

struct event;
struct event_base;
struct timeval;

namespace gannet::control {

/// The parts of a host configuration as the dataplane and the compiler want them.
[[nodiscard]] dataplane::TrackingConfig tracking_of(const HostConfig& host, Nanos now,
                                                    bool has_huge_pages);
[[nodiscard]] HostFacts facts_of(const HostConfig& host, dataplane::Dataplane& dataplane);
/// What flows need to go to the host's card; nothing if it has none.
[[nodiscard]] std::optional<dataplane::OffloadSettings> offload_settings_of(const HostConfig& host);
/// How its card is used.
[[nodiscard]] OffloadManagerConfig offload_config_of(const HostConfig& host);
/// The names of the ports that hang on the host's card, the uplink's first.
[[nodiscard]] std::vector<std::string> card_ports_of(const HostConfig& host);

class Daemon final {
 public:
  /// \return one sentence with the fix if something cannot be had; everything is closed again then.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> create(const HostConfig& host);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  [[nodiscard]] Controller& controller() { return *controller_; }
  /// Runs until SIGTERM or SIGINT. \return the exit status.
  int run();

 private:
  explicit Daemon(const HostConfig& host) : host_(host) {}

  [[nodiscard]] Result<void> open_dataplane();
  [[nodiscard]] Result<void> start_eal();
  [[nodiscard]] Result<void> open_card();
  [[nodiscard]] Result<void> open_ports();
  [[nodiscard]] Result<void> open_control();
  [[nodiscard]] Result<void> open_sockets();
  void watch_signals();
  void add_timer(const timeval& every, void (*call)(int, short, void*));
  void tell_systemd(const char* state) const;

  const HostConfig& host_;
  // In the order in which they are opened; closed in the opposite order.
  event_base* base_ = nullptr;
  std::vector<event*> signals_;  // The last to go: a second one must not end what is cleaning up.
  std::vector<event*> timers_;
  std::optional<dataplane::Eal> eal_;
  std::optional<EmulatedCard> card_;
  std::unique_ptr<dataplane::Dataplane> dataplane_;
  std::unique_ptr<OffloadManager> offload_;  // Null: there is no card.
  std::unique_ptr<PortWatch> port_watch_;
  CardWatch card_watch_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<Upkeep> upkeep_;
  std::unique_ptr<ApiRoutes> routes_;
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<MetricsServer> metrics_;
};

}  // namespace gannet::control
