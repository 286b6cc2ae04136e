// SPDX-License-Identifier: BSD-3-Clause
// Writes the blocks of a pcapng file (draft-ietf-opsawg-pcapng) into a string: a section, one
// interface for each port, packets with direction, and at the end how many were missed.
#pragma once

#include "flows/base/time.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gannet::control {

struct PcapngPacket {
  std::uint32_t interface = 0;  // In the order of pcapng_interface() calls.
  Nanos when = 0;               // Since the epoch.
  std::uint32_t frame_bytes = 0;
  bool is_outbound = false;
  std::span<const std::uint8_t> kept;
};

void pcapng_section(std::string& out, std::string_view application);
void pcapng_interface(std::string& out, std::string_view name, std::uint32_t snap_bytes);
void pcapng_packet(std::string& out, const PcapngPacket& packet);
/// \param seen packets that passed the filter. \param missed of these, not in the file.
void pcapng_statistics(std::string& out, std::uint32_t interface, Nanos when, std::uint64_t seen,
                       std::uint64_t missed);

}  // namespace gannet::control
