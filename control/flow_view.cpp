// SPDX-License-Identifier: BSD-3-Clause
#include "control/flow_view.hpp"

#include "control/offload_view.hpp"
#include "control/rehearsal.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

using flows::FlowKind;

constexpr unsigned kRecordsPerStep = 256;

template <typename Key>
FlowRecord record_of(const flows::Connection<Key>& c, std::uint16_t worker, std::uint32_t index,
                     Ticks now) {
  FlowRecord r;
  r.worker = worker;
  r.index = index;
  r.family = sizeof(Key) == sizeof(flows::Ip4Key) ? Family::kIpv4 : Family::kIpv6;
  r.original = dataplane::tuple_of(c.flows[0].key);
  Key leaving = c.flows[0].key;
  leaving.tuple = c.flows[0].action.tuple;
  r.leaving = dataplane::tuple_of(leaving);
  r.in = flows::zone_of(c.flows[0].key);
  r.out = flows::zone_of(c.flows[1].key);
  r.tcp_state = c.shared.tcp_state;
  r.timeout_class = c.shared.timeout_class;
  r.flags = c.shared.flags;
  r.eni = c.shared.owner_eni;
  r.counters[0] = c.shared.counters(flows::Direction::kForward);
  r.counters[1] = c.shared.counters(flows::Direction::kReverse);
  r.age = now - c.shared.created;
  r.idle = now - c.last_seen();
  r.generation = c.flows[0].generation;
  r.offload[0] = c.flows[0].offload;
  r.offload[1] = c.flows[1].offload;
  r.egress_rule = c.details.egress_rule;
  r.ingress_rule = c.details.ingress_rule;
  return r;
}

class WalkCommand final : public dataplane::WorkerCommand {
 public:
  explicit WalkCommand(const std::function<void(const FlowRecord&)>& visit) : visit_(visit) {}

  bool step(dataplane::Worker& worker) override {
    return walk(worker, worker.connections().v4(), v4_) &&
           walk(worker, worker.connections().v6(), v6_);
  }

 private:
  template <typename Table>
  bool walk(dataplane::Worker& worker, Table& table, std::uint32_t& cursor) {
    const std::uint32_t end = std::min(cursor + kRecordsPerStep, table.touched_count());
    for (; cursor < end; ++cursor) {
      if (!table.is_used(cursor) || table[cursor].flows[0].kind != FlowKind::kForward) continue;
      visit_(record_of(table[cursor], worker.id(), cursor, to_ticks(worker.now())));
    }
    return cursor >= table.touched_count();
  }

  const std::function<void(const FlowRecord&)>& visit_;
  std::uint32_t v4_ = 0;
  std::uint32_t v6_ = 0;
};

// Ends what a filter matches.
class FlushCommand final : public dataplane::WorkerCommand {
 public:
  FlushCommand(const FlowFilter& filter, std::uint64_t& count) : filter_(filter), count_(count) {}

  bool step(dataplane::Worker& worker) override {
    return flush<flows::Ip4Key>(worker, v4_) && flush<flows::Ip6Key>(worker, v6_);
  }

 private:
  template <typename Key>
  bool flush(dataplane::Worker& worker, std::uint32_t& cursor) {
    auto& table = worker.connections().table<Key>();
    const Ticks now = to_ticks(worker.now());
    const std::uint32_t end = std::min(cursor + kRecordsPerStep, table.touched_count());
    for (; cursor < end; ++cursor) {
      if (!table.is_used(cursor) || table[cursor].flows[0].kind != FlowKind::kForward) continue;
      if (!filter_.matches(record_of(table[cursor], worker.id(), cursor, now))) continue;
      // If not at once then as soon as there is room in a ring.
      worker.connections().close<Key>(cursor, now);
      ++count_;
    }
    return cursor >= table.touched_count();
  }

  const FlowFilter& filter_;
  std::uint64_t& count_;
  std::uint32_t v4_ = 0;
  std::uint32_t v6_ = 0;
};

