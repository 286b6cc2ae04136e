// SPDX-License-Identifier: BSD-3-Clause
// Frames that have been damaged on the way, the same ones in every run.
#pragma once

#include "tests/support/packet_builder.hpp"

#include <cstdint>

namespace gannet::test {

class Noise final {
 public:
  explicit Noise(std::uint64_t seed) : state_(seed * 2 + 1) {}

  /// Some bytes changed, mostly in the headers; sometimes cut short or made longer.
  void damage(Bytes& frame) {
    const unsigned changes = 1 + below(4);
    for (unsigned i = 0; i < changes && !frame.empty(); ++i) {
      const bool is_header = below(8) != 0;
      const auto reach = static_cast<unsigned>(is_header && frame.size() > 60 ? 60 : frame.size());
      std::uint8_t& byte = frame[below(reach)];
      // Single bits, the ends of the range, and anything.
      switch (below(4)) {
        case 0: byte = static_cast<std::uint8_t>(byte ^ 1u << below(8)); break;
        case 1: byte = below(2) == 0 ? std::uint8_t{0} : std::uint8_t{0xff}; break;
        default: byte = static_cast<std::uint8_t>(below(256)); break;
      }
    }
    if (below(8) == 0) frame.resize(below(static_cast<unsigned>(frame.size()) + 1));
    if (below(16) == 0) frame.resize(frame.size() + below(64), 0xa5);
  }

 private:
  unsigned below(unsigned limit) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator.
    return static_cast<unsigned>((state_ >> 33) % limit);
  }

  std::uint64_t state_;
};

}  // namespace gannet::test
