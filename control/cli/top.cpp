// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/top.hpp"

#include "control/cli/exit_status.hpp"
#include "control/cli/table.hpp"
#include "control/policy/json_value.hpp"

#include <chrono>
#include <cstdio>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

// The counters in a list of rows, a second since the list before.
Json rates(const Json& before, const Json& after, double seconds) {
  Json rows = after;
  for (std::size_t i = 0; i < rows.size() && i < before.size(); ++i) {
    for (auto& [key, value] : rows[i].items()) {
      const bool counts = key.ends_with("packets") || key.ends_with("bytes") || key == "answers" ||
                          key == "dropped" || key == "forwarded" || key == "originated";
      if (!counts) continue;
      const double difference = value.get<double>() - before[i][key].get<double>();
      value = static_cast<std::uint64_t>(difference / seconds);
    }
  }
  return rows;
}

void print_text(const Json& answer) {
  // Home and clear, so that the tables stand still.
  fmt::print(
      "\x1b[H\x1b[2JA second, over {:.1f} s. ENIs:\n{}\nFlows:\n{}\nPorts:\n{}\nWorkers:\n{}",
      answer["seconds"].get<double>(), format_table(answer["enis"]), format_table(answer["flows"]),
      format_table(answer["ports"]), format_table(answer["workers"]));
}

}  // namespace

int top(const OnlineOptions& options, const TopOptions& top) {
  Json ports;
  Json workers;
  for (unsigned round = 0; top.rounds == 0 || round <= top.rounds; ++round) {
    auto answer = ask(options, fmt::format("/v1/top?limit={}", top.flows), "");
    if (!answer) return kFailed;
    auto new_ports = ask(options, "/v1/show/port", "");
    auto new_workers = ask(options, "/v1/show/worker", "");
    if (!new_ports || !new_workers) return kFailed;
    // Somebody else may have looked in between: the daemon says how long ago that was.
    if (round != 0) {
      (*answer)["ports"] = rates(ports, *new_ports, top.interval_seconds);
      (*answer)["workers"] = rates(workers, *new_workers, top.interval_seconds);
      if (options.is_json) {
        fmt::print("{}\n", answer->dump());
      } else {
        print_text(*answer);
      }
      if (std::fflush(stdout) != 0) return kFailed;  // main() says why.
    }
    ports = std::move(*new_ports);
    workers = std::move(*new_workers);
    if (top.rounds == 0 || round < top.rounds) {
      std::this_thread::sleep_for(std::chrono::duration<double>(top.interval_seconds));
    }
  }
  return kDone;
}

}  // namespace gannet::control
