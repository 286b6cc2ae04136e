// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/ages.hpp"

#include <algorithm>

namespace gannet::emudpu {

Age* AgeStore::take(std::uint16_t port, Nanos timeout, Nanos now) {
  Age* age;
  if (!free_.empty()) {
    age = free_.back();
    free_.pop_back();
  } else {
    const std::uint32_t index = high_water_.load(std::memory_order_relaxed);
    if (index % kChunk == 0) {
      if (index / kChunk == kMaxChunks) return nullptr;
      owned_.push_back(std::make_unique<Age[]>(kChunk));
      chunks_[index / kChunk].store(owned_.back().get(), std::memory_order_relaxed);
    }
    age = &at(index);
    high_water_.store(index + 1, std::memory_order_release);  // Partner: the acquire in scan().
  }
  const std::lock_guard guard(lists_);
  age->context = nullptr;
  age->port = port;
  age->timeout.store(timeout, std::memory_order_relaxed);
  age->last_hit.store(now, std::memory_order_relaxed);
  age->status.store(AgeStatus::kArmed, std::memory_order_relaxed);
  return age;
}

void AgeStore::release(Age* age) {
  const std::lock_guard guard(lists_);
  age->status.store(AgeStatus::kFree, std::memory_order_relaxed);
  ++age->serial;
  free_.push_back(age);
}

void AgeStore::touch(Age* age, Nanos now) {
  const std::lock_guard guard(lists_);
  age->last_hit.store(now, std::memory_order_relaxed);
  age->status.store(AgeStatus::kArmed, std::memory_order_relaxed);
  ++age->serial;  // Takes it off the list of the aged.
}

std::uint64_t AgeStore::expire(Age& age, Nanos now, bool is_lost) {
  const std::lock_guard guard(lists_);
  if (!is_due(age, now)) return 0;
  if (age.status.load(std::memory_order_relaxed) != AgeStatus::kArmed) {
    age.status.store(AgeStatus::kArmed, std::memory_order_relaxed);
    return 0;
  }
  if (is_lost) {
    age.status.store(AgeStatus::kLost, std::memory_order_relaxed);
    return 0;
  }
  age.status.store(AgeStatus::kAged, std::memory_order_relaxed);
  PortList& list = aged_[age.port];
  list.entries.push_back({&age, age.serial});
  if (list.is_told) return 0;
  list.is_told = true;
  return std::uint64_t{1} << age.port;
}

int AgeStore::collect(std::uint16_t port, void** contexts, std::uint32_t room, Nanos now) {
  const std::lock_guard guard(lists_);
  PortList& list = aged_[port];
  list.is_told = false;
  std::erase_if(list.entries, [now](const Entry& entry) {
    Age& age = *entry.age;
    if (age.serial != entry.serial ||
        age.status.load(std::memory_order_relaxed) != AgeStatus::kAged) {
      return true;
    }
    if (is_idle(age, now)) return false;
    age.status.store(AgeStatus::kArmed, std::memory_order_relaxed);  // Hit after all.
    return true;
  });
  if (room == 0) return static_cast<int>(list.entries.size());
  std::uint32_t count = 0;
  for (; count < room && !list.entries.empty(); ++count) {
    Age& age = *list.entries.front().age;
    age.status.store(AgeStatus::kReported, std::memory_order_relaxed);
    contexts[count] = age.context;
    list.entries.pop_front();
  }
  return static_cast<int>(count);
}

}  // namespace gannet::emudpu
