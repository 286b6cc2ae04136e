// SPDX-License-Identifier: BSD-3-Clause
// One flow table (a group of one steering domain). Rules with the same priority, mask and headers
// form a shape; each shape is a hash table, so that a look-up costs one probe for each shape,
// whatever the number of rules (tuple space search). Shapes are tried in order of priority; the
// first hit wins. The ASIC thread looks up; control threads change the table under the card's lock.
#pragma once

#include "flows/emudpu/epoch.hpp"
#include "flows/emudpu/rule.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace gannet::emudpu {

/// What a rule matches: `value` within `mask`, and all of `ranges`.
struct Match {
  Key value{};
  Key mask{};
  Ranges ranges;
};

struct Buckets {
  std::uint32_t mask = 0;       // Their number less one.
  std::uint8_t generation = 0;  // Which of a rule's two chain links is theirs.
  std::unique_ptr<std::atomic<Rule*>[]> heads;
};

struct Shape {
  std::uint32_t priority = 0;
  std::uint64_t presence_mask = 0;
  std::uint64_t presence_value = 0;
  std::uint8_t word_count = 0;
  std::uint8_t words[kKeyWords] = {};
  std::uint64_t masks[kKeyWords] = {};
  // Published by control threads, read by the ASIC thread inside an epoch.
  std::atomic<Buckets*> buckets{nullptr};
  std::atomic<std::uint32_t> rule_count{0};
  std::uint32_t pins = 0;  // Template tables that keep it although it is empty.
  std::uint64_t digest = 0;

  ~Shape() { delete buckets.load(std::memory_order_relaxed); }
};

class GroupTable {
 public:
  GroupTable(Epoch& epoch, std::uint32_t group) : epoch_(epoch), group_(group) {}
  ~GroupTable();
  GroupTable(const GroupTable&) = delete;
  GroupTable& operator=(const GroupTable&) = delete;

  /// The rule that takes the packet, or null. ASIC thread, inside an epoch.
  [[nodiscard]] Rule* find(const Key& key) const;
  /// Starts fetching the buckets that find() will look at. ASIC thread, inside an epoch.
  void prefetch(const Key& key) const;
  [[nodiscard]] bool is_empty() const { return rule_count_.load(std::memory_order_relaxed) == 0; }
  [[nodiscard]] std::uint32_t group() const { return group_; }

  /// The shape for a match, made if there is none; sized for `expected_rules`.
  [[nodiscard]] Shape* obtain_shape(const Match& match, std::uint32_t priority,
                                    std::uint32_t expected_rules);
  /// A shape that stays although it has no rules, until unpin().
  [[nodiscard]] Shape* pin_shape(const Match& match, std::uint32_t priority,
                                 std::uint32_t expected_rules);
  void unpin(Shape* shape);

  /// Whether a rule with the very same match is there already.
  [[nodiscard]] bool has_duplicate(const Shape* shape, const Rule* rule) const;
  /// Puts a rule (key, hash and ranges set) into force; of rules with one match the oldest wins.
  void insert(Shape* shape, Rule* rule);
  /// Takes it out of force. The caller waits for the reader before it reuses the memory.
  void remove(Rule* rule);

  [[nodiscard]] std::size_t shape_count() const { return by_digest_.size(); }
  [[nodiscard]] std::uint32_t rule_count() const {
    return rule_count_.load(std::memory_order_relaxed);
  }

 private:
  using ShapeList = std::vector<Shape*>;

  void publish_shapes(std::unique_ptr<ShapeList> list);
  void drop_shape(Shape* shape);
  void grow(Shape& shape);

  Epoch& epoch_;
  std::uint32_t group_;
  // In order of priority; replaced as a whole.
  std::atomic<const ShapeList*> shapes_{nullptr};
  std::atomic<std::uint32_t> rule_count_{0};
  std::unordered_multimap<std::uint64_t, Shape*> by_digest_;
  Shape* last_shape_ = nullptr;
};

/// Fills in a rule's masked key and hash for a shape; `key` must have room for its words.
void set_key(const Shape& shape, const Key& value, Rule& rule);
/// Words of a mask that a shape hashes.
[[nodiscard]] unsigned count_key_words(const Key& mask);

}  // namespace gannet::emudpu
