// SPDX-License-Identifier: BSD-3-Clause
// What one worker and the offload thread share, and the rules of their traffic. Neither ever waits
// for the other, and no event that matters can be lost:
//
// Slots hold the rules. A slot belongs to the worker while it is free. The worker writes a rule
// into it and sends kInstall; from then on nobody changes it. The slot comes back with the one
// answer that ends its use: kRefused, kRemoved or kWithdrawn. Until then the worker may send one
// kRemove, and one kCheck at a time. A worker that has sent kRemove takes kWithdrawn or kRefused
// for an answer to it, and the offload thread answers no kRemove for a rule that it has taken out
// already.
//
// No ring is ever full for what must arrive. Of a slot there are never more than three answers
// under way, as its next use begins when the worker has read the last of them: answers that may be
// missed (readings, looks) are sent only while a quarter of the ring is not taken, and it holds
// four for each slot. Of a slot's removals there are never more than two under way: its worker may
// reuse it, and send another, while the first has not been read, if the engine has withdrawn the
// rule by itself; but that use ends only when its kInstall has been read, which comes behind the
// first kRemove. So all other orders are sent only while half of the ring is not taken
// (may_order()): what cannot be ordered now is for later.
//
// Whether both sides know the same of a slot is looked at in turn. The engine sends kLook with what
// it has; the worker, which has read all answers before it, says kDisown or kMiss if it has
// something else. That comes behind all orders that it has given by then: if for the engine nothing
// has changed meanwhile, no message is under way that would explain the difference
// (docs/decisions/audit.md). Looks and what they find may find their ring busy: then the next round
// asks again.
#pragma once

#include "flows/base/region.hpp"
#include "flows/base/spsc_ring.hpp"
#include "flows/base/time.hpp"
#include "flows/offload/refusal.hpp"
#include "flows/offload/rule.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace gannet::offload {

inline constexpr std::uint32_t kNoSlot = 0xffff'ffff;

enum class OrderKind : std::uint8_t {
  kInstall,
  kRemove,   // Take the rule out; answered by kRemoved with the final counts.
  kCheck,    // Has it been hit since the last reading? Answered by kChecked.
  kSuspect,  // Packets that it should have taken came to software; no answer.
  kDisown,   // Of a look: the rule in force is none that the worker has.
  kMiss,     // Of a look: the worker has the use `value` of the slot, the engine has none.
  kLost,     // A connection took a rule for its own that it had not; it is in software again.
  kBarrier,  // All orders before this one conform to generation `value`.
};

/// Worker to offload thread.
struct Order {
  OrderKind kind = OrderKind::kInstall;
  std::uint32_t slot = kNoSlot;
  std::uint32_t serial = 0;  // Of the slot's use.
  // kInstall: packets a second in software, if known. kBarrier: generation. kMiss: the serial that
  // the worker knows; `serial` is then the engine's.
  std::uint32_t value = 0;
  Nanos sent = 0;  // For the time to offload.
};

enum class AnswerKind : std::uint8_t {
  kInstalled,
  kRefused,    // With the reason; the slot is the worker's again.
  kReading,    // More packets and bytes since the last answer.
  kChecked,    // The same, asked for.
  kRemoved,    // The same, for the last time; the slot is the worker's again.
  kWithdrawn,  // Like kRemoved, but nobody has asked; with the reason.
  kLook,       // The rule in force, if `packets` is not 0, or else the last use of a free slot.
};

/// Offload thread to worker.
struct Answer {
  AnswerKind kind = AnswerKind::kInstalled;
  Refusal reason = Refusal::kNone;
  std::uint32_t slot = kNoSlot;
  std::uint32_t serial = 0;
  std::uint64_t packets = 0;  // Since the last answer.
  std::uint64_t bytes = 0;    // Of the (inner) frames, as the worker counts them.
  Nanos last_hit = 0;         // When the counter was last seen to have moved; 0: never.
};

class Exchange {
 public:
  /// \param slot_count rules that the worker may have on the card at once.
  [[nodiscard]] static Result<std::unique_ptr<Exchange>> create(std::uint32_t slot_count) {
    // Only touched pages cost memory.
    auto slots = Region::map(std::size_t{slot_count} * sizeof(Rule), false);
    if (!slots) return tl::unexpected(slots.error());
    return std::unique_ptr<Exchange>(new Exchange(std::move(*slots), slot_count));
  }

  [[nodiscard]] std::uint32_t slot_count() const { return slot_count_; }
  [[nodiscard]] Rule& rule(std::uint32_t slot) {
    return reinterpret_cast<Rule*>(slots_.data())[slot];
  }

  /// Worker: whether an order may be sent that is no kRemove.
  [[nodiscard]] bool may_order() const { return orders.size() < orders.capacity() / 2; }
  /// Engine: whether an answer may be sent that the worker can miss.
  [[nodiscard]] bool may_tell() const { return answers.size() < answers.capacity() / 4; }

  SpscRing<Order> orders;
  SpscRing<Answer> answers;
  // Slots that have ever been used are those below it. The worker writes, the engine reads;
  // relaxed, as everything else about a slot goes by the rings.
  std::atomic<std::uint32_t> touched_count{0};

 private:
  Exchange(Region slots, std::uint32_t slot_count)
      : orders(std::size_t{4} * slot_count + 64),
        answers(std::size_t{4} * slot_count + 64),
        slots_(std::move(slots)),
        slot_count_(slot_count) {}

  Region slots_;
  std::uint32_t slot_count_;
};

}  // namespace gannet::offload
