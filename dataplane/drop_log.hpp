// SPDX-License-Identifier: BSD-3-Clause
// The last dropped packets of a worker, but for those that a full queue or a bandwidth limit
// dropped one after the other: when, where, why, by which rule. A ring that is overwritten; the
// worker writes it and copies it out when asked. Owned by one worker.
#pragma once

#include "dataplane/drops.hpp"
#include "dataplane/tuple.hpp"
#include "flows/base/time.hpp"
#include "flows/connection.hpp"

#include <array>
#include <cstdint>

namespace gannet::dataplane {

struct DropRecord {
  Nanos when = 0;
  DropReason reason = DropReason::kNone;
  std::uint16_t port = 0;  // That the packet came in by.
  std::uint32_t rule = flows::kNoRule;
  std::uint32_t generation = 0;  // Of the policy that `rule` belongs to.
  IpTuple tuple;                 // Without ports if the packet never got so far.
};

class DropLog {
 public:
  static constexpr std::size_t kCapacity = 256;

  void add(const DropRecord& record) { records_[written_++ % kCapacity] = record; }
  /// Records written since the start; the last kCapacity of them are there.
  [[nodiscard]] std::uint64_t written() const { return written_; }
  [[nodiscard]] const DropRecord& at(std::uint64_t index) const {
    return records_[index % kCapacity];
  }

 private:
  std::array<DropRecord, kCapacity> records_;
  std::uint64_t written_ = 0;
};

}  // namespace gannet::dataplane
