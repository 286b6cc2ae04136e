// SPDX-License-Identifier: BSD-3-Clause
// A packet test: a text file of steps, one a line; `\` at the end of a line goes on with the next.
//
//   title: a VM reaches a VM behind a tunnel     what it promises
//   covers: V1 V7 R26                            requirements, for docs/conformance.md
//   policy: base                                 policies/base.yaml; its ENIs' ports are the ports
//   host: timers: {udp: 5s}                      a line of the host configuration
//   let r20 = 02:00:0a:0a:02:14                  a name
//   neighbor 192.0.2.12 02:00:00:00:00:12        who answers ARP on the underlay
//   send vm1: eth vm1 > gw / ip ...              a packet arrives; "send vm1 x5:" five times
//   expect uplink: eth ...                       and exactly this comes out of a port, in this
//   order drop no_route 2                              and these drops are counted connections 1
//   and so many connections are there advance 5s                                   time moves apply
//   locked                                 policies/locked.yaml comes into force fast 3 so many
//   packets took the flow table since last asked
//
// After each group of sends (and each advance and apply), everything that came out must have been
// expected, and every drop that was counted must have been named. At the end packets in = packets
// out + drops for every port.
#pragma once

#include "flows/base/result.hpp"

#include <string>
#include <vector>

namespace gannet::test {

struct Step {
  enum class Kind { kSend, kExpect, kDrop, kConnections, kAdvance, kApply, kFast } kind;
  unsigned line = 0;
  std::string port;  // kSend, kExpect.
  std::string text;  // Packet, reason, policy, duration.
  std::uint64_t count = 1;
};

struct Script {
  std::string file;
  std::string title;
  std::vector<std::string> covers;
  std::string policy;
  std::string host_yaml;
  std::vector<std::pair<std::string, std::string>> words;      // `let`.
  std::vector<std::pair<std::string, std::string>> neighbors;  // Address, MAC.
  std::vector<Step> steps;
  unsigned mtu = 1'600;
  unsigned connections = 1'000;  // Capacity.
};

/// \return the script, or "file:line: what is wrong".
[[nodiscard]] Result<Script> read_script(const std::string& path);

/// Runs it on a switch with so many workers. \return nothing, or what did not come out as promised.
[[nodiscard]] Result<void> run_script(const Script& script, const std::string& policies,
                                      unsigned worker_count);

}  // namespace gannet::test
