// SPDX-License-Identifier: BSD-3-Clause
#include "control/top_view.hpp"

#include "control/policy/json_value.hpp"
#include "control/rehearsal.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

// Workers in the upper bits: the order in which walk_flows() goes.
std::uint64_t id_of(const FlowRecord& r) {
  return std::uint64_t{r.worker} << 40 | std::uint64_t{static_cast<std::uint8_t>(r.family)} << 32 |
         r.index;
}

std::uint64_t a_second(std::uint64_t count, double seconds) {
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(count) / seconds));
}

double mbits(std::uint64_t bytes, double seconds) {
  return static_cast<double>(bytes) * 8 / 1e6 / seconds;
}

struct EniLoad {
  std::uint64_t sent_packets = 0, sent_bytes = 0, received_packets = 0, received_bytes = 0;
  std::uint32_t flows = 0;
};

Json eni_rows(const std::map<std::uint16_t, EniLoad>& loads, const SnapshotNames& names,
              double seconds) {
  std::vector<std::pair<std::uint16_t, EniLoad>> sorted(loads.begin(), loads.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second.sent_bytes + a.second.received_bytes >
           b.second.sent_bytes + b.second.received_bytes;
  });
  Json rows = Json::array();
  for (const auto& [eni, load] : sorted) {
    rows.push_back({{"eni", SnapshotNames::at(names.enis, eni)},
                    {"sent_packets", a_second(load.sent_packets, seconds)},
                    {"sent_mbits", mbits(load.sent_bytes, seconds)},
                    {"received_packets", a_second(load.received_packets, seconds)},
                    {"received_mbits", mbits(load.received_bytes, seconds)},
                    {"active_flows", load.flows}});
  }
  return rows;
}

}  // namespace

std::vector<TopSampler::Sample> TopSampler::sample() {
  std::vector<Sample> samples;
  const std::size_t room = count_flows(dataplane_);
  samples.reserve(room);
  walk_flows(dataplane_, [&](const FlowRecord& r) {
    if (samples.size() == room) return;
    samples.push_back({id_of(r), {r.counters[0], r.counters[1]}, r.in, r.out, r.age});
  });
  // Families and workers come in order, but let nothing depend on it.
  std::sort(samples.begin(), samples.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return samples;
}

// What moved since the last look, of connections for which anything did.
std::vector<TopSampler::Rate> TopSampler::rates(const std::vector<Sample>& samples,
                                                Ticks since) const {
  std::vector<Rate> rates;
  auto before = last_.begin();
  for (const Sample& now : samples) {
    while (before != last_.end() && before->id < now.id) ++before;
    // A younger connection has only taken over the number of one that is gone.
    const bool is_known = before != last_.end() && before->id == now.id && now.age >= since;
    Rate rate{now};
    for (int d = 0; d < 2; ++d) {
      rate.packets[d] = now.counters[d].packets - (is_known ? before->counters[d].packets : 0);
      rate.bytes[d] = now.counters[d].bytes - (is_known ? before->counters[d].bytes : 0);
    }
    if (rate.packets[0] + rate.packets[1] != 0) rates.push_back(rate);
  }
  return rates;
}

Json TopSampler::flow_rows(const std::vector<Rate>& rates, const SnapshotNames& names,
                           double seconds) {
  std::vector<std::pair<FlowRecord, bool>> records(rates.size());
  walk_flows(dataplane_, [&](const FlowRecord& r) {
    for (std::size_t i = 0; i < rates.size(); ++i) {
      if (rates[i].now.id == id_of(r)) records[i] = {r, true};
    }
  });
  Json rows = Json::array();
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const auto& [record, is_there] = records[i];
    if (!is_there) continue;  // It has ended in between.
    rows.push_back({{"id", fmt::format("{}:{}:{}", record.worker, static_cast<int>(record.family),
                                       record.index)},
                    {"flow", to_string(record.original)},
                    {"from", zone_name(record.in, names)},
                    {"to", zone_name(record.out, names)},
                    {"packets", a_second(rates[i].packets[0], seconds)},
                    {"mbits", mbits(rates[i].bytes[0], seconds)},
                    {"reply_packets", a_second(rates[i].packets[1], seconds)},
                    {"reply_mbits", mbits(rates[i].bytes[1], seconds)}});
  }
  return rows;
}

Json TopSampler::look(const SnapshotNames& names, std::size_t limit) {
  const Nanos now = dataplane_.clock().now();
  std::vector<Sample> samples = sample();
  const Nanos elapsed = last_look_ == 0 ? 0 : now - last_look_;
  const double seconds = static_cast<double>(elapsed) / 1e9;
  Json answer{{"seconds", seconds}, {"enis", Json::array()}, {"flows", Json::array()}};
  if (elapsed != 0) {
    std::vector<Rate> busy = rates(samples, duration_ticks(elapsed));
    std::map<std::uint16_t, EniLoad> loads;
    for (const Rate& rate : busy) {
      const flows::Zone ends[2] = {rate.now.in, rate.now.out};
      for (int d = 0; d < 2; ++d) {
        if (ends[d].kind != flows::ZoneKind::kEni) continue;
        EniLoad& load = loads[ends[d].index];
        load.sent_packets += rate.packets[d];
        load.sent_bytes += rate.bytes[d];
        load.received_packets += rate.packets[1 - d];
        load.received_bytes += rate.bytes[1 - d];
        ++load.flows;
      }
    }
    const std::size_t shown = std::min(limit, busy.size());
    std::partial_sort(busy.begin(), busy.begin() + static_cast<std::ptrdiff_t>(shown), busy.end(),
                      [](const Rate& a, const Rate& b) { return a.total() > b.total(); });
    busy.resize(shown);
    answer["enis"] = eni_rows(loads, names, seconds);
    answer["flows"] = flow_rows(busy, names, seconds);
  }
  last_ = std::move(samples);
  last_look_ = now;
  return answer;
}

}  // namespace gannet::control
