// SPDX-License-Identifier: BSD-3-Clause
// Says in the log what has happened to the card: that it was reset, that it did something else than
// it was told. Each thing is said when it happens first, and what comes after it at most once a
// minute, with how often. Control thread.
#pragma once

#include "control/offload_manager.hpp"
#include "flows/base/time.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace gannet::control {

class CardWatch final {
 public:
  static constexpr Nanos kPause = 60 * kNanosPerSecond;  // Between two lines about the same.

  /// What there is to say, a line each, without its end.
  [[nodiscard]] std::vector<std::string> news(const OffloadManager::Status& status, Nanos now);
  /// Says it on stderr.
  void run(OffloadManager& offload, Nanos now);

 private:
  struct Told {
    std::uint64_t count = 0;
    Nanos may_tell = 0;
  };
  static constexpr std::size_t kThings = 7;
  std::array<Told, kThings> told_{};
};

}  // namespace gannet::control
