// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors (RFC 792, RFC 4443): making one about a packet, and translating one that belongs to a
// connection, the packet that it quotes included (RFC 5508, REQ-4 and 5). Stateless; any worker.
#pragma once

#include "dataplane/frame.hpp"
#include "dataplane/tuple.hpp"
#include "flows/packet/parse.hpp"

#include <cstdint>

namespace gannet::dataplane {

/// What an error is to say; v4 and v6 have their own numbers for it.
enum class IcmpProblem : std::uint8_t {
  kTtlExpired,  // 11/0, 3/0
  kTooBig,      // 3/4 with the next hop's MTU, 2/0
  kProhibited,  // 3/13, 1/1
};

/// Whether an error may be sent about a packet at all (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)): not
/// about ICMP errors, later fragments, group addresses or senders that are no single host.
[[nodiscard]] bool may_report(const Frame& frame, const packet::Parsed& parsed);

/// Turns the frame into an error about the packet that it holds, from `source` to the packet's
/// sender, MACs turned round. Quotes as much as 576 bytes (v6: 1,280) allow. \param mtu of kTooBig,
/// in bytes. \return false if the frame has not the headroom.
[[nodiscard]] bool make_icmp_error(Frame& frame, const packet::Parsed& parsed, IcmpProblem problem,
                                   const IpAddress& source, std::uint16_t mtu);

/// How an ICMP error changes when it crosses the switch: the quoted packet was `quoted_before` and
/// becomes `quoted_after`; the error's own addresses become source and destination.
struct ErrorTranslation {
  IpTuple quoted_before;
  IpTuple quoted_after;
  IpAddress source;
  IpAddress destination;
};

/// Applies it, all checksums included. \param quoted where the quoted packet lies in the frame.
void translate_icmp_error(Frame& frame, const packet::Parsed& parsed, const packet::Parsed& quoted,
                          const ErrorTranslation& translation);

}  // namespace gannet::dataplane
