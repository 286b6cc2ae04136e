// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/throughput.hpp"

#include "bench/system/program.hpp"

#include <rte_cycles.h>

namespace gannet::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, dataplane::kLoopStepCount> kStepNames{
    "receive", "parse", "look_up", "apply", "transmit", "rest"};
constexpr unsigned kLooksToTime = 100'000;

double per_packet(std::uint64_t cycles, const Measured& m) {
  return static_cast<double>(cycles) / static_cast<double>(std::max<std::uint64_t>(m.packets, 1));
}

// What one look at the time-stamp counter takes when nothing overlaps it.
double cycles_per_look() {
  dataplane::StepCycles steps;
  const std::uint64_t start = rte_rdtsc();
  for (unsigned i = 0; i < kLooksToTime; ++i) steps.end(dataplane::LoopStep::kRest);
  return static_cast<double>(rte_rdtsc() - start) / kLooksToTime;
}

Json measure(Rig& rig, double seconds) {
  const Measured m = rig.measure(seconds);
  return {{"mpps", static_cast<double>(m.packets) / m.seconds / 1e6},
          {"cycles_per_packet", per_packet(m.cycles, m)},
          {"slow", m.slow},
          {"drops", m.drops},
          {"packets", m.packets}};
}

// Each step, and all of them together with what the looks cost.
Json measure_steps(Rig& rig, double seconds) {
  dataplane::StepCycles steps;
  const Measured m = rig.measure(seconds, &steps);
  Json found{{"measured_cycles_per_packet", per_packet(m.cycles, m)},
             {"looks_cycles_per_packet", cycles_per_look() * per_packet(steps.looks(), m)}};
  for (std::size_t i = 0; i < kStepNames.size(); ++i) {
    found["steps"][kStepNames[i]] = per_packet(steps.of(static_cast<dataplane::LoopStep>(i)), m);
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<Rig>> make_loaded_rig(const RigConfig& config) {
  auto rig = Rig::create(config);
  if (!rig) return rig;
  if (const auto connected = (*rig)->connect(); !connected)
    return tl::unexpected(connected.error());
  if (const auto plugged = (*rig)->plug_captures(); !plugged)
    return tl::unexpected(plugged.error());
  return rig;
}

int run_throughput(const RigConfig& config, const ThroughputOptions& options) {
  auto rig = make_loaded_rig(config);
  if (!rig) return failed(rig.error().message);
  pin_to(options.core);
  print({{"ready", true},
         {"connections", (*rig)->connection_count()},
         {"there", (*rig)->there_file()},
         {"back", (*rig)->back_file()},
         {"buffers", (*rig)->buffer_count()}});
  while (is_asked()) {
    Json found = measure(**rig, options.seconds);
    if (options.has_steps) found.update(measure_steps(**rig, options.seconds));
    print(found);
  }
  return 0;
}

}  // namespace gannet::bench
