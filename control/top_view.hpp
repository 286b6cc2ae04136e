// SPDX-License-Identifier: BSD-3-Clause
// Who is busiest: rates of connections and ENIs between two looks. Remembers every connection's
// counters of the last look, 64 bytes each. Control thread.
#pragma once

#include "control/flow_view.hpp"

#include <cstdint>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

class TopSampler final {
 public:
  explicit TopSampler(dataplane::Dataplane& dataplane) : dataplane_(dataplane) {}

  /// {"seconds": since the last look, "enis": [..], "flows": [..]}, busiest first, at most `limit`
  /// flows. The first look has nothing to compare with and shows none.
  [[nodiscard]] nlohmann::ordered_json look(const SnapshotNames& names, std::size_t limit);

 private:
  struct Sample {
    std::uint64_t id = 0;  // Worker, family, number: in the order of walk_flows().
    flows::FlowCounters counters[2];
    flows::Zone in;
    flows::Zone out;
    Ticks age = 0;
  };
  struct Rate {
    Sample now;
    std::uint64_t packets[2] = {0, 0};  // Since the last look, by direction.
    std::uint64_t bytes[2] = {0, 0};
    [[nodiscard]] std::uint64_t total() const { return bytes[0] + bytes[1]; }
  };

  [[nodiscard]] std::vector<Sample> sample();
  [[nodiscard]] std::vector<Rate> rates(const std::vector<Sample>& samples, Ticks since) const;
  [[nodiscard]] nlohmann::ordered_json flow_rows(const std::vector<Rate>& rates,
                                                 const SnapshotNames& names, double seconds);

  dataplane::Dataplane& dataplane_;
  std::vector<Sample> last_;
  Nanos last_look_ = 0;
};

}  // namespace gannet::control
