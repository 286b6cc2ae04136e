// SPDX-License-Identifier: BSD-3-Clause
// How rules get onto a port and off it: operations are begun, sent on together, and their ends
// taken later, in whatever order the port has carried them out. Two ports of entry have this shape:
// PlainQueue for ports that know only rte_flow_create(), where an operation ends at once, and
// TemplateQueue for those with template tables and flow queues. Offload thread only.
#pragma once

#include "flows/offload/card.hpp"
#include "flows/offload/compile.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace gannet::offload {

class RuleQueue {
 public:
  virtual ~RuleQueue() = default;

  /// Begins to put a flow's rule in force. \return kNone: a completion with this tag will follow.
  /// Else nothing is left of it.
  [[nodiscard]] virtual Refusal begin_create(const Pattern& pattern, const Actions& actions,
                                             CardRule& out, Tag tag) = 0;
  /// Begins to take a rule out of force; a completion follows in any case. The rule has a handle
  /// afterwards if nothing has been begun.
  virtual void begin_destroy(CardRule& rule, Tag tag) = 0;
  /// Takes over a rule whose creation has ended badly: its handle has to be destroyed all the same.
  virtual void discard(const CardRule& rule) = 0;
  /// Goes on destroying them. \return whether anything was begun.
  virtual bool begin_discards(Nanos now) = 0;
  /// Gives one back of which no handle is left. \return false if there is none.
  [[nodiscard]] virtual bool take_discarded(CardRule& rule) = 0;
  /// Rules that have been taken over and not given back.
  [[nodiscard]] virtual std::size_t discard_count() const = 0;
  /// How many more operations may be begun now.
  [[nodiscard]] virtual std::size_t room() const = 0;
  /// Sends on what has been begun.
  virtual void push() = 0;
  /// Takes ends of operations. \return how many.
  [[nodiscard]] virtual unsigned pull(std::span<Completion> completions) = 0;
  /// The card has lost all rules: whatever is under way is of no interest any more.
  virtual void forget() = 0;
  /// Whether what was under way then may still come; it is waited for by further calls.
  [[nodiscard]] virtual bool has_leftovers() const = 0;
  /// Tables that have been made for rules.
  [[nodiscard]] virtual std::size_t table_count() const = 0;
};

/// Operations that may be under way at once.
inline constexpr unsigned kMaxUnderWay = 1'024;

/// What the errno of a refusal says.
[[nodiscard]] Refusal refusal_of(int error);

/// By rte_flow_create() and rte_flow_destroy().
class PlainQueue final : public RuleQueue {
 public:
  explicit PlainQueue(std::uint16_t port) : port_(port) {}

  [[nodiscard]] Refusal begin_create(const Pattern& pattern, const Actions& actions, CardRule& out,
                                     Tag tag) override;
  void begin_destroy(CardRule& rule, Tag tag) override;
  void discard(const CardRule&) override {}  // A creation that fails leaves no handle.
  bool begin_discards(Nanos) override { return false; }
  [[nodiscard]] bool take_discarded(CardRule&) override { return false; }
  [[nodiscard]] std::size_t discard_count() const override { return 0; }
  [[nodiscard]] std::size_t room() const override { return kMaxUnderWay - ended_.size(); }
  void push() override {}
  [[nodiscard]] unsigned pull(std::span<Completion> completions) override;
  void forget() override { ended_.clear(); }
  [[nodiscard]] bool has_leftovers() const override { return false; }
  [[nodiscard]] std::size_t table_count() const override { return 0; }

 private:
  std::uint16_t port_;
  std::vector<Completion> ended_;
};

}  // namespace gannet::offload
