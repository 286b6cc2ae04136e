// SPDX-License-Identifier: BSD-3-Clause
// gannet-bench: measures the real worker with a real policy. Each subcommand prepares, says so in a
// line of JSON, and measures once for every line on its standard input, so that the scripts beside
// it can alternate it with others on the same core.
#include "bench/system/connections.hpp"
#include "bench/system/latency.hpp"
#include "bench/system/offload.hpp"
#include "bench/system/program.hpp"
#include "bench/system/swap.hpp"
#include "bench/system/throughput.hpp"
#include "control/host_ports.hpp"
#include "dataplane/eal.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

namespace {

using namespace gannet;
using namespace gannet::bench;

struct Options {
  std::string scenario = "full";
  std::string protocol = "udp";
  RigConfig rig;
  ConnectionsConfig connections;
  OffloadOptions card;
  LatencyConfig latency;
  ThroughputOptions throughput;
  bool fills = false;
  unsigned core = 1;  // That is measured.
  std::uint64_t memory_mib = 0;
};

void add_common(CLI::App& sub, Options& options) {
  sub.add_option("--scenario", options.scenario, "forward, encap, decap, nat, lb or full");
  sub.add_option("--frame", options.rig.frame_bytes, "bytes on the VM's wire, with FCS")
      ->check(CLI::Range(64u, 1'518u));
  sub.add_option("--rules", options.rig.policy.rule_count)->check(CLI::Range(1u, 100'000u));
  sub.add_option("--core", options.core);
}

CLI::App* add_throughput(CLI::App& app, Options& options) {
  CLI::App* const sub = app.add_subcommand("throughput", "packets a second through a scenario");
  add_common(*sub, options);
  sub->add_option("--flows", options.rig.flow_count)->check(CLI::Range(1u, 1'048'576u));
  sub->add_flag("--imix", options.rig.is_imix, "64, 594 and 1518 bytes, 7:4:1, instead");
  sub->add_option("--seconds", options.throughput.seconds);
  sub->add_flag("--steps", options.throughput.has_steps, "also what each step takes");
  sub->add_option("--memory", options.memory_mib,
                  "MiB of huge pages; follows from the flows by default");
  sub->add_option("--folder", options.rig.folder, "for capture files")->required();
  return sub;
}

CLI::App* add_swap(CLI::App& app, Options& options) {
  CLI::App* const sub = app.add_subcommand("swap", "other rules under full load");
  add_common(*sub, options);
  sub->add_option("--flows", options.rig.flow_count)->check(CLI::Range(1u, 1'048'576u));
  sub->add_option("--folder", options.rig.folder, "for capture files")->required();
  return sub;
}

CLI::App* add_connections(CLI::App& app, Options& options) {
  CLI::App* const sub = app.add_subcommand("connections", "new connections a second");
  add_common(*sub, options);
  sub->add_option("--protocol", options.protocol)->check(CLI::IsMember({"udp", "tcp"}));
  sub->add_option("--connections", options.connections.connection_count)
      ->check(CLI::Range(1'000u, 16'000'000u));
  sub->add_flag("--fill", options.fills, "fill a table of so many, and more");
  return sub;
}

CLI::App* add_offload(CLI::App& app, Options& options) {
  CLI::App* const sub = app.add_subcommand("offload", "flows on the emulated card");
  sub->add_option("--flows", options.card.flow_count)->check(CLI::Range(1'000u, 500'000u));
  sub->add_option("--inserts", options.card.insert_count)->check(CLI::Range(1'000u, 2'000'000u));
  sub->add_option("--rounds", options.card.rounds)->check(CLI::Range(1u, 1'000u));
  sub->add_option("--seconds", options.card.seconds);
  return sub;
}

int run_card(const OffloadOptions& options) {
  constexpr std::uint64_t kBytesPerFlow = 4'000;  // Its connection, and that of the next round.
  const std::string driver = control::emulated_card_driver();
  const char* const plugins[] = {driver.c_str()};
  dataplane::EalConfig eal;
  eal.program = "gannet-bench";
  eal.plugins = plugins;
  // Of the many that are inserted in one go, there is no next round.
  const auto flows = std::max<std::uint64_t>(options.flow_count, options.insert_count / 2);
  eal.memory_bytes = (std::uint64_t{512} << 20) + flows * kBytesPerFlow;
  const auto started = dataplane::Eal::start(eal);
  return started ? run_offload(options) : failed(started.error().message);
}

void add_latency(CLI::App& sub, Options& options) {
  sub.add_option("--core", options.core);
  sub.add_option("--socket", options.latency.socket, "of the memif ports")->required();
}

CLI::App* add_latency_switch(CLI::App& app, Options& options) {
  CLI::App* const sub = app.add_subcommand("latency-switch", "the switch between memif ports");
  add_latency(*sub, options);
  sub->add_option("--scenario", options.scenario, "forward, nat, lb or full");
  sub->add_option("--flows", options.rig.flow_count)->check(CLI::Range(1u, 1'048'576u));
  sub->add_option("--folder", options.rig.folder, "for capture files")->required();
  return sub;
}

CLI::App* add_latency_generator(CLI::App& app, Options& options) {
  CLI::App* const sub = app.add_subcommand("latency-generator", "sends, receives and takes times");
  add_latency(*sub, options);
  sub->add_option("--switch-core", options.latency.switch_core, "whose distance is asked for");
  sub->add_option("--there", options.latency.there, "capture file")->required();
  sub->add_option("--back", options.latency.back, "capture file")->required();
  return sub;
}

std::uint64_t memory_bytes_of(const Options& options) {
  constexpr std::uint64_t kBase = std::uint64_t{256} << 20;
  if (options.memory_mib != 0) return options.memory_mib << 20;
  return kBase + std::uint64_t{options.rig.flow_count} * 6'500;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("measures Gannet's worker");
  app.require_subcommand(1);
  Options options;
  const CLI::App* const throughput = add_throughput(app, options);
  const CLI::App* const swap = add_swap(app, options);
  const CLI::App* const connections = add_connections(app, options);
  const CLI::App* const card = add_offload(app, options);
  const CLI::App* const latency_switch = add_latency_switch(app, options);
  add_latency_generator(app, options);
  CLI11_PARSE(app, argc, argv);
  if (card->parsed()) return run_card(options.card);
  const auto found = find_scenario(options.scenario);
  if (!found) return failed("there is no scenario '" + options.scenario + "'");
  options.rig.scenario = *found;
  options.rig.policy.protocol = options.protocol;

  dataplane::EalConfig eal;
  eal.program = "gannet-bench";
  eal.memory_bytes = memory_bytes_of(options);
  const auto started = dataplane::Eal::start(eal);
  if (!started) return failed(started.error().message);
  options.rig.has_huge_pages = started->has_huge_pages();
  options.throughput.core = options.core;
  if (throughput->parsed()) return run_throughput(options.rig, options.throughput);
  constexpr unsigned kControlCore = 0;
  if (swap->parsed()) return run_swap(options.rig, kControlCore);
  options.connections.rig = options.latency.rig = options.rig;
  options.connections.core = options.latency.core = options.core;
  if (connections->parsed()) {
    return options.fills ? run_overflow(options.connections) : run_connections(options.connections);
  }
  return latency_switch->parsed() ? run_latency_switch(options.latency)
                                  : run_latency_generator(options.latency);
}
