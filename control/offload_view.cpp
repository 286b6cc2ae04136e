// SPDX-License-Identifier: BSD-3-Clause
#include "control/offload_view.hpp"

#include "control/flow_view.hpp"
#include "control/policy/json_value.hpp"
#include "control/rehearsal.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

using offload::Refusal;

enum class NotAsked : std::uint8_t {
#define REFUSAL(name, kind, sentence, remedy)
#define NOT_ASKED(name, sentence, remedy) name,
#include "flows/offload/refusals.def"
#undef REFUSAL
};

std::string_view name_of(NotAsked reason) {
  switch (reason) {
#define REFUSAL(name, kind, sentence, remedy)
#define NOT_ASKED(name, sentence, remedy) \
  case NotAsked::name:                    \
    return #name;
#include "flows/offload/refusals.def"
#undef REFUSAL
  }
  return {};
}

class Rows {
 public:
  template <typename T>
  void add(std::string item, T value, std::string_view meaning) {
    rows_.push_back({{"item", std::move(item)}, {"value", value}, {"meaning", meaning}});
  }
  [[nodiscard]] Json take() { return std::move(rows_); }

 private:
  Json rows_ = Json::array();
};

// Packets and bytes that the workers have forwarded themselves, and those of the card.
struct Shares {
  std::uint64_t software_packets = 0;
  std::uint64_t card_packets = 0;
  std::uint64_t software_bytes = 0;
  std::uint64_t card_bytes = 0;
};

Shares shares_of(Controller& c) {
  Shares shares;
  for (unsigned w = 0; w < c.dataplane().worker_count(); ++w) {
    for (const auto& port : c.dataplane().worker(w).stats().ports) {
      shares.software_packets += port.rx_packets.read();
      shares.software_bytes += port.rx_bytes.read();
      shares.card_packets += port.card_rx_packets.read();
      shares.card_bytes += port.card_rx_bytes.read();
    }
  }
  return shares;
}

double percent(std::uint64_t part, std::uint64_t rest) {
  const auto whole = static_cast<double>(part) + static_cast<double>(rest);
  return whole == 0 ? 0 : static_cast<double>(part) * 100 / whole;
}

// The time below which so many of a hundred were, as the histogram knows it.
std::string percentile(const offload::EngineStats& stats, double wanted) {
  std::uint64_t total = 0;
  for (const std::uint64_t count : stats.time_to_offload) total += count;
  if (total == 0) return "-";
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < offload::EngineStats::kTimeBuckets; ++i) {
    sum += stats.time_to_offload[i];
    if (static_cast<double>(sum) >= static_cast<double>(total) * wanted / 100) {
      return fmt::format("below {} us", std::uint64_t{1} << i);
    }
  }
  return "-";
}

void add_times(Rows& rows, const offload::EngineStats& stats) {
  rows.add("time_to_offload_p50", percentile(stats, 50), "from a worker's order to the rule");
  rows.add("time_to_offload_p99", percentile(stats, 99), "the same for all but one in a hundred");
  for (unsigned i = 0; i < offload::EngineStats::kTimeBuckets; ++i) {
    if (stats.time_to_offload[i] == 0) continue;
    rows.add(fmt::format("time_to_offload_us<{}", std::uint64_t{1} << i), stats.time_to_offload[i],
             "rules in force within this time, and not within the one before");
  }
}

void add_refusals(Rows& rows, const offload::EngineStats& stats) {
  for (std::size_t i = 1; i < offload::kRefusalCount; ++i) {
    if (stats.refusals[i] == 0) continue;
    const auto reason = static_cast<Refusal>(i);
    rows.add(fmt::format("software ({})", name_of(reason)), stats.refusals[i], sentence_of(reason));
  }
}

void add_abilities(Rows& rows, const offload::Capabilities& can) {
  for (std::size_t i = 0; i < offload::kAbilityCount; ++i) {
    const auto ability = static_cast<offload::Ability>(i);
    if (can.has(ability)) continue;
    rows.add(fmt::format("card cannot {}", name_of(ability)), "-", loss_of(ability));
  }
}

}  // namespace

