// SPDX-License-Identifier: BSD-3-Clause
#include "flows/offload/template_queue.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <rte_errno.h>

namespace gannet::offload {
namespace {

constexpr std::uint32_t kQueue = 0;
// Tags of the queue's own operations; no worker has this number.
constexpr Tag kDiscardTag = Tag{0xffff} << 32;
// Rules of a shape's first table; each next one has twice as many. Cards reserve memory for them.
constexpr std::uint32_t kFirstTable = 8'192;
constexpr std::uint32_t kLargestTable = 1U << 20;
// A card with fewer slots than that in all is not worth templates.
constexpr std::uint32_t kSmallestTable = 16;
constexpr Nanos kFirstDiscardPause = kNanosPerMilli / 10;
constexpr Nanos kMaxDiscardPause = kNanosPerSecond;
constexpr std::uint64_t kFnvBasis = 0xcbf2'9ce4'8422'2325;  // FNV-1a, over words.
constexpr std::uint64_t kFnvPrime = 0x0000'0100'0000'01b3;
constexpr rte_flow_op_attr kPostponed = [] {
  rte_flow_op_attr attributes{};
  attributes.postpone = 1;
  return attributes;
}();

// A template's masks say nothing about an action: every rule brings its own values. Of an indirect
// action the mask's type says what it is (mlx5, flow_hw_validate_action_indirect).
void make_masks(const Actions& actions, rte_flow_action* templates, rte_flow_action* masks) {
  for (unsigned i = 0; i <= actions.count(); ++i) {
    const rte_flow_action_type type = actions.list()[i].type;
    const bool is_indirect = type == RTE_FLOW_ACTION_TYPE_INDIRECT;
    templates[i] = {type, is_indirect ? nullptr : actions.list()[i].conf};
    masks[i] = {is_indirect ? RTE_FLOW_ACTION_TYPE_COUNT : type, nullptr};
  }
}

}  // namespace

void TemplateQueue::Signature::add(std::uint64_t word) {
  words[count++] = word;
  hash = (hash ^ word) * kFnvPrime;
}

bool TemplateQueue::Signature::is(const Signature& other) const {
  return hash == other.hash && count == other.count &&
         std::memcmp(words.data(), other.words.data(), count * sizeof words[0]) == 0;
}

TemplateQueue::Shape::~Shape() {
  rte_flow_error error{};
  for (const Table& table : tables) rte_flow_template_table_destroy(port, table.handle, &error);
  if (actions != nullptr) rte_flow_actions_template_destroy(port, actions, &error);
  if (pattern != nullptr) rte_flow_pattern_template_destroy(port, pattern, &error);
}

bool TemplateQueue::Shape::make(const Pattern& from, const Actions& actions_from) {
  rte_flow_item items[Pattern::kMaxItems] = {};
  for (unsigned i = 0; i <= from.count(); ++i) {
    items[i] = from.items()[i];
    items[i].spec = items[i].last = nullptr;
  }
  rte_flow_action templates[Actions::kMaxActions] = {};
  rte_flow_action masks[Actions::kMaxActions] = {};
  make_masks(actions_from, templates, masks);
  rte_flow_pattern_template_attr pattern_attributes{};
  pattern_attributes.relaxed_matching = 1;  // Headers are those of the items, no more.
  pattern_attributes.transfer = 1;
  rte_flow_actions_template_attr actions_attributes{};
  actions_attributes.transfer = 1;
  rte_flow_error error{};
  pattern = rte_flow_pattern_template_create(port, &pattern_attributes, items, &error);
  if (pattern == nullptr) return false;
  actions = rte_flow_actions_template_create(port, &actions_attributes, templates, masks, &error);
  return actions != nullptr;
}

TemplateQueue::Table* TemplateQueue::Shape::make_table(std::uint32_t size) {
  rte_flow_template_table_attr attributes{};
  attributes.flow_attr = flow_attributes();
  attributes.nb_flows = size;
  rte_flow_error error{};
  rte_flow_template_table* const made =
      rte_flow_template_table_create(port, &attributes, &pattern, 1, &actions, 1, &error);
  if (made == nullptr) return nullptr;
  tables.push_back({made, size, 0});
  return &tables.back();
}

bool TemplateQueue::is_served_by(std::uint16_t port, const Pattern& pattern,
                                 const Actions& actions) {
  Shape shape(port);
  return shape.make(pattern, actions) && shape.make_table(kSmallestTable) != nullptr;
}

void TemplateQueue::describe(const Pattern& pattern, const Actions& actions, Signature& out) {
  static_assert(sizeof(ItemSpace) % sizeof(std::uint64_t) == 0);
  constexpr unsigned kItemWords = sizeof(ItemSpace) / sizeof(std::uint64_t);
  static_assert(Pattern::kMaxItems * (kItemWords + 1) + Actions::kMaxActions + 1 <=
                std::tuple_size_v<decltype(out.words)>);
  out.count = 0;
  out.hash = kFnvBasis;
  for (const rte_flow_item* item = pattern.items(); item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
    out.add(std::uint64_t{static_cast<std::uint32_t>(item->type)} << 1 |
            (item->mask != nullptr ? 1U : 0U));
    if (item->mask == nullptr) continue;
    std::uint64_t mask[kItemWords];
    std::memcpy(mask, item->mask, sizeof mask);
    for (const std::uint64_t word : mask) out.add(word);
  }
  out.add(~std::uint64_t{0});
  for (unsigned i = 0; i < actions.count(); ++i) {
    out.add(static_cast<std::uint32_t>(actions.list()[i].type));
  }
}

TemplateQueue::Shape* TemplateQueue::obtain_shape(const Pattern& pattern, const Actions& actions) {
  describe(pattern, actions, scratch_);
  for (const auto& shape : shapes_) {
    if (shape->signature.is(scratch_)) return shape.get();
  }
  auto shape = std::make_unique<Shape>(port_);
  if (!shape->make(pattern, actions)) return nullptr;
  shape->signature = scratch_;
  shapes_.push_back(std::move(shape));
  return shapes_.back().get();
}

// A table with room. What a card says to a size nobody knows before: half as large will do.
TemplateQueue::Table* TemplateQueue::obtain_table(Shape& shape) {
  std::uint32_t size = kFirstTable;
  for (auto table = shape.tables.rbegin(); table != shape.tables.rend(); ++table) {
    if (table->used < table->capacity) return &*table;
    size = std::max(size, std::min(2 * table->capacity, kLargestTable));
  }
  for (; size >= kSmallestTable; size /= 2) {
    if (Table* const made = shape.make_table(size)) return made;
  }
  return nullptr;
}

void* TemplateQueue::mark(Tag tag) const {
  return reinterpret_cast<void*>(std::uint64_t{epoch_} << kTagBits | tag);
}

Refusal TemplateQueue::begin_create(const Pattern& pattern, const Actions& actions, CardRule& out,
                                    Tag tag) {
  if (room() == 0) return Refusal::queue_full;
  Shape* const shape = obtain_shape(pattern, actions);
  if (shape == nullptr) return refusal_of(rte_errno);
  Table* const table = obtain_table(*shape);
  if (table == nullptr) return refusal_of(rte_errno);
  rte_flow_error error{};
  rte_flow* const flow =
      rte_flow_async_create(port_, kQueue, &kPostponed, table->handle, pattern.items(), 0,
                            actions.list(), 0, mark(tag), &error);
  if (flow == nullptr) return refusal_of(rte_errno);
  out.flow = flow;
  out.table = table;
  ++table->used;
  ++under_way_;
  has_postponed_ = true;
  return Refusal::kNone;
}

void TemplateQueue::begin_destroy(CardRule& rule, Tag tag) {
  rte_flow_error error{};
  const int status = rte_flow_async_destroy(port_, kQueue, &kPostponed,
                                            static_cast<rte_flow*>(rule.flow), mark(tag), &error);
  if (status != 0) return ended_.push_back({tag, Refusal::stale_rule});
  rule.flow = nullptr;
  ++under_way_;
  has_postponed_ = true;
}

// \return false if the port may take it later.
bool TemplateQueue::try_discard(const CardRule& rule) {
  std::uint32_t place = static_cast<std::uint32_t>(discarding_.size());
  if (free_places_.empty()) {
    discarding_.emplace_back();
  } else {
    place = free_places_.back();
    free_places_.pop_back();
  }
  discarding_[place] = rule;
  ++discarding_count_;
  rte_flow_error error{};
  if (rte_flow_async_destroy(port_, kQueue, &kPostponed, static_cast<rte_flow*>(rule.flow),
                             mark(kDiscardTag | place), &error) == 0) {
    ++under_way_;
    has_postponed_ = true;
    return true;
  }
  const bool may_pass = rte_errno == EAGAIN || rte_errno == EBUSY || rte_errno == ENOMEM;
  finish_discard(place, false);
  if (may_pass) discarded_.pop_back();
  return !may_pass;
}

// A port that is busy is asked again, less and less often.
bool TemplateQueue::begin_discards(Nanos now) {
  if (to_discard_.empty() || now < next_discard_) return false;
  const std::size_t before = to_discard_.size();
  while (!to_discard_.empty() && try_discard(to_discard_.back())) to_discard_.pop_back();
  const bool has_begun = to_discard_.size() != before;
  discard_pause_ =
      has_begun ? 0 : std::clamp(2 * discard_pause_, kFirstDiscardPause, kMaxDiscardPause);
  next_discard_ = now + discard_pause_;
  return has_begun;
}

// What could not be destroyed keeps its place in the table until all is flushed.
void TemplateQueue::finish_discard(std::uint32_t place, bool is_done) {
  CardRule rule = std::exchange(discarding_[place], {});
  rule.flow = nullptr;
  if (!is_done) rule.table = nullptr;
  discarded_.push_back(rule);
  free_places_.push_back(place);
  --discarding_count_;
}

bool TemplateQueue::take_discarded(CardRule& rule) {
  if (discarded_.empty()) return false;
  rule = discarded_.back();
  discarded_.pop_back();
  return true;
}

void TemplateQueue::push() {
  if (!has_postponed_) return;
  rte_flow_error error{};
  // What the port does not take now, it takes with the next push.
  has_postponed_ = rte_flow_push(port_, kQueue, &error) != 0;
}

unsigned TemplateQueue::pull(std::span<Completion> completions) {
  unsigned count = 0;
  while (count < completions.size() && !ended_.empty()) {
    completions[count++] = ended_.back();
    ended_.pop_back();
  }
  if (under_way_ + leftovers_ == 0) return count;
  std::array<rte_flow_op_result, 64> results;
  while (count < completions.size()) {
    const auto room = static_cast<std::uint16_t>(
        std::min<std::size_t>(results.size(), completions.size() - count));
    rte_flow_error error{};
    const int pulled = rte_flow_pull(port_, kQueue, results.data(), room, &error);
    if (pulled <= 0) break;
    for (int i = 0; i < pulled; ++i) {
      const auto mark = reinterpret_cast<std::uint64_t>(results[i].user_data);
      if (mark >> kTagBits != epoch_) {
        --leftovers_;
        continue;
      }
      --under_way_;
      const Tag tag = mark & ((std::uint64_t{1} << kTagBits) - 1);
      const bool is_done = results[i].status == RTE_FLOW_OP_SUCCESS;
      if ((tag & kDiscardTag) == kDiscardTag) {
        finish_discard(static_cast<std::uint32_t>(tag), is_done);
      } else {
        completions[count++] = {tag, is_done ? Refusal::kNone : Refusal::insert_failed};
      }
    }
  }
  return count;
}

void TemplateQueue::give_back(const CardRule& rule) {
  if (rule.table != nullptr) --static_cast<Table*>(rule.table)->used;
}

void TemplateQueue::forget() {
  for (CardRule& rule : to_discard_) {
    rule.flow = rule.table = nullptr;
    discarded_.push_back(rule);
  }
  to_discard_.clear();
  push();
  // Repeated calls have nothing to forget: the epoch has only so many bits.
  if (under_way_ != 0) ++epoch_;
  leftovers_ += std::exchange(under_way_, 0);
  for (std::uint32_t place = 0; discarding_count_ != 0; ++place) {
    const CardRule& rule = discarding_[place];
    if (rule.is_there()) finish_discard(place, false);
  }
  ended_.clear();
  // Most of them have ended with the reset.
  std::array<Completion, 1> none;
  static_cast<void>(pull(none));
  // The tables are empty: nobody gives anything back.
  for (CardRule& rule : discarded_) rule.table = nullptr;
  for (const auto& shape : shapes_) {
    for (Table& table : shape->tables) table.used = 0;
  }
}

std::size_t TemplateQueue::table_count() const {
  std::size_t count = 0;
  for (const auto& shape : shapes_) count += shape->tables.size();
  return count;
}

}  // namespace gannet::offload
