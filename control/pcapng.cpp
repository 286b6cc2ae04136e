// SPDX-License-Identifier: BSD-3-Clause
#include "control/pcapng.hpp"

namespace gannet::control {
namespace {

// Numbers are written in this host's order, which the section's magic tells readers (4.1).
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kInterfaceStatistics = 5;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint16_t kLinkEthernet = 1;

// Options (4.2, 4.3, 4.6).
constexpr std::uint16_t kEndOfOptions = 0;
constexpr std::uint16_t kIfName = 2;
constexpr std::uint16_t kIfTimeResolution = 9;
constexpr std::uint16_t kEpbFlags = 2;
constexpr std::uint16_t kShbApplication = 4;
constexpr std::uint16_t kIsbReceived = 4;
constexpr std::uint16_t kIsbDropped = 5;
constexpr std::uint32_t kInbound = 1;
constexpr std::uint32_t kOutbound = 2;

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void pad(std::string& out) { out.append((4 - out.size() % 4) % 4, '\0'); }

void put_option(std::string& out, std::uint16_t code, std::string_view value) {
  put(out, code);
  put(out, static_cast<std::uint16_t>(value.size()));
  out += value;
  pad(out);
}

template <typename T>
void put_number_option(std::string& out, std::uint16_t code, T value) {
  put_option(out, code, {reinterpret_cast<const char*>(&value), sizeof value});
}

void put_end_of_options(std::string& out) { put_option(out, kEndOfOptions, {}); }

void put_time(std::string& out, Nanos when) {
  const auto ns = static_cast<std::uint64_t>(when);
  put(out, static_cast<std::uint32_t>(ns >> 32));
  put(out, static_cast<std::uint32_t>(ns));
}

// A block has its length at both ends, so that readers can go either way.
void put_block(std::string& out, std::uint32_t type, std::string_view body) {
  const auto total = static_cast<std::uint32_t>(body.size() + 12);
  put(out, type);
  put(out, total);
  out += body;
  put(out, total);
}

}  // namespace

void pcapng_section(std::string& out, std::string_view application) {
  std::string body;
  put(body, kByteOrderMagic);
  put(body, std::uint16_t{1});  // Version 1.0.
  put(body, std::uint16_t{0});
  put(body, std::int64_t{-1});  // Of unknown length.
  put_option(body, kShbApplication, application);
  put_end_of_options(body);
  put_block(out, kSectionHeader, body);
}

void pcapng_interface(std::string& out, std::string_view name, std::uint32_t snap_bytes) {
  std::string body;
  put(body, kLinkEthernet);
  put(body, std::uint16_t{0});
  put(body, snap_bytes);
  put_option(body, kIfName, name);
  put_number_option(body, kIfTimeResolution, std::uint8_t{9});  // Nanoseconds.
  put_end_of_options(body);
  put_block(out, kInterfaceDescription, body);
}

void pcapng_packet(std::string& out, const PcapngPacket& packet) {
  std::string body;
  put(body, packet.interface);
  put_time(body, packet.when);
  put(body, static_cast<std::uint32_t>(packet.kept.size()));
  put(body, packet.frame_bytes);
  body.append(reinterpret_cast<const char*>(packet.kept.data()), packet.kept.size());
  pad(body);
  put_number_option(body, kEpbFlags, packet.is_outbound ? kOutbound : kInbound);
  put_end_of_options(body);
  put_block(out, kEnhancedPacket, body);
}

void pcapng_statistics(std::string& out, std::uint32_t interface, Nanos when, std::uint64_t seen,
                       std::uint64_t missed) {
  std::string body;
  put(body, interface);
  put_time(body, when);
  put_number_option(body, kIsbReceived, seen);
  put_number_option(body, kIsbDropped, missed);
  put_end_of_options(body);
  put_block(out, kInterfaceStatistics, body);
}

}  // namespace gannet::control
