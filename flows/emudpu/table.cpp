// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace gannet::emudpu {
namespace {

constexpr std::uint32_t kMinBuckets = 16;
constexpr std::uint32_t kGrowth = 4;
constexpr std::uint32_t kFetchAhead = 16;

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  const auto product = static_cast<unsigned __int128>(hash ^ word) * 0x9e37'79b9'7f4a'7c15;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint32_t hash_key(const Shape& shape, const Key& key) {
  std::uint64_t hash = 0x2545'f491'4f6c'dd1d;
  for (unsigned i = 0; i < shape.word_count; ++i) {
    hash = mix(hash, key_word(key, shape.words[i]) & shape.masks[i]);
  }
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

bool has_key(const Rule& rule, const Shape& shape, const Key& key) {
  for (unsigned i = 0; i < shape.word_count; ++i) {
    if (rule.key[i] != (key_word(key, shape.words[i]) & shape.masks[i])) return false;
  }
  return true;
}

bool is_in_ranges(const Ranges& ranges, const Key& key) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&key);
  return std::ranges::all_of(ranges, [bytes](const Range& range) {
    std::uint8_t value[16];
    for (unsigned i = 0; i < range.size; ++i) {
      value[i] = bytes[range.offset + i] & range.mask[i];
    }
    return std::memcmp(value, range.low, range.size) >= 0 &&
           std::memcmp(value, range.high, range.size) <= 0;
  });
}

bool have_same_match(const Rule& a, const Rule& b) {
  if (a.hash != b.hash || std::memcmp(a.key, b.key, a.key_words * 8u) != 0) return false;
  if (a.ranges == nullptr || b.ranges == nullptr) return a.ranges == b.ranges;
  return *a.ranges == *b.ranges;
}

std::unique_ptr<Buckets> make_buckets(std::uint32_t rules, std::uint8_t generation) {
  auto buckets = std::make_unique<Buckets>();
  const std::uint32_t count = std::bit_ceil(std::max(rules, kMinBuckets));
  buckets->mask = count - 1;
  buckets->generation = generation;
  buckets->heads = std::make_unique<std::atomic<Rule*>[]>(count);
  return buckets;
}

// Puts a rule at the end of its chain, so that the older of two equal rules is found first.
void append(Buckets& buckets, Rule* rule) {
  const unsigned generation = buckets.generation;
  rule->next[generation].store(nullptr, std::memory_order_relaxed);
  std::atomic<Rule*>* link = &buckets.heads[rule->hash & buckets.mask];
  while (Rule* const other = link->load(std::memory_order_relaxed)) link = &other->next[generation];
  link->store(rule, std::memory_order_release);  // Partner: the acquire in find().
}

std::uint64_t digest_of(const Match& match, std::uint32_t priority) {
  std::uint64_t hash = mix(priority, key_word(match.value, 0));
  for (unsigned i = 0; i < kKeyWords; ++i) hash = mix(hash, key_word(match.mask, i) + i);
  return hash;
}

bool is_of(const Shape& shape, const Match& match, std::uint32_t priority) {
  if (shape.priority != priority || shape.presence_mask != key_word(match.mask, 0) ||
      shape.presence_value != (key_word(match.value, 0) & shape.presence_mask)) {
    return false;
  }
  unsigned next = 0;
  for (unsigned word = kFirstHashedWord; word < kKeyWords; ++word) {
    const std::uint64_t mask = key_word(match.mask, word);
    if (mask == 0) continue;
    if (next == shape.word_count || shape.words[next] != word || shape.masks[next] != mask)
      return false;
    ++next;
  }
  return next == shape.word_count;
}

