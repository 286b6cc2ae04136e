// SPDX-License-Identifier: BSD-3-Clause
// Requests to the daemon (P21): "METHOD path?key=value&...\nbody". Whatever is asked, there is one
// answer, it is JSON, and what is in force is whole.
#include "control/api/routes.hpp"
#include "dataplane/eal.hpp"
#include "flows/base/check.hpp"
#include "tests/fuzz/entry.hpp"
#include "tests/packet/bench_switch.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include <event2/event.h>
#include <nlohmann/json.hpp>

namespace {

using namespace gannet;
using namespace gannet::control;

// A daemon without its threads and sockets.
struct Daemon {
  Daemon() {
    dataplane::EalConfig config;
    config.program = "api_fuzz";
    config.huge_pages = dataplane::HugePages::kNone;
    auto started = dataplane::Eal::start(config);
    GANNET_CHECK(started.has_value());
    eal = std::make_unique<dataplane::Eal>(std::move(*started));
    test::BenchConfig bench_config;
    bench_config.vm_ports = {"vm1", "vm2"};
    bench_config.is_live = true;
    auto made = test::BenchSwitch::create(bench_config);
    GANNET_CHECK(made.has_value());
    bench = std::move(*made);
    base = event_base_new();
    routes = std::make_unique<ApiRoutes>(base, bench->controller());
  }

  std::unique_ptr<dataplane::Eal> eal;
  std::unique_ptr<test::BenchSwitch> bench;
  event_base* base = nullptr;
  std::unique_ptr<ApiRoutes> routes;
};

std::string_view take_until(std::string_view& text, char end) {
  const auto head = text.substr(0, text.find(end));
  text.remove_prefix(std::min(head.size() + 1, text.size()));
  return head;
}

ApiRequest request_of(std::string_view text) {
  ApiRequest request;
  auto line = take_until(text, '\n');
  request.method = take_until(line, ' ') == "POST" ? "POST" : "GET";
  request.path = take_until(line, '?');
  while (!line.empty()) {
    auto pair = take_until(line, '&');
    const std::string key(take_until(pair, '='));
    request.query.emplace(key, pair);
  }
  request.body = text;
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Never taken down: DPDK starts only once in a process.
  static Daemon* const daemon = new Daemon();
  const auto request = request_of({reinterpret_cast<const char*>(data), size});
  // The answer may come later, and after the end of the input that asked.
  const auto answers = std::make_shared<int>(0);
  daemon->routes->handle(request, [answers](const ApiResponse& response) {
    GANNET_CHECK(response.status >= 200 && response.status < 600);
    GANNET_CHECK(nlohmann::json::accept(response.body));
    ++*answers;
  });
  for (int turn = 0; turn < 10'000 && *answers == 0; ++turn) {
    event_base_loop(daemon->base, EVLOOP_NONBLOCK);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  GANNET_CHECK(*answers == 1);
  GANNET_CHECK(daemon->bench->dataplane().policy() != nullptr);
  return 0;
}
