// SPDX-License-Identifier: BSD-3-Clause
#include "control/views.hpp"

#include "control/offload_view.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/values.hpp"
#include "control/rehearsal.hpp"
#include "control/views_policy.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

using dataplane::DropReason;
using dataplane::kDropReasonCount;

std::string_view type_name(PortType type) {
  switch (type) {
    case PortType::kAfPacket: return "af_packet";
    case PortType::kTap: return "tap";
    case PortType::kVhostUser: return "vhost-user";
    case PortType::kPci: return "pci";
    case PortType::kRepresentor: return "representor";
    case PortType::kAfXdp: return "af_xdp";
    case PortType::kMemif: return "memif";
    case PortType::kVdev: return "vdev";
  }
  return "?";
}

// The sum over workers of a counter of a port.
template <typename Get>
std::uint64_t sum(Controller& c, std::size_t port, Get&& get) {
  std::uint64_t total = 0;
  for (unsigned w = 0; w < c.dataplane().worker_count(); ++w) {
    total += get(c.dataplane().worker(w).stats().ports[port]);
  }
  return total;
}

std::uint64_t drops_of(Controller& c, std::size_t port) {
  return sum(c, port, [](const dataplane::PortCounters& counters) {
    std::uint64_t total = 0;
    for (const auto& drop : counters.drops) total += drop.read();
    return total;
  });
}

Json show_ports(Controller& c) {
  const dataplane::Snapshot& snapshot = *c.dataplane().policy();
  Json rows = Json::array();
  for (std::size_t i = 0; i < c.facts().ports.size(); ++i) {
    const dataplane::PortBinding& binding = snapshot.ports[i];
    const bool is_uplink = binding.role == dataplane::PortRole::kUplink;
    const auto counter = [&](auto member) {
      return sum(c, i, [member](const dataplane::PortCounters& p) { return (p.*member).read(); });
    };
    using P = dataplane::PortCounters;
    const dataplane::PortLosses losses = c.dataplane().ports()[i].losses();
    rows.push_back({{"port", c.facts().ports[i]},
                    {"type", type_name(c.host().ports.find(c.facts().ports[i])->type)},
                    {"role", is_uplink ? "uplink" : "vm"},
                    {"link", c.link_of(i)},
                    {"eni", is_uplink ? "-" : SnapshotNames::at(c.names().enis, binding.eni)},
                    {"worker", c.facts().worker_of_port[i]},
                    {"rx_packets", counter(&P::rx_packets)},
                    {"rx_bytes", counter(&P::rx_bytes)},
                    {"tx_packets", counter(&P::tx_packets)},
                    {"tx_bytes", counter(&P::tx_bytes)},
                    {"card_rx_packets", counter(&P::card_rx_packets)},
                    {"card_rx_bytes", counter(&P::card_rx_bytes)},
                    {"card_tx_packets", counter(&P::card_tx_packets)},
                    {"card_tx_bytes", counter(&P::card_tx_bytes)},
                    {"originated", counter(&P::originated_packets)},
                    {"forwarded", counter(&P::forwarded_packets)},
                    {"dropped", drops_of(c, i)},
                    {"rx_missed_packets", losses.missed_packets},
                    {"rx_error_packets", losses.error_packets},
                    {"rx_no_buffer_packets", losses.no_buffer_packets},
                    {"wire_tx_failures", losses.wire_tx_failures}});
  }
  return rows;
}

Json show_workers(Controller& c) {
  Json rows = Json::array();
  for (unsigned i = 0; i < c.dataplane().worker_count(); ++i) {
    const dataplane::WorkerStats& s = c.dataplane().worker(i).stats();
    rows.push_back({{"worker", i},
                    {"core", *c.host().workers.cores[i]},
                    {"connections", s.connections.load()},
                    {"capacity", s.connection_capacity.load()},
                    {"high_water", s.connection_high_water.load()},
                    {"evicted", s.evicted.load()},
                    {"reevaluated", s.reevaluated.load()},
                    {"adopted", s.adopted.load()},
                    {"nat_mappings", s.nat_mappings.load()},
                    {"card_packets", s.path.card_packets.read()},
                    {"fast_packets", s.path.fast_packets.read()},
                    {"slow_packets", s.path.slow_packets.read()},
                    {"first_packets", s.path.first_packets.read()},
                    {"answers", s.path.answers.read()},
                    {"polls", s.path.polls.read()},
                    {"empty_polls", s.path.empty_polls.read()},
                    {"lost_log_entries", s.path.lost_news.read()},
                    {"conforms_to", c.dataplane().worker(i).conforming_generation()}});
  }
  return rows;
}

