// SPDX-License-Identifier: BSD-3-Clause
// A packet's bytes as the slow path handles them: contiguous, with room before and behind. The
// worker makes one from an mbuf and puts the changes back. Free of DPDK, so that everything above
// it can be tested with plain memory. A value that points into a buffer which somebody else owns.
#pragma once

#include "flows/base/check.hpp"
#include "flows/packet/headers.hpp"

#include <cstdint>

namespace gannet::dataplane {

struct Frame {
  std::uint8_t* data = nullptr;
  std::uint32_t size = 0;
  std::uint32_t headroom = 0;  // Writable bytes before data.
  std::uint32_t tailroom = 0;  // Writable bytes behind data + size.

  /// Takes bytes off the front; the caller has checked that they are there.
  void pull(std::uint32_t bytes) {
    GANNET_DCHECK(bytes <= size);
    data += bytes;
    size -= bytes;
    headroom += bytes;
  }
  /// Puts uninitialised bytes before the front. \return false if there is no room.
  [[nodiscard]] bool push(std::uint32_t bytes) {
    if (bytes > headroom) return false;
    data -= bytes;
    size += bytes;
    headroom -= bytes;
    return true;
  }
  /// Cuts or grows the end; new bytes are uninitialised. \return false if there is no room.
  [[nodiscard]] bool resize(std::uint32_t bytes) {
    if (bytes > size + tailroom) return false;
    tailroom = size + tailroom - bytes;
    size = bytes;
    return true;
  }

  [[nodiscard]] packet::EthernetHeader& ethernet() const {
    return packet::header_at<packet::EthernetHeader>(data);
  }
};

}  // namespace gannet::dataplane
