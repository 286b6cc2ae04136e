// SPDX-License-Identifier: BSD-3-Clause
// gannet-bench: measures the real worker with a real policy. It makes the connections, says so, and
// then measures once for every line on its standard input, so that the scripts beside it can
// alternate it with others on the same core.
#include "bench/system/rig.hpp"
#include "dataplane/eal.hpp"

#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <pthread.h>

namespace {

using namespace gannet;
using namespace gannet::bench;

void pin_to(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int failed(const std::string& why) {
  fmt::print(stderr, "gannet-bench: {}\n", why);
  return 1;
}

void print(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump());
  std::fflush(stdout);
}

int throughput(RigConfig config, double seconds, unsigned core) {
  auto rig = Rig::create(config);
  if (!rig) return failed(rig.error().message);
  if (const auto connected = (*rig)->connect(); !connected)
    return failed(connected.error().message);
  if (const auto plugged = (*rig)->plug_captures(); !plugged)
    return failed(plugged.error().message);
  pin_to(core);
  print({{"ready", true},
         {"connections", (*rig)->connection_count()},
         {"there", (*rig)->there_file()},
         {"back", (*rig)->back_file()},
         {"buffers", (*rig)->buffer_count()}});
  std::string line;
  while (std::getline(std::cin, line)) {
    const Measured m = (*rig)->measure(seconds);
    const auto packets = static_cast<double>(m.packets);
    print({{"mpps", packets / m.seconds / 1e6},
           {"cycles_per_packet", static_cast<double>(m.cycles) / packets},
           {"slow", m.slow},
           {"drops", m.drops},
           {"packets", m.packets}});
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("measures Gannet's worker");
  app.require_subcommand(1);
  CLI::App* const sub = app.add_subcommand("throughput", "packets a second through a scenario");
  std::string scenario = "full";
  RigConfig config;
  double seconds = 1;
  unsigned core = 1;
  std::uint64_t memory_mib = 0;
  sub->add_option("--scenario", scenario, "forward, encap, decap, nat, lb or full");
  sub->add_option("--flows", config.flow_count)->check(CLI::Range(1u, 1'048'576u));
  sub->add_option("--frame", config.frame_bytes, "bytes on the VM's wire, with FCS")
      ->check(CLI::Range(64u, 1'518u));
  sub->add_flag("--imix", config.is_imix, "64, 594 and 1518 bytes, 7:4:1, instead");
  sub->add_option("--rules", config.rule_count)->check(CLI::Range(1u, 100'000u));
  sub->add_option("--seconds", seconds);
  sub->add_option("--core", core);
  sub->add_option("--memory", memory_mib, "MiB of huge pages; follows from the flows by default");
  sub->add_option("--folder", config.folder, "for capture files")->required();
  CLI11_PARSE(app, argc, argv);
  const auto found = find_scenario(scenario);
  if (!found) return failed("there is no scenario '" + scenario + "'");
  config.scenario = *found;

  dataplane::EalConfig eal;
  eal.program = "gannet-bench";
  eal.memory_bytes = memory_mib != 0
                         ? memory_mib << 20
                         : (std::uint64_t{256} << 20) + std::uint64_t{config.flow_count} * 6'500;
  const auto started = dataplane::Eal::start(eal);
  if (!started) return failed(started.error().message);
  config.has_huge_pages = started->has_huge_pages();
  return throughput(config, seconds, core);
}
