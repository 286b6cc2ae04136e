// SPDX-License-Identifier: BSD-3-Clause
#include "flows/action.hpp"

#include "flows/packet/checksum.hpp"

namespace gannet::flows {
namespace {

// The part of L4 that its checksum covers and the action changes. For an ICMP query that is the
// identifier alone: there is no pseudo header, and the type in destination_port never changes.
template <typename Ip>
packet::ChecksumDelta l4_change(const Tuple<Ip>& before, const Tuple<Ip>& after,
                                std::uint8_t protocol) {
  packet::ChecksumDelta delta;
  if (protocol != packet::kProtoIcmp) {
    delta.replace(before.source, after.source);
    delta.replace(before.destination, after.destination);
  }
  delta.replace(before.source_port, after.source_port);
  delta.replace(before.destination_port, after.destination_port);
  return delta;
}

}  // namespace

void compute_deltas(Action<Ip4>& action, std::uint8_t protocol, const Ip4Tuple& before) {
  packet::ChecksumDelta ip;
  ip.replace(before.source, action.tuple.source);
  ip.replace(before.destination, action.tuple.destination);
  // TTL is the high byte of its word: a decrement is the same change for every value.
  if ((action.flags & kDecrementTtl) != 0) ip.replace(Be16(0x0200), Be16(0x0100));
  action.ip_delta = ip.folded();
  action.l4_delta = l4_change(before, action.tuple, protocol).folded();
}

void compute_deltas(Action<Ip6>& action, std::uint8_t protocol, const Ip6Tuple& before) {
  action.ip_delta = 0;
  action.l4_delta = l4_change(before, action.tuple, protocol).folded();
}

}  // namespace gannet::flows