Json show_offload(Controller& c) {
  Rows rows;
  if (c.offload() == nullptr) {
    rows.add("mode", "software only",
             c.host().nic ? c.card_refusal() : "the host configuration has no nic");
    return rows.take();
  }
  const OffloadManager::Status status = c.offload()->status();
  const offload::EngineStats& s = status.stats;
  const Shares shares = shares_of(c);
  rows.add("mode", status.is_enabled ? "auto" : "disabled", "of offload, now");
  rows.add("insertion", status.has_templates ? "asynchronous" : "synchronous",
           status.has_templates ? "by template tables and a flow queue"
                                : "one rule after the other: the card has no flow queue");
  rows.add("template_tables", status.table_count, "for the shapes of rules that there have been");
  rows.add("under_way", status.under_way_count, "rules that the card is inserting or removing");
  rows.add("card", status.is_card_usable ? "in use" : "not in use",
           status.is_card_usable ? "it has its guards, and nothing that is not known"
                                 : "it has not flushed its rules, or takes no guards: asked again");
  rows.add("rules", s.rules, "of flows, in force on the card");
  rows.add("guards", status.guard_count, "rules that keep odd packets in software");
  rows.add("most_rules", s.most_rules, "of flows, at any time since the start");
  rows.add("full_at", s.full_at, "rules of flows when the card last had no room; 0: never");
  rows.add("installed", s.installed, "rules since the start");
  rows.add("removed", s.removed, "rules since the start");
  rows.add("evicted", s.evicted, "of these, to make room for busier flows");
  rows.add("rules_per_second", status.rules_per_second, "installed, in the last second");
  rows.add("most_rules_per_second", status.most_rules_per_second, "in any second");
  rows.add("packets_percent", percent(shares.card_packets, shares.software_packets),
           "of all received packets that the card dealt with");
  rows.add("bytes_percent", percent(shares.card_bytes, shares.software_bytes), "the same in bytes");
  rows.add("card_packets", shares.card_packets, "dealt with by the card, as far as read");
  rows.add("software_packets", shares.software_packets, "received by workers");
  rows.add("resets", s.resets, "of the card");
  rows.add("counts_lost", s.counts_lost,
           "rules that went with these: what they counted since their last reading is not known");
  rows.add("start_overs", s.start_overs,
           "times that all rules were flushed, as the card had failed to remove one");
  rows.add("flush_failures", status.flush_failures,
           "times that the card kept rules which it had been told to flush");
  rows.add("abandoned_counters", status.abandoned_counters,
           "of rules that are gone: the card does not take them back");
  rows.add("restart_failures", s.restart_failures,
           "times that it could not be used yet after a reset or a flush");
  rows.add("audited", s.audited, "times that a rule did what it should");
  rows.add("wrong", s.wrong, "rules that did something else, and were removed");
  rows.add("repaired", s.repaired, "these, and rules that did not take their packets");
  rows.add("looks", s.looks, "times that a worker was asked what it knows of a rule");
  rows.add("orphans", s.orphans, "rules that no connection had any more, and were removed");
  rows.add("lost_rules", s.lost, "flows that took a rule for theirs that was not there");
  rows.add("audited_guards", status.audited_guards, "times that guards did what they should");
  rows.add("wrong_guards", status.wrong_guards, "times that they did not, and were put anew");
  rows.add("remove_failures", s.remove_failures, "removals that had to be repeated");
  rows.add("stuck", status.stuck_count, "rules that the card does not let go at the moment");
  add_times(rows, s);
  add_refusals(rows, s);
  add_abilities(rows, c.offload()->capabilities());
  return rows.take();
}

