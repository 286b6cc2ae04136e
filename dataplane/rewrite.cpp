// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/rewrite.hpp"

namespace gannet::dataplane {
namespace {

constexpr std::uint8_t kDrop = 0xff;
// [inner][outer], both 00 Not-ECT, 01 ECT(1), 10 ECT(0), 11 CE: RFC 6040, figure 4.
constexpr std::uint8_t kEcn[4][4] = {
    {0b00, 0b00, 0b00, kDrop},
    {0b01, 0b01, 0b01, 0b11},
    {0b10, 0b01, 0b10, 0b11},
    {0b11, 0b11, 0b11, 0b11},
};

}  // namespace

bool decapsulate_ecn(std::uint8_t outer_tos, std::uint8_t* inner_ip, bool is_v4) {
  // The first two bytes hold version, header length or half the traffic class, and TOS: in IPv6 the
  // ECN bits are bits 4 and 5 of the second byte.
  const unsigned shift = is_v4 ? 0 : 4;
  const unsigned inner = (unsigned{inner_ip[1]} >> shift) & 3;
  const std::uint8_t ecn = kEcn[inner][outer_tos & 3];
  if (ecn == kDrop) return false;
  if (ecn == inner) return true;
  const Be16 before = load<Be16>(inner_ip);
  inner_ip[1] = static_cast<std::uint8_t>((inner_ip[1] & ~(3u << shift)) | unsigned{ecn} << shift);
  if (is_v4) {
    packet::ChecksumDelta delta;
    delta.replace(before, load<Be16>(inner_ip));
    auto& ip = packet::header_at<packet::Ipv4Header>(inner_ip);
    ip.checksum = packet::update(ip.checksum, delta.folded());
  }
  return true;
}

}  // namespace gannet::dataplane
