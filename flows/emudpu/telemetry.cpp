// SPDX-License-Identifier: BSD-3-Clause
// Telemetry: /emudpu/list, /emudpu/card,NAME, /emudpu/tables,NAME, /emudpu/ports,NAME,
// /emudpu/fault,NAME,FAULT=VALUE[,...] and /emudpu/reset,NAME. Runs on EAL's telemetry thread.
#include "flows/emudpu/registry.hpp"

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include <rte_common.h>
#include <rte_telemetry.h>

namespace gannet::emudpu {
namespace {

void add(rte_tel_data* data, const char* name, std::uint64_t value) {
  rte_tel_data_add_dict_u64(data, name, value);
}

// Takes the text up to the next comma.
std::string_view take_word(std::string_view& text) {
  const std::size_t comma = text.find(',');
  const std::string_view word = text.substr(0, comma);
  text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  return word;
}

Card* card_of(const char* parameters) {
  std::string_view text = parameters == nullptr ? "" : parameters;
  return find_card(take_word(text));
}

int list(const char*, const char*, rte_tel_data* data) {
  rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
  for_each_card([data](const Card& card) {
    rte_tel_data_add_array_string(data, card.config().name.c_str());
  });
  return 0;
}

int show_card(const char*, const char* parameters, rte_tel_data* data) {
  Card* const card = card_of(parameters);
  if (card == nullptr) return -ENODEV;
  const std::lock_guard guard(card->lock());
  rte_tel_data_start_dict(data);
  rte_tel_data_add_dict_string(data, "profile", card->profile().name);
  add(data, "slots", card->profile().slots);
  add(data, "rules", card->rules_in_use());
  add(data, "counters", card->counters_in_use());
  add(data, "ages", card->ages_in_use());
  const RuleCounters& counters = card->rule_counters();
  add(data, "inserted", counters.inserted);
  add(data, "destroyed", counters.destroyed);
  add(data, "refused_by_check", counters.refused_by_check);
  add(data, "refused_full", counters.refused_full);
  add(data, "refused_by_fault", counters.refused_by_fault);
  add(data, "lost_by_reset", counters.lost_by_reset);
  add(data, "refused_handles", counters.refused_handles);
  add(data, "rules_without_handle", card->rules_without_handle());
  add(data, "faults_injected", card->faults().injected());
  return 0;
}

int show_tables(const char*, const char* parameters, rte_tel_data* data) {
  Card* const card = card_of(parameters);
  if (card == nullptr) return -ENODEV;
  const std::lock_guard guard(card->lock());
  rte_tel_data_start_dict(data);
  constexpr const char* kDomains[] = {"transfer", "ingress", "egress"};
  for (const auto& [name, table] : card->tables()) {
    if (table->is_empty()) continue;
    const std::string text = std::string(kDomains[name >> 48]) + "_port" +
                             std::to_string(name >> 32 & 0xffff) + "_group" +
                             std::to_string(table->group());
    add(data, (text + "_rules").c_str(), table->rule_count());
    add(data, (text + "_shapes").c_str(), table->shape_count());
  }
  return 0;
}

int show_ports(const char*, const char* parameters, rte_tel_data* data) {
  Card* const card = card_of(parameters);
  if (card == nullptr) return -ENODEV;
  rte_tel_data_start_dict(data);
  for (const auto& port : card->ports()) {
    const std::string name = port->index == 0 ? "uplink" : "vf" + std::to_string(port->index - 1);
    const WireCounters& counters = port->counters;
    add(data, (name + "_received").c_str(), counters.received.packets.load());
    add(data, (name + "_sent").c_str(), counters.sent.packets.load());
    add(data, (name + "_by_hardware").c_str(), counters.forwarded.packets.load());
    add(data, (name + "_to_software").c_str(), counters.to_software.packets.load());
  }
  return 0;
}

// Whether all words of the text are faults.
bool set_all(Faults& faults, std::string_view text) {
  while (!text.empty()) {
    const std::string_view word = take_word(text);
    const std::size_t equals = word.find('=');
    if (word == "clear") {
      faults.clear();
    } else if (equals == std::string_view::npos ||
               !faults.set(word.substr(0, equals), word.substr(equals + 1))) {
      return false;
    }
  }
  return true;
}

int set_faults(const char*, const char* parameters, rte_tel_data* data) {
  std::string_view text = parameters == nullptr ? "" : parameters;
  Card* const card = find_card(take_word(text));
  if (card == nullptr) return -ENODEV;
  const std::lock_guard guard(card->lock());
  Faults trial;  // All or nothing.
  if (!set_all(trial, text) || !set_all(card->faults(), text)) return -EINVAL;
  rte_tel_data_start_dict(data);
  add(data, "faults_injected", card->faults().injected());
  return 0;
}

int reset(const char*, const char* parameters, rte_tel_data* data) {
  Card* const card = card_of(parameters);
  if (card == nullptr) return -ENODEV;
  card->reset();
  rte_tel_data_start_dict(data);
  add(data, "lost_by_reset", card->rule_counters().lost_by_reset);
  return 0;
}

}  // namespace
}  // namespace gannet::emudpu

RTE_INIT(emudpu_telemetry_init) {
  using namespace gannet::emudpu;
  rte_telemetry_register_cmd("/emudpu/list", list, "Emulated cards. No parameters");
  rte_telemetry_register_cmd("/emudpu/card", show_card, "Rules and their fate. Parameter: card");
  rte_telemetry_register_cmd("/emudpu/tables", show_tables, "Rules by table. Parameter: card");
  rte_telemetry_register_cmd("/emudpu/ports", show_ports, "Packets by wire. Parameter: card");
  rte_telemetry_register_cmd("/emudpu/fault", set_faults,
                             "Sets faults. Parameters: card,fault=value,... or clear");
  rte_telemetry_register_cmd("/emudpu/reset", reset,
                             "Resets the card: all rules are gone. Parameter: card");
}
