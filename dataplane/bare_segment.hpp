// SPDX-License-Identifier: BSD-3-Clause
// TCP segments that the switch itself sends: without options or data, in a plain IP packet. Probes
// of backends are made of them, and the resets by which connections are rejected. Stateless; any
// thread.
#pragma once

#include "dataplane/frame.hpp"
#include "dataplane/tuple.hpp"
#include "flows/packet/parse.hpp"
#include "flows/tcp.hpp"

#include <cstddef>
#include <cstdint>

namespace gannet::dataplane {

struct BareSegment {
  IpTuple tuple;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
};

/// Bytes of the packet of such a segment, without Ethernet.
[[nodiscard]] std::size_t segment_bytes(Family family);
/// Writes the packet, checksums included. \param ip room for segment_bytes().
void write_segment(std::uint8_t* ip, const BareSegment& segment);

/// Turns the frame of a TCP segment into the reset that a closed port would answer (RFC 9293,
/// 3.10.7.1), MACs turned round. \param tuple of the frame's packet. \return false if the frame is
/// too short.
[[nodiscard]] bool make_reset(Frame& frame, const packet::Parsed& parsed, const IpTuple& tuple,
                              const flows::TcpSegment& segment);

}  // namespace gannet::dataplane
