// SPDX-License-Identifier: BSD-3-Clause
// Packet tests: text files of steps, one a line; `\` at the end of a line goes on with the next,
// `#` begins a comment. A file holds one or more cases; each begins with its title and runs on a
// switch of its own. What stands before the first title belongs to all of them. docs/testing.md
// describes it in full.
//
//   title: a VM reaches a VM behind a tunnel     what it promises
//   covers: V1 V7 R26                            requirements, for docs/conformance.md
//   policy: base                                 policies/base.yaml; its ENIs' ports are the ports
//   with: mode: audit => mode: enforce           a change to that policy's text
//   host: timers: {udp: 5s}                      a line of the host configuration
//   let r20 = 02:00:0a:0a:02:14                  a name; `{name}` puts any text anywhere
//   neighbor 192.0.2.12 02:00:00:00:00:12        who answers ARP on the underlay
//   path up: vm1: PREFIX => vm2: PREFIX          where packets come in, and as what they come out
//
//   send vm1: eth vm1 > gw / ip ...              a packet arrives; "send vm1 x5:" five times
//   expect uplink: eth ...                       and exactly this comes out of a port, in this
//   order pass up: S seq=1                             a packet of a path, in and out stop up
//   no_route: S seq=1                    and one that is dropped drop no_route 2 these drops are
//   counted connections 1                                so many connections are there mappings 1
//   and NAT mappings fast 3                                       so many packets took the flow
//   table since last asked advance 5s                                   time moves apply locked
//   policies/locked.yaml comes into force change: allow => deny                        the policy
//   in force with another text, likewise refuse unknown-reference: open => opne       a change that
//   must be refused, with this diagnostic backend front/dns 10.10.2.12 5353 down       what a
//   health check finds repeat n = 1 .. 5 | a b c  ...  end          the lines between, for each
//   value of {n} define open  ...  end   and   run open       the lines between, wherever they are
//   asked for
//
// After each group of sends (and each advance and apply), everything that came out must have been
// expected, and every drop that was counted must have been named. At the end packets in = packets
// out + drops for every port, and no packet buffer is left over.
#pragma once

#include "flows/base/result.hpp"

#include <string>
#include <utility>
#include <vector>

namespace gannet::test {

struct Step {
  enum class Kind {
    kSend,
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
  std::vector<std::pair<std::string, std::string>> words;      // `let`.
  std::vector<std::pair<std::string, std::string>> neighbors;  // Address, MAC.
  std::vector<Step> steps;
  unsigned mtu = 1'600;
  unsigned connections = 1'000;  // Capacity of each worker.
};

/// \return the file's cases, or "file:line: what is wrong".
[[nodiscard]] Result<std::vector<Script>> read_scripts(const std::string& path);

/// Runs a case on a switch with so many workers. \return nothing, or what did not come out as
/// promised.
[[nodiscard]] Result<void> run_script(const Script& script, const std::string& policies,
                                      unsigned worker_count);

}  // namespace gannet::test
