// SPDX-License-Identifier: BSD-3-Clause
// The frames that the benchmarks send: plain UDP and TCP, replies made from what came out of the
// switch, and files of them for net_pcap.
#pragma once

#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"
#include "flows/base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace gannet::bench {

using Frame = std::vector<std::uint8_t>;

struct UdpFlow {
  Mac source_mac;
  Mac destination_mac;
  Ip4 source;
  Ip4 destination;
  std::uint16_t source_port;
  std::uint16_t destination_port;
};

/// A UDP frame of so many bytes on the wire with its FCS (which it does not carry): at least 64.
[[nodiscard]] Frame make_udp(const UdpFlow& flow, unsigned frame_bytes);

/// The size of a flow's frames in a mix: of 12 flows 7 have 64 bytes, 4 have 594, 1 has 1,518.
[[nodiscard]] unsigned imix_bytes(std::uint32_t flow);

/// A TCP segment of such a flow without payload, in the smallest frame; set_segment() finishes it.
[[nodiscard]] Frame make_tcp(const UdpFlow& flow);

/// Makes a frame that carries TCP, in a tunnel or not, this segment of its connection.
void set_segment(Frame& frame, std::uint8_t flags, std::uint32_t sequence,
                 std::uint32_t acknowledgment);

/// What the far end answers to a frame that has come out of the switch: everything turned round. In
/// a tunnel the inner frame is addressed to `receiver`, the MAC of the VM that is answered.
[[nodiscard]] Frame reply_to(const Frame& frame, const Mac& receiver);

/// Writes frames as a capture file (libpcap, microseconds, Ethernet).
[[nodiscard]] Result<void> write_pcap(const std::string& path, const std::vector<Frame>& frames);
/// Reads such a file.
[[nodiscard]] Result<std::vector<Frame>> read_pcap(const std::string& path);

}  // namespace gannet::bench
