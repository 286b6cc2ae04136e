// SPDX-License-Identifier: BSD-3-Clause
// A rule as it lies in the card's memory: what chains it, what it counts, its key and its program,
// in one block. The ASIC thread reads it and writes counters and hit times; everything else belongs
// to control threads under the card's lock.
#pragma once

#include "flows/base/time.hpp"
#include "flows/emudpu/packet_key.hpp"

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace gannet::emudpu {

class GroupTable;
struct IndirectAction;
struct Meter;
struct TemplateTable;
struct Shape;

/// Written by the ASIC thread alone, read by anybody.
struct Counter {
  std::atomic<std::uint64_t> packets{0};
  std::atomic<std::uint64_t> bytes{0};
  // What queries with `reset` took away. Control threads only.
  std::uint64_t packets_base = 0;
  std::uint64_t bytes_base = 0;

  void add(std::uint64_t more_packets, std::uint64_t more_bytes) {
    packets.store(packets.load(std::memory_order_relaxed) + more_packets,
                  std::memory_order_relaxed);
    bytes.store(bytes.load(std::memory_order_relaxed) + more_bytes, std::memory_order_relaxed);
  }
};

enum class AgeStatus : std::uint8_t {
  kFree,
  kArmed,
  kAged,  // Waits to be asked for by get_aged_flows().
  kReported,
  kLost,  // A fault swallowed the event.
};

/// One AGE action. The ASIC thread writes `last_hit` and, in its housekeeping, `status`.
struct Age {
  std::atomic<Nanos> last_hit{0};
  std::atomic<Nanos> timeout{0};  // 0 never ages.
  void* context = nullptr;
  std::uint32_t serial = 0;  // Changes with each use of this place.
  std::uint16_t port = 0;    // Index of the card's port that hears of it.
  std::atomic<AgeStatus> status{AgeStatus::kFree};
};

/// A field that a rule matches by range: bytes of the key, most significant first.
struct Range {
  std::uint16_t offset = 0;
  std::uint8_t size = 0;
  std::uint8_t low[16] = {};
  std::uint8_t high[16] = {};
  std::uint8_t mask[16] = {};

  friend bool operator==(const Range&, const Range&) = default;
};
using Ranges = std::vector<Range>;

enum class RuleStatus : std::uint8_t {
  kFree = 0,
  kPending,  // Accepted from a queue, not yet in the table; or taken out of it.
  kActive,
  kRefused,  // By the card, after a queue had accepted it: keeps its place as long as its handle.
  kGone,     // Wiped by a reset of the card; the handle may still be destroyed.
};

/// Who has a rule's handle.
enum class HandleStatus : std::uint8_t {
  kHeld,   // The program.
  kGiven,  // Nobody: a queue has been asked to destroy the rule.
  kLost,   // Nobody, and the rule is there: destroying it has failed. A flush may take it.
};

struct Rule {
  // Chains of two generations of buckets: while a table grows, readers follow the old one.
  std::atomic<Rule*> next[2];
  std::uint32_t hash;
  RuleStatus status;
  bool owns_age : 1;
  bool awaits_result : 1;  // Of its creation by a queue.
  HandleStatus handle : 2;
  std::uint16_t block_bytes;
  std::uint16_t key_words;
  std::uint16_t program_bytes;
  std::uint16_t port;             // Index of the card's port it was created on,
  std::uint16_t queue;            // and the flow queue.
  TemplateTable* template_table;  // Null: created at once.
  Shape* shape;
  GroupTable* table;
  Counter* counter;  // Its own, an indirect one, or null.
  Age* age;
  IndirectAction* shared_count;  // Where its counter or ageing is indirect.
  IndirectAction* shared_age;
  Meter* meter;
  const Ranges* ranges;
  Rule* previous_of_port;
  Rule* next_of_port;
  Counter own_counter;
  // The masked key, then the program.
  std::uint64_t key[];  // NOLINT: sized by key_words and program_bytes

  [[nodiscard]] const std::uint8_t* program() const {
    return reinterpret_cast<const std::uint8_t*>(key + key_words);
  }
  [[nodiscard]] std::uint8_t* program() { return reinterpret_cast<std::uint8_t*>(key + key_words); }
};

}  // namespace gannet::emudpu
