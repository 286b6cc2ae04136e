// SPDX-License-Identifier: BSD-3-Clause
// Packet tests: text files of steps, one a line. docs/packet-tests.md describes them in full.
//
//   title: a VM that nobody maps is not reached
//   covers: V5 E2
//   policy: base
//   let m1 = 02:00:0a:0a:01:0b
//   send vm1: eth m1 > gw / ip 10.10.1.11 > 10.10.2.99 / udp 1000 > 53 / data 10
//   drop no_mapping
//   connections 0
//
// After each group of sends, and after each step that changes something, everything that came out
// must have been expected, and every drop that was counted must have been named. At the end packets
// in = packets out + drops for every port, and no packet buffer is left over.
#pragma once

#include "flows/base/result.hpp"

#include <string>
#include <utility>
#include <vector>

namespace gannet::test {

struct Step {
  enum class Kind {
    kSend,
    kNoise,
    kExpect,
    kDrop,
    kConnections,
    kMappings,
    kFast,
    kDistinct,
    kBetween,
    kSpread,
    kAdvance,
    kApply,
    kChange,
    kChangeUnswept,
    kRefuse,
    kBackend
  } kind;
  unsigned line = 0;
  std::string port;  // kSend, kExpect. kRefuse: the diagnostic's slug.
  std::string text;  // Packet, reason, policy, duration, change.
  std::string how;   // kSend: how the frame lies in memory, and what the card says of it.
  std::uint64_t count = 1;
};

struct Script {
  std::string file;
  std::string title;
  std::vector<std::string> covers;
  std::string policy;
  std::vector<std::string> changes;  // `with`: OLD => NEW.
  std::string host_yaml;
  std::string card_host_yaml;  // The same, where there is a card.
  bool is_for_card = true;     // Software and card are known to differ: tests/card has the case.
  std::string underlay;
  std::vector<std::pair<std::string, std::string>> words;      // `let`.
  std::vector<std::pair<std::string, std::string>> neighbors;  // Address, MAC.
  std::vector<Step> steps;
  unsigned mtu = 1'600;
  unsigned connections = 1'000;  // Capacity of each worker.
  unsigned least_workers = 1;
};

/// \return the file's cases, or "file:line: what is wrong".
[[nodiscard]] Result<std::vector<Script>> read_scripts(const std::string& path);

/// What a case is run on.
struct ScriptBench {
  unsigned worker_count = 1;
  std::string card;                      // Devargs of an emulated card; empty: none.
  unsigned failing_inserts_percent = 0;  // Of its rules.
};

/// Runs a case. A `fast` step is not looked at with a card, which takes some of those packets.
/// \return nothing, or what did not come out as promised.
[[nodiscard]] Result<void> run_script(const Script& script, const std::string& policies,
                                      const ScriptBench& on);

}  // namespace gannet::test
