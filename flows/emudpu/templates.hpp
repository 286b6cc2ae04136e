// SPDX-License-Identifier: BSD-3-Clause
// The template API: patterns and actions agreed on beforehand, tables made of them, and queues
// through which rules are created and destroyed without waiting. An operation is carried out when
// it has been pushed and the card's insertion rate and delay allow it; its result is then there to
// be pulled. Control threads, under the card's lock; the ASIC thread calls run_due() if the lock is
// free.
#pragma once

#include "flows/base/time.hpp"

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <vector>

#include <rte_flow.h>

namespace gannet::emudpu {

class Card;
struct IndirectAction;
struct Port;
struct Rule;
struct RulePlan;
struct Shape;

struct PatternTemplate {
  std::vector<std::uint8_t> storage;
  std::uint32_t tables = 0;
  [[nodiscard]] const rte_flow_item* items() const {
    return reinterpret_cast<const rte_flow_item*>(storage.data());
  }
};

struct ActionsTemplate {
  std::vector<std::uint8_t> storage;
  std::vector<bool>
      is_fixed;  // The action's configuration is the template's, whatever a rule says.
  std::uint32_t tables = 0;
  [[nodiscard]] const rte_flow_action* actions() const {
    return reinterpret_cast<const rte_flow_action*>(storage.data());
  }
};

struct TemplateTable {
  Port* port = nullptr;
  rte_flow_attr attr{};
  std::uint32_t capacity = 0;
  std::uint32_t used = 0;
  std::vector<PatternTemplate*> patterns;
  std::vector<ActionsTemplate*> actions;
  std::vector<Shape*> shapes;  // By pattern; null until its first rule.
};

class Templates {
 public:
  explicit Templates(Card& card) : card_(card) {}
  ~Templates();

  // As the rte_flow functions of like names; the caller holds the card's lock.
  [[nodiscard]] int info(rte_flow_port_info& port_info, rte_flow_queue_info* queue_info,
                         rte_flow_error* error) const;
  [[nodiscard]] int configure(Port& port, const rte_flow_port_attr& attr, std::uint16_t queues,
                              const rte_flow_queue_attr* const queue_attrs[],
                              rte_flow_error* error);
  [[nodiscard]] PatternTemplate* create_pattern(Port& port,
                                                const rte_flow_pattern_template_attr& attr,
                                                const rte_flow_item* items, rte_flow_error* error);
  [[nodiscard]] int destroy_pattern(PatternTemplate* pattern, rte_flow_error* error);
  [[nodiscard]] ActionsTemplate* create_actions(Port& port,
                                                const rte_flow_actions_template_attr& attr,
                                                const rte_flow_action* actions,
                                                const rte_flow_action* masks,
                                                rte_flow_error* error);
  [[nodiscard]] int destroy_actions(ActionsTemplate* actions, rte_flow_error* error);
  [[nodiscard]] TemplateTable* create_table(Port& port, const rte_flow_template_table_attr& attr,
                                            PatternTemplate* const patterns[],
                                            unsigned pattern_count,
                                            ActionsTemplate* const actions[],
                                            unsigned actions_count, rte_flow_error* error);
  [[nodiscard]] int destroy_table(TemplateTable* table, rte_flow_error* error);

  [[nodiscard]] Rule* create_rule(Port& port, std::uint32_t queue, bool postpone,
                                  TemplateTable* table, const rte_flow_item* pattern,
                                  unsigned pattern_index, const rte_flow_action* actions,
                                  unsigned actions_index, void* user_data, rte_flow_error* error);
  [[nodiscard]] int destroy_rule(Port& port, std::uint32_t queue, bool postpone, Rule* rule,
                                 void* user_data, rte_flow_error* error);
  [[nodiscard]] int push(Port& port, std::uint32_t queue, rte_flow_error* error);
  [[nodiscard]] int pull(Port& port, std::uint32_t queue, rte_flow_op_result* results,
                         std::uint16_t room, rte_flow_error* error);
  /// An operation that has been carried out already (indirect actions) and wants its result pulled.
  [[nodiscard]] int complete(Port& port, std::uint32_t queue, bool succeeded, void* user_data,
                             rte_flow_error* error);
  /// Whether the queue takes one more operation.
  [[nodiscard]] int check_room(Port& port, std::uint32_t queue, rte_flow_error* error);

  void run_due(Nanos now);
  /// A reset of the card: what is on its way fails.
  void fail_all();
  /// Results that wait for a port's queues are of rules that may be gone.
  void forget_results(const Port& port);

 private:
  struct Operation {
    Rule* rule = nullptr;
    TemplateTable* table = nullptr;  // Of an insertion; null for a destruction.
    void* user_data = nullptr;
    Nanos due = 0;
    bool fails = false;  // A fault was drawn for it.
  };
  struct Result {
    rte_flow_op_result result;
    Rule* rule;  // Of a creation; else null.
  };
  struct Queue {
    std::uint32_t size = 0;
    std::uint32_t outstanding = 0;  // Not pulled.
    std::deque<Operation> postponed;
    std::deque<Operation> in_flight;  // In the order of `due`.
    std::deque<Result> done;
  };

  [[nodiscard]] Queue* find_queue(const Port& port, std::uint32_t queue);
  [[nodiscard]] int plan(TemplateTable& table, const rte_flow_item* pattern, unsigned pattern_index,
                         const rte_flow_action* actions, unsigned actions_index, RulePlan& out,
                         rte_flow_error* error);
  void pin_shape(TemplateTable& table, unsigned pattern_index, Rule& rule);
  void submit(Queue& queue);
  void run(Queue& queue, Nanos now);
  [[nodiscard]] bool insert(const Operation& operation);
  [[nodiscard]] int check_destruction(const Port& port, std::uint32_t queue, const Rule* rule,
                                      rte_flow_error* error);
  static void forget_results(Queue& queue);

  Card& card_;
  std::vector<std::vector<Queue>> queues_;  // By port.
  std::list<PatternTemplate> patterns_;
  std::list<ActionsTemplate> actions_;
  std::list<TemplateTable> tables_;
  std::vector<Rule*> withdrawn_;
};

}  // namespace gannet::emudpu
