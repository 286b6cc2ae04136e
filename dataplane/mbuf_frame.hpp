// SPDX-License-Identifier: BSD-3-Clause
// A frame as the slow path has it, of an mbuf of one segment, and back.
#pragma once

#include "dataplane/frame.hpp"

#include <cstdint>

#include <rte_mbuf.h>

namespace gannet::dataplane {

inline Frame frame_of(rte_mbuf* packet) {
  return {rte_pktmbuf_mtod(packet, std::uint8_t*), packet->data_len, packet->data_off,
          rte_pktmbuf_tailroom(packet)};
}

/// Puts a frame's bounds back into its mbuf.
inline void commit(rte_mbuf* packet, const Frame& frame) {
  packet->data_off =
      static_cast<std::uint16_t>(frame.data - static_cast<std::uint8_t*>(packet->buf_addr));
  packet->data_len = static_cast<std::uint16_t>(frame.size);
  packet->pkt_len = frame.size;
}

}  // namespace gannet::dataplane
