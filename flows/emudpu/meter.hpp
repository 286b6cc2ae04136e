// SPDX-License-Identifier: BSD-3-Clause
// A single rate three colour marker (RFC 2697, colour-blind) with what to do for each colour.
#pragma once

#include "flows/base/time.hpp"
#include "flows/emudpu/rule.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace gannet::emudpu {

struct MeterProfile {
  std::uint64_t rate_bytes = 0;  // A second: the committed information rate.
  std::uint64_t committed_burst = 0;
  std::uint64_t excess_burst = 0;
  std::uint32_t users = 0;
};

struct MeterPolicy {
  bool drops[3] = {};  // By colour.
  std::uint32_t users = 0;
};

struct Meter {
  enum Color : unsigned { kGreen, kYellow, kRed };

  MeterProfile* profile = nullptr;
  MeterPolicy* policy = nullptr;
  std::uint32_t rule_count = 0;
  std::atomic<bool> is_enabled{true};
  Counter counters[3];

  /// Colours a packet. ASIC thread.
  [[nodiscard]] Color take(std::uint64_t bytes, Nanos now) {
    refill(now);
    Color color = kRed;
    if (committed_tokens_ >= bytes) {
      committed_tokens_ -= bytes;
      color = kGreen;
    } else if (excess_tokens_ >= bytes) {
      excess_tokens_ -= bytes;
      color = kYellow;
    }
    counters[color].add(1, bytes);
    return color;
  }
  void fill() {
    committed_tokens_ = profile->committed_burst;
    excess_tokens_ = profile->excess_burst;
  }

 private:
  void refill(Nanos now) {
    if (now <= refilled_at_) return;
    const auto product = static_cast<unsigned __int128>(now - refilled_at_) * profile->rate_bytes;
    const auto tokens = static_cast<std::uint64_t>(std::min<unsigned __int128>(
        product / kNanosPerSecond, profile->committed_burst + profile->excess_burst));
    if (tokens == 0) return;
    refilled_at_ = now;
    const std::uint64_t room = profile->committed_burst - committed_tokens_;
    committed_tokens_ += std::min(tokens, room);
    if (tokens > room) {
      excess_tokens_ = std::min(profile->excess_burst, excess_tokens_ + tokens - room);
    }
  }

  std::uint64_t committed_tokens_ = 0;
  std::uint64_t excess_tokens_ = 0;
  Nanos refilled_at_ = 0;
};

/// All meters of a card; each by its port's index (high half) and its id.
struct MeterStore {
  std::unordered_map<std::uint64_t, MeterProfile> profiles;  // References stay good.
  std::unordered_map<std::uint64_t, MeterPolicy> policies;
  std::unordered_map<std::uint64_t, std::unique_ptr<Meter>> meters;
};

}  // namespace gannet::emudpu
