// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/throughput.hpp"

#include "bench/system/program.hpp"

namespace gannet::bench {

int run_throughput(const RigConfig& config, double seconds, unsigned core) {
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
  while (is_asked()) {
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

}  // namespace gannet::bench
