// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/anti_spoof.hpp"

namespace gannet::dataplane {

DropReason AntiSpoof::judge_addresses(const IpTuple& tuple) noexcept {
  const IpAddress& source = tuple.source;
  const IpAddress& destination = tuple.destination;
  if (destination.is_multicast()) return DropReason::multicast;
  if (destination.is_v4() && destination.v4().is_broadcast()) return DropReason::multicast;
  if (source.is_multicast() || source.is_loopback() || source.is_zero()) return DropReason::martian;
  if (source == destination) return DropReason::martian;
  if (destination.is_loopback() || destination.is_zero()) return DropReason::martian;
  if (source.is_v4() && source.v4().is_broadcast()) return DropReason::martian;
  return DropReason::kNone;
}

DropReason AntiSpoof::judge(FirstPacket& first) noexcept {
  first.note(Step::kAntiSpoof, first.in.zone.index);
  return first.sender().has_ip(first.original.source) ? DropReason::kNone : DropReason::spoofed_ip;
}

}  // namespace gannet::dataplane