PathTexts::PathTexts(Controller& c)
    : policy_(*c.dataplane().policy()), has_card_(c.offload() != nullptr) {
  if (!has_card_) return;
  is_enabled_ = c.offload()->is_enabled();
  is_strict_tcp_ = c.host().tracking.strict_tcp == StrictTcp::kTrue;
  const Nic* const nic = c.host().nic ? &*c.host().nic : nullptr;
  for (const std::string& port : c.facts().ports) {
    const auto is_this = [&port](const Reference& one) { return *one == port; };
    is_on_card_.push_back(nic == nullptr || is_this(nic->uplink) ||
                          std::any_of(nic->vfs.begin(), nic->vfs.end(), is_this));
  }
}

// What a worker will find when it has a rule to write (dataplane/offload_desk.cpp).
Refusal PathTexts::obstacle(const FlowRecord& r) const {
  if (!is_enabled_) return Refusal::off;
  if (r.original.protocol == packet::kProtoTcp && is_strict_tcp_) return Refusal::strict_tcp;
  bool is_limited = false;
  for (const flows::Zone zone : {r.in, r.out}) {
    const dataplane::Eni* const eni =
        zone.kind == flows::ZoneKind::kEni ? policy_.find_eni(zone.index) : nullptr;
    const std::uint16_t port = eni != nullptr ? eni->port : policy_.underlay.port;
    if (port < is_on_card_.size() && !is_on_card_[port]) return Refusal::port_not_on_card;
    is_limited = is_limited || (eni != nullptr && eni->qos.bytes_per_second != 0);
  }
  return is_limited ? Refusal::rate_limited : Refusal::kNone;
}

std::string_view PathTexts::reason(const FlowRecord& r, const flows::FlowOffload& flow) const {
  if (!has_card_ || flow.state == flows::OffloadState::kNone) return name_of(NotAsked::no_card);
  if (flow.state == flows::OffloadState::kRefused) {
    return name_of(static_cast<Refusal>(flow.reason));
  }
  const Refusal in_the_way = obstacle(r);
  if (in_the_way != Refusal::kNone) return name_of(in_the_way);
  if (flow.state == flows::OffloadState::kWaiting)
    return name_of(static_cast<Refusal>(flow.reason));
  const bool is_open = r.original.protocol != packet::kProtoTcp ||
                       r.tcp_state == flows::TcpState::kEstablished ||
                       r.tcp_state == flows::TcpState::kHalfClosed;
  return name_of(is_open ? NotAsked::few_packets : NotAsked::not_established);
}

std::string PathTexts::text(const FlowRecord& r, flows::Direction direction) const {
  const flows::FlowOffload& flow = r.offload[static_cast<std::size_t>(direction)];
  if (has_card_ && flow.state == flows::OffloadState::kHardware) return "hardware";
  if (has_card_ && flow.state == flows::OffloadState::kPending) return "pending";
  return fmt::format("software ({})", reason(r, flow));
}

std::vector<FlowRecord> stuck_flows(Controller& c, const FlowFilter& filter) {
  std::vector<FlowRecord> records;
  if (c.offload() == nullptr) return records;
  for (const offload::Rule& rule : c.offload()->stuck_rules()) {
    FlowRecord r;
    r.family = rule.before.source.family();
    r.original.source = rule.before.source;
    r.original.destination = rule.before.destination;
    r.original.source_port = rule.before.source_port;
    r.original.destination_port = rule.before.destination_port;
    r.original.protocol = rule.protocol;
    r.leaving = r.original;
    r.eni = rule.eni;
    r.is_stuck_on_card = true;
    if (filter.matches(r)) records.push_back(r);
  }
  return records;
}

Json stuck_rules(Controller& c) {
  Json rows = Json::array();
  if (c.offload() == nullptr) return rows;
  for (const offload::Rule& rule : c.offload()->stuck_rules()) {
    rows.push_back(fmt::format("{}:{} > {}:{}", gannet::to_string(rule.before.source),
                               rule.before.source_port, gannet::to_string(rule.before.destination),
                               rule.before.destination_port));
  }
  return rows;
}

}  // namespace gannet::control
