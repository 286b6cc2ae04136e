// SPDX-License-Identifier: BSD-3-Clause
// Rules by the template API: for each shape of rule (which items with which masks, which actions)
// one pattern template, one actions template and tables made of them, which grow in number as they
// fill; rules are created and destroyed through one flow queue, many at once, without waiting.
//
// A handle that a creation has given must be destroyed even if the card then refuses the rule, and
// from the call that destroys it on it is void, whatever becomes of the rule (DPDK's programmer's
// guide, "Asynchronous operations"; rte_flow.h). So the queue destroys what has been refused, and a
// removal that the card does not carry out cannot be repeated: only a flush takes the rule then.
//
// The queue belongs to the port and must have been configured before the port was started
// (dataplane/port.cpp). Offload thread only.
#pragma once

#include "flows/offload/rule_queue.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <rte_flow.h>

namespace gannet::offload {

class TemplateQueue final : public RuleQueue {
 public:
  /// \param size operations that the flow queue holds.
  TemplateQueue(std::uint16_t port, std::uint32_t size)
      : port_(port), size_(size < kMaxUnderWay ? size : kMaxUnderWay) {}
  /// Whether a port makes templates and a table of them.
  [[nodiscard]] static bool is_served_by(std::uint16_t port, const Pattern& pattern,
                                         const Actions& actions);
  /// No rule is left on the card.
  ~TemplateQueue() override = default;
  TemplateQueue(const TemplateQueue&) = delete;
  TemplateQueue& operator=(const TemplateQueue&) = delete;

  [[nodiscard]] Refusal begin_create(const Pattern& pattern, const Actions& actions, CardRule& out,
                                     Tag tag) override;
  void begin_destroy(CardRule& rule, Tag tag) override;
  void discard(const CardRule& rule) override { to_discard_.push_back(rule); }
  bool begin_discards(Nanos now) override;
  [[nodiscard]] bool take_discarded(CardRule& rule) override;
  [[nodiscard]] std::size_t discard_count() const override {
    return to_discard_.size() + discarding_count_ + discarded_.size();
  }
  [[nodiscard]] std::size_t room() const override {
    const std::size_t taken = under_way_ + leftovers_ + ended_.size() + to_discard_.size();
    return size_ - std::min<std::size_t>(size_, taken);
  }
  void push() override;
  [[nodiscard]] unsigned pull(std::span<Completion> completions) override;
  void forget() override;
  [[nodiscard]] bool has_leftovers() const override { return leftovers_ != 0; }
  [[nodiscard]] std::size_t table_count() const override;

  /// A rule that was created is out of force: its place in a table is free again.
  static void give_back(const CardRule& rule);

 private:
  /// All that rules of one shape have in common, as words.
  struct Signature {
    std::array<std::uint64_t, 160> words;
    unsigned count = 0;
    std::uint64_t hash = 0;
    void add(std::uint64_t word);
    [[nodiscard]] bool is(const Signature& other) const;
  };
  struct Table {
    rte_flow_template_table* handle = nullptr;
    std::uint32_t capacity = 0;
    std::uint32_t used = 0;
  };
  struct Shape {
    explicit Shape(std::uint16_t port_of) : port(port_of) {}
    ~Shape();
    Shape(const Shape&) = delete;
    Shape& operator=(const Shape&) = delete;
    /// Makes the templates. \return false with rte_errno if the port does not.
    [[nodiscard]] bool make(const Pattern& from, const Actions& actions_from);
    [[nodiscard]] Table* make_table(std::uint32_t size);

    std::uint16_t port;
    Signature signature;
    rte_flow_pattern_template* pattern = nullptr;
    rte_flow_actions_template* actions = nullptr;
    std::deque<Table> tables;  // Their places last: rules point to them.
  };

  static void describe(const Pattern& pattern, const Actions& actions, Signature& out);
  [[nodiscard]] Shape* obtain_shape(const Pattern& pattern, const Actions& actions);
  [[nodiscard]] Table* obtain_table(Shape& shape);
  [[nodiscard]] void* mark(Tag tag) const;
  [[nodiscard]] bool try_discard(const CardRule& rule);
  void finish_discard(std::uint32_t place, bool is_done);

  std::uint16_t port_;
  std::uint32_t size_;
  std::vector<std::unique_ptr<Shape>> shapes_;
  std::vector<Completion> ended_;  // Operations that the port has refused at once.
  // Refused rules: to be destroyed, being destroyed (by place, of which some are free), destroyed.
  std::vector<CardRule> to_discard_;
  std::vector<CardRule> discarding_;
  std::vector<std::uint32_t> free_places_;
  std::vector<CardRule> discarded_;
  std::uint32_t discarding_count_ = 0;
  Nanos next_discard_ = 0;
  Nanos discard_pause_ = 0;  // Grows while the port takes none.
  std::uint32_t under_way_ = 0;
  std::uint32_t leftovers_ = 0;  // Operations of earlier epochs without a result.
  std::uint16_t epoch_ = 0;      // Of resets: results of an earlier one are nobody's.
  bool has_postponed_ = false;
  Signature scratch_;
};

}  // namespace gannet::offload
