// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/packet_text.hpp"

#include "flows/packet/parse.hpp"
#include "tests/packet/packet_layers.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gannet::test {
namespace {

std::string hex_dump(const Bytes& bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 16) {
    out += fmt::format("      {:04x} ", i);
    for (std::size_t j = i; j < std::min(i + 16, bytes.size()); ++j) {
      out += fmt::format(" {:02x}", bytes[j]);
    }
    out += '\n';
  }
  return out;
}

std::string difference(const Bytes& expected, const Bytes& actual) {
  std::vector<std::string> places;
  for (std::size_t i = 0; i < std::min(expected.size(), actual.size()); ++i) {
    if (expected[i] != actual[i]) {
      places.push_back(fmt::format("{}: {:02x} is {:02x}", i, expected[i], actual[i]));
    }
  }
  std::string text;
  if (expected.size() != actual.size()) {
    text = fmt::format("    {} bytes expected, {} came\n", expected.size(), actual.size());
  }
  if (places.size() > 12) places.resize(12);
  if (!places.empty()) text += fmt::format("    at byte {}\n", fmt::join(places, ", "));
  return text + "    expected\n" + hex_dump(expected) + "    came\n" + hex_dump(actual);
}

std::string describe_ip(const Bytes& frame, const packet::Parsed& p) {
  const bool is_v4 = p.l3 == packet::L3::kIpv4;
  const std::uint8_t* const ip = frame.data() + p.l3_offset;
  const IpAddress source = is_v4 ? IpAddress(packet::header_at<packet::Ipv4Header>(ip).source)
                                 : IpAddress(packet::header_at<packet::Ipv6Header>(ip).source);
  const IpAddress destination =
      is_v4 ? IpAddress(packet::header_at<packet::Ipv4Header>(ip).destination)
            : IpAddress(packet::header_at<packet::Ipv6Header>(ip).destination);
  std::string text =
      fmt::format("ip {} > {} ttl={} proto {} ports {} > {}", to_string(source),
                  to_string(destination), p.ttl, p.protocol, p.source_port, p.destination_port);
  if (p.is_fragment) text += fmt::format(" fragment {} id {}", p.fragment_offset, p.fragment_id);
  if (p.protocol == packet::kProtoTcp) text += fmt::format(" flags {:02x}", p.tcp_flags);
  return text;
}

}  // namespace

Result<Bytes> build_packet(std::string_view text, const Vocabulary& vocabulary) {
  try {
    return LayerBuilder(vocabulary, false).build(text);
  } catch (const TextError& error) {
    return fail(error.message);
  }
}

Result<void> match_packet(std::string_view text, const Bytes& actual, Vocabulary& vocabulary) {
  try {
    LayerBuilder sketch(vocabulary, true);
    static_cast<void>(sketch.build(text));
    Vocabulary bound = vocabulary;
    for (const Unknown& unknown : sketch.unknowns()) {
      if (unknown.offset + 2 > actual.size()) continue;
      const std::uint32_t value = load<Be16>(actual.data() + unknown.offset).host();
      bound.numbers[unknown.name] = value;
    }
    const Bytes expected = LayerBuilder(bound, false).build(text);
    if (expected != actual) return fail(difference(expected, actual));
    std::erase_if(bound.numbers, [](const auto& entry) { return entry.first.starts_with("*"); });
    vocabulary = bound;
    return {};
  } catch (const TextError& error) {
    return fail("    " + error.message + "\n");
  }
}

std::string describe_packet(const Bytes& frame) {
  packet::Parsed parsed;
  const auto error = packet::parse(frame.data(), frame.size(), parsed);
  if (error != packet::ParseError::kNone) return fmt::format("{} bytes", frame.size());
  const auto& ethernet = packet::header_at<packet::EthernetHeader>(frame.data());
  std::string text = fmt::format("{} bytes: eth {} > {}", frame.size(), to_string(ethernet.source),
                                 to_string(ethernet.destination));
  if (parsed.l3 == packet::L3::kArp) return text + " / arp";
  if (!parsed.is_ip()) return text + fmt::format(" type {:04x}", parsed.ether_type);
  text += " / " + describe_ip(frame, parsed);
  const bool is_tunnel = parsed.protocol == packet::kProtoUdp && parsed.destination_port == 4789 &&
                         parsed.l4_bytes() > 16;
  if (!is_tunnel) return text;
  const Bytes inner(frame.begin() + parsed.payload_offset + 8, frame.end());
  return text + " / vxlan / " + describe_packet(inner);
}

}  // namespace gannet::test
