// SPDX-License-Identifier: BSD-3-Clause
// What a bench's switch and its card have counted.
#include "flows/base/check.hpp"
#include "flows/emudpu/rte_pmd_emudpu.h"
#include "tests/packet/bench_switch.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace gannet::test {

std::map<std::string, std::uint64_t> BenchSwitch::drops() const {
  std::map<std::string, std::uint64_t> totals;
  for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
    for (const auto& port : dataplane_->worker(w).stats().ports) {
      for (std::size_t r = 1; r < dataplane::kDropReasonCount; ++r) {
        const auto reason = static_cast<dataplane::DropReason>(r);
        const std::uint64_t count = port.drops[r].read();
        if (count == 0 || reason == dataplane::DropReason::consumed) continue;
        totals[std::string(dataplane::name_of(reason))] += count;
      }
    }
  }
  return totals;
}

std::uint64_t BenchSwitch::connection_count() const {
  std::uint64_t count = 0;
  for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
    count += dataplane_->worker(w).connections().connection_total();
  }
  return count;
}

std::uint64_t BenchSwitch::mapping_count() const {
  std::uint64_t count = 0;
  for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
    count += dataplane_->worker(w).connections().mappings().used_count();
  }
  return count;
}

std::uint64_t BenchSwitch::fast_count() const {
  std::uint64_t count = 0;
  for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
    count += dataplane_->worker(w).stats().path.fast_packets.read();
  }
  return count;
}

std::uint64_t BenchSwitch::card_count() const {
  std::uint64_t count = 0;
  for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
    count += dataplane_->worker(w).stats().path.card_packets.read();
  }
  return count;
}

std::string BenchSwitch::miscounted() {
  if (offload_ == nullptr) return {};
  offload_->set_enabled(false);
  run();
  std::string text;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
      const auto& p = dataplane_->worker(w).stats().ports[i];
      in += p.rx_packets.read() + p.card_rx_packets.read();
      out += p.tx_packets.read() + p.card_tx_packets.read();
    }
    if (in != ports_[i].sent || out != ports_[i].received) {
      text += fmt::format("    port {}: {} in and {} out on the wire, {} and {} counted\n",
                          ports_[i].name, ports_[i].sent, ports_[i].received, in, out);
    }
  }
  const offload::EngineStats stats = offload_->status().stats;
  if (stats.orphans + stats.lost != 0) {
    text += fmt::format("    {} orphans, {} lost rules\n", stats.orphans, stats.lost);
  }
  return text;
}

void BenchSwitch::set_card_fault(const std::string& name, const std::string& value) {
  GANNET_CHECK(rte_pmd_emudpu_fault(card_->name().c_str(), name.c_str(), value.c_str()) == 0);
}

void BenchSwitch::reset_card() { GANNET_CHECK(rte_pmd_emudpu_reset(card_->name().c_str()) == 0); }

std::string BenchSwitch::unbalanced() const {
  std::string text;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
      const auto& p = dataplane_->worker(w).stats().ports[i];
      in += p.rx_packets.read() + p.originated_packets.read();
      out += p.forwarded_packets.read();
      for (const auto& drop : p.drops) out += drop.read();
    }
    if (in != out) {
      text += fmt::format("    port {}: {} in, {} out and dropped\n", ports_[i].name, in, out);
    }
  }
  return text + unlogged();
}

// The drops of connection tracking that do not appear among the last drops.
std::string BenchSwitch::unlogged() const {
  using dataplane::DropReason;
  std::string text;
  for (const DropReason reason : {DropReason::tcp_out_of_window, DropReason::tcp_invalid_flags}) {
    std::uint64_t counted = 0;
    std::uint64_t logged = 0;
    bool is_complete = true;
    for (unsigned w = 0; w < dataplane_->worker_count(); ++w) {
      const dataplane::DropLog& log = dataplane_->worker(w).drop_log();
      is_complete &= log.written() <= dataplane::DropLog::kCapacity;
      for (std::uint64_t i = 0; i < std::min<std::uint64_t>(log.written(), log.kCapacity); ++i) {
        logged += log.at(i).reason == reason;
      }
      for (const auto& port : dataplane_->worker(w).stats().ports) {
        counted += port.drops[static_cast<std::size_t>(reason)].read();
      }
    }
    if (!is_complete || counted == logged) continue;
    text += fmt::format("    {}: {} counted, {} among the last drops\n", dataplane::name_of(reason),
                        counted, logged);
  }
  return text;
}

}  // namespace gannet::test
