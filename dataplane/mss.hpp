// SPDX-License-Identifier: BSD-3-Clause
// The maximum segment size that a TCP endpoint announces (RFC 9293, 3.7.1), lowered to what the
// path carries: for tenants whose firewalls drop the ICMP errors of path MTU discovery. SYNs never
// take the flow table, so it costs the slow path alone. Stateless; any worker.
#pragma once

#include <cstdint>

namespace gannet::dataplane {

/// Lowers the MSS option of a SYN or SYN-ACK to `most`, checksum included. Without the option, or
/// with a broken one, nothing is changed: the peer then takes 536 bytes, or 1,220.
/// \param header_bytes of the TCP header with its options, all of which are there.
void clamp_mss(std::uint8_t* tcp, unsigned header_bytes, std::uint16_t most);

}  // namespace gannet::dataplane