std::string_view state_name(const FlowRecord& r) {
  switch (r.tcp_state) {
    case flows::TcpState::kNone: break;
    case flows::TcpState::kSynSent: return "syn_sent";
    case flows::TcpState::kSimultaneousOpen: return "simultaneous_open";
    case flows::TcpState::kSynReceived: return "syn_received";
    case flows::TcpState::kEstablished: return "established";
    case flows::TcpState::kHalfClosed: return "half_closed";
    case flows::TcpState::kClosing: return "closing";
    case flows::TcpState::kClosed: return "closed";
  }
  return (r.flags & flows::kSeenReply) != 0 ? "answered" : "unanswered";
}

double seconds(Ticks ticks) {
  return static_cast<double>(static_cast<Nanos>(ticks) << kTickShift) / 1e9;
}

std::string rule_name(const SnapshotNames& names, std::uint32_t rule) {
  return rule == flows::kNoRule ? "-" : SnapshotNames::at(names.rules, rule);
}

bool parse_number(std::string_view text, int& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

Result<void> set_condition(FlowFilter& filter, std::string_view key, std::string_view value,
                           const SnapshotNames& names) {
  if (key == "proto") {
    if (value == "tcp")
      filter.protocol = packet::kProtoTcp;
    else if (value == "udp")
      filter.protocol = packet::kProtoUdp;
    else if (value == "icmp")
      filter.protocol = packet::kProtoIcmp;
    else if (value == "icmp6")
      filter.protocol = packet::kProtoIcmp6;
    else if (!parse_number(value, filter.protocol))
      return fail(fmt::format("unknown protocol '{}'", value));
  } else if (key == "port") {
    if (!parse_number(value, filter.port)) return fail(fmt::format("'{}' is no port", value));
  } else if (key == "ip") {
    const auto ip = parse_ip(value);
    if (!ip) return fail(fmt::format("'{}' is no address", value));
    filter.ips.push_back(*ip);
  } else if (key == "eni") {
    const auto found = std::find(names.enis.begin(), names.enis.end(), value);
    if (found == names.enis.end()) return fail(fmt::format("there is no ENI '{}'", value));
    filter.eni = static_cast<int>(found - names.enis.begin());
  } else if (key == "id") {
    const auto first = value.find(':');
    const auto last = value.rfind(':');
    const bool is_id = first != last && parse_number(value.substr(0, first), filter.worker) &&
                       parse_number(value.substr(first + 1, last - first - 1), filter.family) &&
                       parse_number(value.substr(last + 1), filter.index);
    if (!is_id) return fail(fmt::format("'{}' is no flow: they are called like 0:4:17", value));
  } else {
    return fail(fmt::format("unknown condition '{}': there are proto, port, ip, eni and id", key));
  }
  return {};
}

}  // namespace

Result<FlowFilter> FlowFilter::parse(std::string_view text, const SnapshotNames& names) {
  FlowFilter filter;
  while (!text.empty()) {
    const auto space = text.find_first_of(" ,");
    const std::string_view word = text.substr(0, space);
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (word.empty()) continue;
    const auto equals = word.find('=');
    if (equals == std::string_view::npos) {
      return fail(fmt::format("'{}' is no condition: write proto=tcp or ip=10.0.0.1", word));
    }
    const auto set = set_condition(filter, word.substr(0, equals), word.substr(equals + 1), names);
    if (!set) return tl::unexpected(set.error());
  }
  return filter;
}

