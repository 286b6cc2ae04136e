// SPDX-License-Identifier: BSD-3-Clause
// The parsers of packets: nothing is read beyond the frame, what they say of it holds together, and
// the fast path's short look says the same as the full one (S8, S9).
#include "dataplane/common_shape.hpp"
#include "flows/base/check.hpp"
#include "flows/base/ip.hpp"
#include "flows/key.hpp"
#include "flows/packet/parse.hpp"
#include "tests/fuzz/entry.hpp"

#include <algorithm>
#include <memory>

namespace {

using namespace gannet;

constexpr flows::Zone kZone{flows::ZoneKind::kEni, 7};
const Ip4 kVtep = *parse_ip4("192.0.2.11");

// What must be so of every frame that was accepted.
void check_order(const packet::Parsed& p, std::size_t size) {
  GANNET_CHECK(p.l3_offset <= p.l4_offset && p.l4_offset <= p.end_offset && p.end_offset <= size);
  GANNET_CHECK(p.payload_offset >= p.l4_offset && p.payload_offset <= p.end_offset);
  GANNET_CHECK(p.vlan_tag_count <= 2);
  if (!p.is_ip()) return;
  GANNET_CHECK(!p.is_later_fragment() || !p.has_l4);
  GANNET_CHECK(!p.is_fragment || (p.fragment_start >= p.l3_offset && p.fragment_bytes() > 0));
  GANNET_CHECK(!p.is_fragment || p.fragment_offset + p.fragment_bytes() <= 65'535);
}

// A frame of the common shape is one of the full parser's too, without anything odd, and has the
// same key.
template <typename Key>
void check_common(const Key& key, const std::uint8_t* frame, packet::ParseError error,
                  const packet::Parsed& p) {
  GANNET_CHECK(error == packet::ParseError::kNone);
  GANNET_CHECK(p.has_l4 && !p.is_fragment && !p.has_options && p.vlan_tag_count == 0 && p.ttl > 1);
  const bool is_v4 = p.l3 == packet::L3::kIpv4;
  GANNET_CHECK(dataplane::common_ip_bytes(frame + p.l3_offset, is_v4) ==
               p.end_offset - p.l3_offset);
  GANNET_CHECK(key == flows::make_key<Key>(kZone, frame, p));
}

void check_frame(std::uint8_t* frame, std::uint32_t size) {
  packet::Parsed parsed;
  const auto error = packet::parse(frame, size, parsed);
  flows::Ip4Key::Words words4;
  flows::Ip6Key key6;
  const std::uint64_t zone_word = flows::Ip4Key::zone_word(kZone);
  if (dataplane::read_common_v4(frame, size, zone_word, words4)) {
    check_common(load<flows::Ip4Key>(&words4), frame, error, parsed);
  }
  if (dataplane::read_common_v6(frame, size, zone_word, key6)) {
    check_common(key6, frame, error, parsed);
  }
  if (error != packet::ParseError::kNone) return;
  check_order(parsed, size);
  if (!parsed.is_ip()) return;
  (void)packet::has_good_l4_checksum(frame, parsed);
  if (parsed.l3 == packet::L3::kIpv4) (void)packet::has_good_ipv4_checksum(frame, parsed);
  const auto type = static_cast<std::uint8_t>(parsed.destination_port >> 8);
  if (!parsed.has_l4 || !packet::is_icmp_error(parsed.protocol, type)) return;
  packet::Parsed quoted;
  if (packet::parse_quoted(frame, parsed.end_offset, parsed.payload_offset, quoted) ==
      packet::ParseError::kNone) {
    GANNET_CHECK(quoted.l3_offset == parsed.payload_offset && quoted.l4_bytes() >= 8);
    GANNET_CHECK(quoted.end_offset == parsed.end_offset && !quoted.is_later_fragment());
  }
}

void check_tunnel(std::uint8_t* frame, std::uint32_t size) {
  const dataplane::CommonTunnel tunnel(frame);
  if (size < dataplane::kMinIpv4Frame) return;
  if (!tunnel.may_lead_to({kVtep, Be16(packet::kVxlanPort)}) || !tunnel.is_plain(size)) return;
  packet::Parsed outer;
  GANNET_CHECK(packet::parse(frame, size, outer) == packet::ParseError::kNone);
  GANNET_CHECK(outer.has_l4 && !outer.is_fragment && outer.protocol == packet::kProtoUdp);
  GANNET_CHECK(outer.destination_port == packet::kVxlanPort && tunnel.tos() == outer.tos);
  GANNET_CHECK((tunnel.vni().host() & 0xff) == 0);
  GANNET_CHECK(packet::kVxlanOverIpv4Bytes + tunnel.inner_bytes() == outer.end_offset);
  check_frame(tunnel.inner_frame(), tunnel.inner_bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Frames are shorter than 64 KiB; what is longer tells nothing new.
  const auto bytes = static_cast<std::uint32_t>(std::min<std::size_t>(size, 65'535));
  const auto frame = std::make_unique<std::uint8_t[]>(bytes);
  std::copy_n(data, bytes, frame.get());
  check_frame(frame.get(), bytes);
  check_tunnel(frame.get(), bytes);
  packet::Parsed quoted;
  for (std::size_t offset = 0; offset < std::min<std::size_t>(bytes, 64); offset += 7) {
    (void)packet::parse_quoted(frame.get(), bytes, offset, quoted);
  }
  return 0;
}
