// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/capture.hpp"

#include <algorithm>
#include <cstring>

#include <pcap/bpf.h>

#include <rte_mbuf.h>

namespace gannet::dataplane {

CaptureTap::CaptureTap(std::span<const std::uint16_t> ports, std::size_t port_count,
                       const bpf_insn* filter, std::uint32_t snap_bytes)
    : is_wanted_(port_count),
      filter_(filter),
      snap_bytes_(snap_bytes),
      heads_(kSlots),
      bytes_(new std::uint8_t[std::size_t{kSlots} * snap_bytes]) {
  for (const std::uint16_t port : ports) is_wanted_[port] = 1;
}

void CaptureTap::copy(std::uint16_t port, CaptureSide side, rte_mbuf* const* packets,
                      unsigned count, Nanos now) {
  std::uint64_t next = written_.load(std::memory_order_relaxed);
  const std::uint64_t end = read_.load(std::memory_order_acquire) + kSlots;
  std::uint64_t missed = 0;
  for (unsigned i = 0; i < count; ++i) {
    const rte_mbuf& packet = *packets[i];
    const auto* const bytes = rte_pktmbuf_mtod(&packet, const std::uint8_t*);
    // Of a packet in several segments only the first is looked at, and kept.
    if (filter_ != nullptr && bpf_filter(filter_, bytes, packet.pkt_len, packet.data_len) == 0) {
      continue;
    }
    if (next == end) {
      ++missed;
      continue;
    }
    const std::uint32_t kept = std::min<std::uint32_t>(packet.data_len, snap_bytes_);
    heads_[next % kSlots] = {now, packet.pkt_len, kept, port, side};
    std::memcpy(bytes_.get() + (next % kSlots) * snap_bytes_, bytes, kept);
    ++next;
  }
  written_.store(next, std::memory_order_release);
  if (missed != 0)
    missed_.store(missed_.load(std::memory_order_relaxed) + missed, std::memory_order_relaxed);
}

}  // namespace gannet::dataplane
