// SPDX-License-Identifier: BSD-3-Clause
// A rule's watch: what its packets look like when the card has done all that it should with them.
// Standing in the table of the port by which they leave, it counts those that came out right; the
// engine compares that with what the rule itself has counted. A packet that the card has lost, sent
// to another port or changed otherwise is not among them.
//
// Of the changes it sees port, MACs, tunnel headers, addresses, L4 ports and the outer TOS; not the
// TTL, which differs from packet to packet, nor checksums. A pure function; any thread.
#pragma once

#include "flows/offload/compile.hpp"

namespace gannet::offload {

void compile_watch(const Rule& rule, Pattern& pattern, Actions& actions);

}  // namespace gannet::offload
