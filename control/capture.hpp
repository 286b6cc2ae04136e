// SPDX-License-Identifier: BSD-3-Clause
// One capture of packets, as a stream of pcapng: puts a tap into every worker, carries what the
// taps have caught to the client, and takes them out when the client has had enough or is gone. A
// client that reads slowly makes the taps miss packets; it never makes a worker wait, nor the
// daemon grow. Control thread.
#pragma once

#include "control/api/server.hpp"
#include "control/controller.hpp"
#include "dataplane/capture.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct bpf_program;
struct event;
struct event_base;

namespace gannet::control {

struct CaptureRequest {
  std::vector<std::uint16_t> ports;  // Dataplane port ids.
  std::string filter;                // As tcpdump has it; empty: everything.
  std::uint64_t packet_limit = 0;    // 0: none.
  double seconds_limit = 0;          // 0: none.
  std::uint32_t snap_bytes = 0;

  /// Reads port=vm1, eni=vm-web-1, filter, count, seconds, snap of a query; without a port or an
  /// ENI all ports. \return one sentence if something of it cannot be.
  [[nodiscard]] static Result<CaptureRequest> parse(const std::map<std::string, std::string>& query,
                                                    Controller& controller);
};

class Capture final {
 public:
  /// \return one sentence if the filter cannot be understood. Nothing is tapped before start().
  [[nodiscard]] static Result<std::unique_ptr<Capture>> create(event_base* base,
                                                               Controller& controller,
                                                               CaptureRequest request);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  /// Taps the workers and streams to the client until a limit is reached or the client is gone.
  void start(std::shared_ptr<ApiStream> stream);
  [[nodiscard]] bool is_over() const { return is_over_; }

 private:
  Capture(event_base* base, Controller& controller, CaptureRequest request);

  [[nodiscard]] Result<void> compile_filter();
  void carry();
  void drain();
  void finish();
  void set_taps(bool are_set);

  event_base* base_;
  Controller& controller_;
  CaptureRequest request_;
  std::unique_ptr<bpf_program> filter_;
  std::vector<std::unique_ptr<dataplane::CaptureTap>> taps_;  // One a worker.
  std::vector<std::uint32_t> interface_of_port_;              // pcapng's number.
  std::shared_ptr<ApiStream> stream_;
  event* timer_ = nullptr;
  Nanos started_ = 0;
  Nanos clock_to_epoch_ = 0;
  std::uint64_t packets_ = 0;
  bool is_over_ = false;
};

}  // namespace gannet::control