bool FlowFilter::matches(const FlowRecord& r) const {
  const dataplane::IpTuple& a = r.original;
  const dataplane::IpTuple& b = r.leaving;
  if (worker >= 0 && r.worker != worker) return false;
  if (family >= 0 && static_cast<int>(r.family) != family) return false;
  if (index >= 0 && static_cast<int>(r.index) != index) return false;
  if (protocol >= 0 && a.protocol != protocol) return false;
  if (port >= 0) {
    const bool has_port = a.source_port == port || a.destination_port == port ||
                          b.source_port == port || b.destination_port == port;
    if (!has_port) return false;
  }
  for (const IpAddress& ip : ips) {
    if (ip != a.source && ip != a.destination && ip != b.source && ip != b.destination)
      return false;
  }
  if (eni < 0) return true;
  const auto is_of = [this](flows::Zone zone) {
    return zone.kind == flows::ZoneKind::kEni && zone.index == eni;
  };
  return r.eni == eni || is_of(r.in) || is_of(r.out);
}

std::size_t count_flows(dataplane::Dataplane& dataplane) {
  std::size_t count = 1'024;  // For those that are opened meanwhile.
  for (unsigned i = 0; i < dataplane.worker_count(); ++i) {
    count += dataplane.worker(i).stats().connections.load(std::memory_order_relaxed);
  }
  return count;
}

void walk_flows(dataplane::Dataplane& dataplane,
                const std::function<void(const FlowRecord&)>& visit) {
  for (unsigned i = 0; i < dataplane.worker_count(); ++i) {
    WalkCommand walk(visit);
    dataplane.execute(i, walk);
  }
}

FlowList list_flows(dataplane::Dataplane& dataplane, const FlowFilter& filter, std::size_t limit) {
  FlowList list;
  // Workers must not allocate: the list gets its memory before they fill it.
  limit = std::min(limit, count_flows(dataplane));
  list.records.reserve(limit);
  walk_flows(dataplane, [&](const FlowRecord& record) {
    if (!filter.matches(record)) return;
    ++list.matched;
    if (list.records.size() < limit) list.records.push_back(record);
  });
  return list;
}

std::uint64_t flush_flows(dataplane::Dataplane& dataplane, const FlowFilter& filter) {
  std::uint64_t count = 0;
  for (unsigned i = 0; i < dataplane.worker_count(); ++i) {
    FlushCommand flush(filter, count);
    dataplane.execute(i, flush);
  }
  return count;
}

std::string zone_name(flows::Zone zone, const SnapshotNames& names) {
  switch (zone.kind) {
    case flows::ZoneKind::kEni: return "eni " + SnapshotNames::at(names.enis, zone.index);
    case flows::ZoneKind::kTunnel: return "tunnel " + SnapshotNames::at(names.vpcs, zone.index);
    case flows::ZoneKind::kUplink: return "internet";
    case flows::ZoneKind::kNone: break;
  }
  return "-";
}

nlohmann::ordered_json to_json(const FlowRecord& r, const SnapshotNames& names,
                               const PathTexts& paths) {
  nlohmann::ordered_json json;
  json["id"] = r.is_stuck_on_card
                   ? "card"
                   : fmt::format("{}:{}:{}", r.worker, static_cast<int>(r.family), r.index);
  json["flow"] = to_string(r.original);
  json["from"] = zone_name(r.in, names);
  json["to"] = zone_name(r.out, names);
  json["leaves_as"] = r.leaving == r.original ? "-" : to_string(r.leaving);
  json["state"] = state_name(r);
  json["packets"] = r.counters[0].packets;
  json["bytes"] = r.counters[0].bytes;
  json["reply_packets"] = r.counters[1].packets;
  json["reply_bytes"] = r.counters[1].bytes;
  json["idle_seconds"] = seconds(r.idle);
  json["age_seconds"] = seconds(r.age);
  json["egress_rule"] = rule_name(names, r.egress_rule);
  json["ingress_rule"] = rule_name(names, r.ingress_rule);
  json["generation"] = r.generation;
  json["path"] = paths.text(r, flows::Direction::kForward);
  json["reply_path"] = paths.text(r, flows::Direction::kReverse);
  if (!r.is_stuck_on_card) return json;
  json["state"] = "ended";
  json["path"] = "hardware (stuck)";
  json["reply_path"] = "-";
  return json;
}

}  // namespace gannet::control
