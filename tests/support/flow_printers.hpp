// SPDX-License-Identifier: BSD-3-Clause
// Names of enumerations of flows/, so that a failing test says "kSynSent" and not a number.
#pragma once

#include "flows/packet/parse.hpp"
#include "flows/tcp.hpp"

#include <ostream>

namespace gannet::packet {

inline void PrintTo(ParseError error, std::ostream* out) {
  static constexpr const char* kNames[] = {
      "kNone",        "kRunt",        "kNotEthernet2",       "kTruncated",    "kBadIpHeader",
      "kBadIpLength", "kBadL4Header", "kBadExtensionHeader", "kTinyFragment", "kBadFragment"};
  *out << kNames[static_cast<int>(error)];
}

}  // namespace gannet::packet

namespace gannet::flows {

inline void PrintTo(TcpState state, std::ostream* out) {
  static constexpr const char* kNames[] = {"kNone",        "kSynSent",     "kSimultaneousOpen",
                                           "kSynReceived", "kEstablished", "kHalfClosed",
                                           "kClosing",     "kClosed"};
  *out << kNames[static_cast<int>(state)];
}

inline void PrintTo(TcpVerdict verdict, std::ostream* out) {
  static constexpr const char* kNames[] = {"kPass", "kPassUntracked", "kRestart", "kInvalidFlags",
                                           "kOutOfWindow"};
  *out << kNames[static_cast<int>(verdict)];
}

}  // namespace gannet::flows
