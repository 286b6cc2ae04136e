// SPDX-License-Identifier: BSD-3-Clause
// A token bucket of nanosecond resolution: `rate` tokens a second, at most `burst` worth saved up.
// Owned by one worker; a call costs a few nanoseconds.
#pragma once

#include "flows/base/time.hpp"

#include <algorithm>
#include <cstdint>

namespace gannet::dataplane {

class TokenBucket {
 public:
  /// Takes `cost` tokens if they are there. A rate of 0 is no limit. The bucket starts full.
  [[nodiscard]] bool take(std::uint64_t rate, std::uint64_t cost, Nanos now,
                          Nanos burst = kNanosPerSecond) {
    if (rate == 0) return true;
    // What is saved is kept as time: `cost` tokens are worth cost / rate seconds.
    const auto price =
        static_cast<Nanos>(static_cast<unsigned __int128>(cost) * kNanosPerSecond / rate);
    if (!is_started_ || now - paid_until_ > burst) {
      paid_until_ = now - std::min(now, burst);
      is_started_ = true;
    }
    // Everything up to `now` may be spent, no more.
    if (paid_until_ + price > now) return false;
    paid_until_ += price;
    return true;
  }

 private:
  Nanos paid_until_ = 0;  // Time up to which tokens have been spent; never beyond the present.
  bool is_started_ = false;
};

}  // namespace gannet::dataplane
