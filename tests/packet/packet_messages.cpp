// SPDX-License-Identifier: BSD-3-Clause
// The part of LayerBuilder that writes whole messages (ND, DHCP) and that changes finished packets.
#include "tests/packet/packet_layers.hpp"
#include "tests/support/checksum_model.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace gannet::test {
namespace {

constexpr std::size_t kDhcpBytes = 300;  // RFC 951, 3: no message is shorter.

template <typename T>
void put(Bytes& bytes, std::size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

void put_bytes(Bytes& bytes, std::size_t offset, const Bytes& value) {
  if (offset + value.size() > bytes.size()) throw TextError{"set reaches beyond the frame"};
  std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

void LayerBuilder::append(Bytes bytes) {
  offset_ += bytes.size();
  packet_.data(std::move(bytes));
}

// TARGET [lla=MAC]
void LayerBuilder::add_neighbor_message(std::uint8_t type, std::uint16_t flags, Words& words,
                                        std::uint8_t option) {
  const auto link_address = take(words, "lla");
  const Ip6 target = ip6(take_first(words, "a target"));
  packet_.icmp(type, 0, flags, 0);
  offset_ += 8;
  Bytes bytes(16);
  put(bytes, 0, target);
  if (link_address) {
    bytes.resize(24);
    bytes[16] = option;
    bytes[17] = 1;
    put(bytes, 18, mac(*link_address));
  }
  append(std::move(bytes));
}

// ns TARGET [lla=MAC]
void LayerBuilder::add_solicitation(Words& words) {
  add_neighbor_message(packet::kIcmp6NeighborSolicitation, 0, words, packet::kNdSourceLinkAddress);
}

// na TARGET [router] [lla=MAC]: solicited, overriding.
void LayerBuilder::add_advertisement(Words& words) {
  const bool is_router = take_flag(words, "router");
  add_neighbor_message(packet::kIcmp6NeighborAdvertisement,
                       is_router ? std::uint16_t{0xe000} : std::uint16_t{0x6000}, words,
                       packet::kNdTargetLinkAddress);
}

// dhcp request|reply MAC [xid=N] [flags=N] [ci=IP] [yi=IP] [si=IP] options=HEX: padded to 300
// bytes.
void LayerBuilder::add_dhcp(Words& words) {
  Bytes bytes(sizeof(packet::DhcpHeader));
  const auto address = [&](std::string_view key) {
    const auto value = take(words, key);
    return value ? ip4(*value) : Ip4(0, 0, 0, 0);
  };
  packet::DhcpHeader dhcp{};
  dhcp.transaction = Be32(number(take(words, "xid").value_or("1")));
  dhcp.flags = Be16(number16(take(words, "flags").value_or("0")));
  dhcp.client_ip = address("ci");
  dhcp.your_ip = address("yi");
  dhcp.server_ip = address("si");
  const Bytes options = from_hex(take(words, "options").value_or(""));
  dhcp.operation = take_first(words, "request or reply") == "request" ? 1 : 2;
  dhcp.client_mac = mac(take_first(words, "the client's MAC"));
  dhcp.hardware_type = 1;
  dhcp.hardware_bytes = 6;
  dhcp.magic = Be32(0x6382'5363);
  put(bytes, 0, dhcp);
  bytes.insert(bytes.end(), options.begin(), options.end());
  if (bytes.size() < kDhcpBytes) bytes.resize(kDhcpBytes);
  append(std::move(bytes));
}

void LayerBuilder::add_trailer(Words& words) {
  packet_.trailer(number(take_first(words, "a length")));
}

// quote [N]: the layers that follow are a packet of their own, of which N bytes are quoted.
void LayerBuilder::add_quote(Words& words) {
  takes_rest_ = true;
  if (!words.empty()) rest_bytes_ = number(take_first(words, ""));
}

// set OFFSET=HEX ...: these bytes, whatever the layers say.
void LayerBuilder::add_set(Words& words) {
  for (const std::string_view word : words) {
    const auto pair = split(word, "=");
    if (pair.size() != 2) throw TextError{"set takes OFFSET=HEX"};
    const std::size_t offset = number(pair[0]);
    afterwards_.emplace_back(
        [offset, value = from_hex(pair[1])](Bytes& bytes) { put_bytes(bytes, offset, value); });
  }
  words.clear();
}

// cut N: only the first N bytes.
void LayerBuilder::add_cut(Words& words) {
  const std::size_t size = number(take_first(words, "a length"));
  afterwards_.emplace_back([size](Bytes& bytes) { bytes.resize(std::min(size, bytes.size())); });
}

// slice FROM TO [id=N] [more|last]: the fragment that carries these bytes of the IP payload.
void LayerBuilder::add_slice(Words& words) {
  FragmentFields fields;
  // Of IPv4 it may be unknown: its place is that in the IP header.
  constexpr std::size_t kPlace = 4;
  fields.id = number(take(words, "id").value_or("0"),
                     kPlace + (has_eth_ ? sizeof(packet::EthernetHeader) : 0));
  fields.says_more = take_flag(words, "more");
  fields.says_last = take_flag(words, "last");
  fields.from = number(take_first(words, "where the fragment begins"));
  fields.to = number(take_first(words, "where the fragment ends"));
  // A quoted packet has no Ethernet header.
  const std::size_t missing = has_eth_ ? 0 : sizeof(packet::EthernetHeader);
  afterwards_.emplace_back([fields, missing](Bytes& bytes) {
    bytes.insert(bytes.begin(), missing, 0);
    bytes = fragment_of(bytes, fields);
    bytes.erase(bytes.begin(),
                bytes.begin() + static_cast<std::ptrdiff_t>(std::min(missing, bytes.size())));
    if (bytes.empty()) throw TextError{"slice takes bytes that are there, of a plain frame"};
  });
}

void LayerBuilder::spoil_checksum(std::size_t offset) {
  afterwards_.emplace_back([offset](Bytes& bytes) {
    if (offset + 2 > bytes.size()) throw TextError{"no checksum to spoil"};
    bytes[offset] ^= 0x55;
    // A UDP checksum of zero would be none.
    if (bytes[offset] == 0 && bytes[offset + 1] == 0) bytes[offset + 1] = 1;
  });
}

void LayerBuilder::set_ip_length(std::size_t header_bytes, std::uint16_t length) {
  const bool is_v4 = is_v4_;
  const std::size_t at = offset_;
  afterwards_.emplace_back([=](Bytes& bytes) {
    put_bytes(bytes, at + (is_v4 ? 2 : 4),
              {static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)});
    if (!is_v4) return;
    put_bytes(bytes, at + 10, {0, 0});
    const auto sum =
        static_cast<std::uint16_t>(~model_sum(std::span(bytes).subspan(at, header_bytes)));
    put(bytes, at + 10, Be16(sum));
  });
}

void LayerBuilder::set_udp_length(std::uint16_t length) {
  const std::size_t at = offset_ + 4;
  afterwards_.emplace_back([at, length](Bytes& bytes) {
    put_bytes(bytes, at,
              {static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)});
  });
}

}  // namespace gannet::test