std::unique_ptr<Shape> make_shape(const Match& match, std::uint32_t priority, std::uint32_t rules) {
  auto shape = std::make_unique<Shape>();
  shape->priority = priority;
  shape->presence_mask = key_word(match.mask, 0);
  shape->presence_value = key_word(match.value, 0) & shape->presence_mask;
  for (unsigned word = kFirstHashedWord; word < kKeyWords; ++word) {
    const std::uint64_t mask = key_word(match.mask, word);
    if (mask == 0) continue;
    shape->words[shape->word_count] = static_cast<std::uint8_t>(word);
    shape->masks[shape->word_count++] = mask;
  }
  shape->digest = digest_of(match, priority);
  shape->buckets.store(make_buckets(rules, 0).release(), std::memory_order_relaxed);
  return shape;
}

}  // namespace

GroupTable::~GroupTable() {
  delete shapes_.load(std::memory_order_relaxed);
  for (const auto& [digest, shape] : by_digest_) delete shape;
}

Rule* GroupTable::find(const Key& key) const {
  const ShapeList* const shapes = shapes_.load(std::memory_order_acquire);
  if (shapes == nullptr) return nullptr;
  const std::uint64_t presence = key_word(key, 0);
  for (const Shape* const shape : *shapes) {
    if ((presence & shape->presence_mask) != shape->presence_value) continue;
    if (shape->rule_count.load(std::memory_order_relaxed) == 0) continue;
    const std::uint32_t hash = hash_key(*shape, key);
    const Buckets& buckets = *shape->buckets.load(std::memory_order_acquire);
    Rule* rule = buckets.heads[hash & buckets.mask].load(std::memory_order_acquire);
    for (; rule != nullptr; rule = rule->next[buckets.generation].load(std::memory_order_acquire)) {
      if (rule->hash == hash && has_key(*rule, *shape, key) &&
          (rule->ranges == nullptr || is_in_ranges(*rule->ranges, key))) {
        return rule;
      }
    }
  }
  return nullptr;
}

void GroupTable::prefetch(const Key& key) const {
  const ShapeList* const shapes = shapes_.load(std::memory_order_acquire);
  if (shapes == nullptr) return;
  const std::uint64_t presence = key_word(key, 0);
  for (const Shape* const shape : *shapes) {
    if ((presence & shape->presence_mask) != shape->presence_value) continue;
    const Buckets& buckets = *shape->buckets.load(std::memory_order_acquire);
    if (buckets.mask < 1024) continue;  // Lies in the cache anyway.
    __builtin_prefetch(&buckets.heads[hash_key(*shape, key) & buckets.mask]);
  }
}

Shape* GroupTable::obtain_shape(const Match& match, std::uint32_t priority,
                                std::uint32_t expected_rules) {
  // Rules come in runs of one shape.
  if (last_shape_ != nullptr && is_of(*last_shape_, match, priority)) return last_shape_;
  const auto [first, last] = by_digest_.equal_range(digest_of(match, priority));
  for (auto it = first; it != last; ++it) {
    if (is_of(*it->second, match, priority)) return last_shape_ = it->second;
  }
  Shape* const shape = make_shape(match, priority, expected_rules).release();
  by_digest_.emplace(shape->digest, shape);
  const ShapeList* const old = shapes_.load(std::memory_order_relaxed);
  auto list = old == nullptr ? std::make_unique<ShapeList>() : std::make_unique<ShapeList>(*old);
  const auto place = std::ranges::upper_bound(*list, priority, {}, &Shape::priority);
  list->insert(place, shape);
  publish_shapes(std::move(list));
  return last_shape_ = shape;
}

Shape* GroupTable::pin_shape(const Match& match, std::uint32_t priority,
                             std::uint32_t expected_rules) {
  Shape* const shape = obtain_shape(match, priority, expected_rules);
  ++shape->pins;
  return shape;
}

void GroupTable::unpin(Shape* shape) {
  if (--shape->pins == 0 && shape->rule_count.load(std::memory_order_relaxed) == 0)
    drop_shape(shape);
}

bool GroupTable::has_duplicate(const Shape* shape, const Rule* rule) const {
  const Buckets& buckets = *shape->buckets.load(std::memory_order_relaxed);
  const Rule* other = buckets.heads[rule->hash & buckets.mask].load(std::memory_order_relaxed);
  for (; other != nullptr;
       other = other->next[buckets.generation].load(std::memory_order_relaxed)) {
    if (have_same_match(*other, *rule)) return true;
  }
  return false;
}