Json show_drops(Controller& c) {
  Json rows = Json::array();
  for (std::size_t r = 1; r < kDropReasonCount; ++r) {
    for (std::size_t port = 0; port < c.facts().ports.size(); ++port) {
      const std::uint64_t packets =
          sum(c, port, [r](const dataplane::PortCounters& p) { return p.drops[r].read(); });
      if (packets == 0) continue;
      rows.push_back({{"reason", dataplane::name_of(static_cast<DropReason>(r))},
                      {"port", c.facts().ports[port]},
                      {"packets", packets},
                      {"meaning", dataplane::sentence_of(static_cast<DropReason>(r))}});
    }
  }
  return rows;
}

using Viewer = Json (*)(Controller&);
constexpr std::pair<std::string_view, Viewer> kViewers[] = {
    {"vpc", show_vpcs},          {"eni", show_enis},         {"sg", show_groups},
    {"route", show_routes},      {"mapping", show_mappings}, {"nat", show_nat},
    {"lb", show_load_balancers}, {"port", show_ports},       {"worker", show_workers},
    {"offload", show_offload},   {"drops", show_drops},
};

// Copies a worker's drop log.
class DropLogCommand final : public dataplane::WorkerCommand {
 public:
  explicit DropLogCommand(std::vector<dataplane::DropRecord>& records) : records_(records) {}
  bool step(dataplane::Worker& worker) override {
    const dataplane::DropLog& log = worker.drop_log();
    const std::uint64_t end = log.written();
    const std::uint64_t begin =
        end > dataplane::DropLog::kCapacity ? end - dataplane::DropLog::kCapacity : 0;
    for (std::uint64_t i = begin; i < end; ++i) records_.push_back(log.at(i));
    return true;
  }

 private:
  std::vector<dataplane::DropRecord>& records_;
};

}  // namespace

std::optional<Json> show(std::string_view what, Controller& controller) {
  for (const auto& [word, viewer] : kViewers) {
    if (word == what) return viewer(controller);
  }
  return std::nullopt;
}

std::vector<std::string_view> showable() {
  std::vector<std::string_view> words;
  for (const auto& [word, viewer] : kViewers) words.push_back(word);
  return words;
}

Json rule_log(Controller& controller) {
  const Nanos now = controller.dataplane().clock().now();
  Json rows = Json::array();
  for (const RuleLogEntry& entry : controller.rule_log()) {
    rows.push_back({{"seconds_ago", static_cast<double>(now - entry.when) / 1e9},
                    {"rule", entry.rule},
                    {"verdict", entry.is_allowed ? "allow" : "deny"},
                    {"packet", to_string(entry.packet)}});
  }
  return rows;
}

Json recent_drops(Controller& controller) {
  std::vector<dataplane::DropRecord> records;
  records.reserve(dataplane::DropLog::kCapacity * controller.dataplane().worker_count());
  for (unsigned i = 0; i < controller.dataplane().worker_count(); ++i) {
    DropLogCommand copy(records);
    controller.dataplane().execute(i, copy);
  }
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.when < b.when; });
  const Nanos now = controller.dataplane().clock().now();
  Json rows = Json::array();
  for (const dataplane::DropRecord& r : records) {
    const bool has_rule = r.rule != flows::kNoRule && r.generation == controller.generation();
    const bool has_tuple = !r.tuple.source.is_zero() || !r.tuple.destination.is_zero();
    rows.push_back({{"seconds_ago", static_cast<double>(now - r.when) / 1e9},
                    {"port", SnapshotNames::at(controller.names().ports, r.port)},
                    {"reason", dataplane::name_of(r.reason)},
                    {"rule", has_rule ? SnapshotNames::at(controller.names().rules, r.rule) : "-"},
                    {"packet", has_tuple ? to_string(r.tuple) : "-"}});
  }
  return rows;
}

}  // namespace gannet::control