void GroupTable::insert(Shape* shape, Rule* rule) {
  const std::uint32_t count = shape->rule_count.load(std::memory_order_relaxed);
  if (count > shape->buckets.load(std::memory_order_relaxed)->mask) grow(*shape);
  rule->shape = shape;
  rule->table = this;
  append(*shape->buckets.load(std::memory_order_relaxed), rule);
  shape->rule_count.store(count + 1, std::memory_order_relaxed);
  rule_count_.store(rule_count() + 1, std::memory_order_relaxed);
}

void GroupTable::remove(Rule* rule) {
  Shape& shape = *rule->shape;
  const Buckets& buckets = *shape.buckets.load(std::memory_order_relaxed);
  std::atomic<Rule*>* link = &buckets.heads[rule->hash & buckets.mask];
  while (link->load(std::memory_order_relaxed) != rule) {
    link = &link->load(std::memory_order_relaxed)->next[buckets.generation];
  }
  link->store(rule->next[buckets.generation].load(std::memory_order_relaxed),
              std::memory_order_release);
  const std::uint32_t left = shape.rule_count.load(std::memory_order_relaxed) - 1;
  shape.rule_count.store(left, std::memory_order_relaxed);
  rule_count_.store(rule_count() - 1, std::memory_order_relaxed);
  if (left == 0 && shape.pins == 0) drop_shape(&shape);
}

void GroupTable::publish_shapes(std::unique_ptr<ShapeList> list) {
  const ShapeList* const old = shapes_.exchange(list.release(), std::memory_order_acq_rel);
  epoch_.wait_for_reader();
  delete old;
}

void GroupTable::drop_shape(Shape* shape) {
  if (last_shape_ == shape) last_shape_ = nullptr;
  const auto [first, last] = by_digest_.equal_range(shape->digest);
  by_digest_.erase(std::find_if(first, last, [shape](const auto& e) { return e.second == shape; }));
  auto list = std::make_unique<ShapeList>(*shapes_.load(std::memory_order_relaxed));
  std::erase(*list, shape);
  publish_shapes(std::move(list));
  delete shape;
}

// Links all rules into twice as many buckets by their other chain, while readers go on in the old
// one.
void GroupTable::grow(Shape& shape) {
  Buckets* const old = shape.buckets.load(std::memory_order_relaxed);
  auto grown = make_buckets((old->mask + 1) * kGrowth, old->generation ^ 1);
  for (std::uint32_t i = 0; i <= old->mask; ++i) {
    const std::uint32_t ahead = (i + kFetchAhead) & old->mask;
    __builtin_prefetch(old->heads[ahead].load(std::memory_order_relaxed), 1);
    Rule* rule = old->heads[i].load(std::memory_order_relaxed);
    for (; rule != nullptr; rule = rule->next[old->generation].load(std::memory_order_relaxed)) {
      append(*grown, rule);
    }
  }
  shape.buckets.store(grown.release(), std::memory_order_release);
  epoch_.wait_for_reader();  // After this the old links are free for the next growth.
  delete old;
}

void set_key(const Shape& shape, const Key& value, Rule& rule) {
  rule.key_words = shape.word_count;
  for (unsigned i = 0; i < shape.word_count; ++i) {
    rule.key[i] = key_word(value, shape.words[i]) & shape.masks[i];
  }
  rule.hash = hash_key(shape, value);
  const Buckets& buckets = *shape.buckets.load(std::memory_order_relaxed);
  __builtin_prefetch(&buckets.heads[rule.hash & buckets.mask], 1);
}

unsigned count_key_words(const Key& mask) {
  unsigned count = 0;
  for (unsigned word = kFirstHashedWord; word < kKeyWords; ++word)
    count += key_word(mask, word) != 0;
  return count;
}

}  // namespace gannet::emudpu
