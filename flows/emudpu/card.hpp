// SPDX-License-Identifier: BSD-3-Clause
// The card: its ports, its tables and all rules in them. Control threads call it under its lock,
// which it takes itself in every public function that changes something; the ASIC thread (asic.hpp)
// reads tables and rules inside an epoch. destroy() and its kin return only when no packet can
// still use the rule.
#pragma once

#include "flows/emudpu/actions.hpp"
#include "flows/emudpu/ages.hpp"
#include "flows/emudpu/faults.hpp"
#include "flows/emudpu/meter.hpp"
#include "flows/emudpu/port.hpp"
#include "flows/emudpu/profile.hpp"
#include "flows/emudpu/slab.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <rte_flow.h>

namespace gannet::emudpu {

class Asic;
class Templates;

struct CardConfig {
  std::string name;
  Profile profile;
  std::string uplink;              // Name of the ethdev; empty: no cable.
  std::vector<std::string> vfs;    // The same for each VF.
  std::vector<bool> representors;  // Which VFs get one.
  int core = -1;                   // To which the ASIC thread is pinned.
  bool spins = false;
  bool is_manual = false;     // No thread: a test turns the ASIC.
  std::uint32_t buffers = 0;  // In the card's pool; 0: by the number of ports.
};

/// What happened to rules since start.
struct RuleCounters {
  std::uint64_t inserted = 0;
  std::uint64_t destroyed = 0;
  std::uint64_t refused_by_check = 0;  // Items, actions, attributes.
  std::uint64_t refused_full = 0;
  std::uint64_t refused_by_fault = 0;
  std::uint64_t lost_by_reset = 0;
  std::uint64_t refused_handles = 0;  // Calls with one that is not the caller's, or not yet.
};

/// A rule that has been checked and compiled, but is not in a table.
struct RulePlan {
  std::uint16_t port = 0;
  Domain domain = Domain::kTransfer;
  std::uint32_t group = 0;
  std::uint32_t priority = 0;
  std::uint32_t expected_rules = 0;
  Match match;
  ParsedActions actions;
};

class Card final : public ActionTargets {
 public:
  explicit Card(CardConfig config);
  ~Card() override;
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  /// Once the ports have their wires. The card takes packets from then on.
  void start_asic(rte_mempool* pool);
  void stop_asic();
  void set_pool(rte_mempool* pool) { pool_ = pool; }
  [[nodiscard]] rte_mempool* pool() const { return pool_; }
  [[nodiscard]] std::uint16_t switch_domain() const { return switch_domain_; }

  [[nodiscard]] const CardConfig& config() const { return config_; }
  [[nodiscard]] const Profile& profile() const { return config_.profile; }
  [[nodiscard]] std::vector<std::unique_ptr<Port>>& ports() { return ports_; }
  [[nodiscard]] Faults& faults() { return faults_; }
  [[nodiscard]] Asic& asic() { return *asic_; }
  [[nodiscard]] Templates& templates() { return *templates_; }
  [[nodiscard]] std::mutex& lock() { return lock_; }

  // Rules. On failure null or a negative errno, with `error` filled in and rte_errno set.
  [[nodiscard]] int validate(Port& port, const rte_flow_attr& attr, const rte_flow_item* items,
                             const rte_flow_action* actions, rte_flow_error* error);
  [[nodiscard]] Rule* create(Port& port, const rte_flow_attr& attr, const rte_flow_item* items,
                             const rte_flow_action* actions, rte_flow_error* error);
  [[nodiscard]] int destroy(Rule* rule, rte_flow_error* error);
  /// What a flow queue has under way stays. \return a negative errno if the card keeps a rule: its
  /// handle is lost all the same.
  [[nodiscard]] int flush(Port& port, rte_flow_error* error);
  /// The port is gone.
  void close(Port& port);
  [[nodiscard]] int query(Rule* rule, const rte_flow_action* action, void* data,
                          rte_flow_error* error);
  [[nodiscard]] int aged_flows(Port& port, void** contexts, std::uint32_t room,
                               rte_flow_error* error);
  [[nodiscard]] int isolate(Port& port, bool is_isolated);

  // Indirect COUNT and AGE.
  [[nodiscard]] IndirectAction* create_indirect(Port& port, const rte_flow_action& action,
                                                rte_flow_error* error);
  [[nodiscard]] int destroy_indirect(IndirectAction* action, rte_flow_error* error);
  [[nodiscard]] int update_indirect(IndirectAction* action, const void* update,
                                    rte_flow_error* error);
  [[nodiscard]] int query_indirect(const IndirectAction* action, void* data, rte_flow_error* error);

  // Meters (meter_ops.cpp).
  [[nodiscard]] MeterStore& meters() { return meters_; }

  /// All rules are gone; the program is told by RTE_ETH_EVENT_INTR_RESET.
  void reset();

  // With the lock held: what the template API shares with the above.
  [[nodiscard]] Rule* plan_to_rule(RulePlan& plan, rte_flow_error* error);
  void put_into_force(Rule* rule);
  /// Takes a rule out of force; finish_withdrawal() frees it once the ASIC thread cannot hold it.
  [[nodiscard]] int begin_withdrawal(Rule* rule, rte_flow_error* error);
  void finish_withdrawal(Rule* rule) { forget(rule); }
  /// A rule that the card keeps, and nobody can name any more.
  void lose_handle(Rule* rule);
  /// Answers a call with a handle that it may not use.
  int refuse_handle(int code, const void* handle, const char* message, rte_flow_error* error);
  /// What the next insertion fails with, or 0.
  [[nodiscard]] int draw_insertion_fault();
  /// When the card will have carried out one more insertion.
  [[nodiscard]] Nanos schedule_insertion();
  [[nodiscard]] GroupTable* find_table(Domain domain, std::uint16_t port, std::uint32_t group);

  // ActionTargets.
  [[nodiscard]] int find_index(std::uint32_t port_id) const override;
  [[nodiscard]] GroupTable* obtain_table(Domain domain, std::uint16_t port,
                                         std::uint32_t group) override;
  [[nodiscard]] Meter* find_meter(std::uint16_t port, std::uint32_t id) override;
  [[nodiscard]] std::uint16_t rx_queue_count(std::uint16_t port) const override;
  [[nodiscard]] bool is_alive(const IndirectAction* action) const override;

  [[nodiscard]] Epoch& epoch() { return epoch_; }
  [[nodiscard]] AgeStore& ages() { return ages_; }
  [[nodiscard]] const std::vector<PortTables>& port_tables() const { return port_tables_; }
  [[nodiscard]] const GroupTable& transfer_root() const { return *transfer_root_; }
  [[nodiscard]] const std::unordered_map<std::uint64_t, std::unique_ptr<GroupTable>>& tables()
      const {
    return tables_;
  }
  [[nodiscard]] const RuleCounters& rule_counters() const { return rule_counters_; }
  [[nodiscard]] std::uint32_t rules_in_use() const { return rules_in_use_; }
  [[nodiscard]] std::uint32_t rules_without_handle() const { return rules_without_handle_; }
  [[nodiscard]] std::uint32_t counters_in_use() const { return counters_in_use_; }
  [[nodiscard]] std::uint32_t ages_in_use() const { return ages_in_use_; }
  /// The time that the ASIC goes by.
  [[nodiscard]] Nanos now() const;

 private:
  [[nodiscard]] int plan(Port& port, const rte_flow_attr& attr, const rte_flow_item* items,
                         const rte_flow_action* actions, RulePlan& out, rte_flow_error* error);
  [[nodiscard]] int check_room(const ParsedActions& actions, rte_flow_error* error) const;
  [[nodiscard]] int attach(Rule& rule, RulePlan& plan);
  void release_indirect(IndirectAction& action);
  void spoil(Rule& rule);
  void forget(Rule* rule);
  void free_rule(Rule* rule);
  [[nodiscard]] int clear(Port& port, bool may_fail);
  void wait_for_card(Nanos due) const;

  CardConfig config_;
  rte_mempool* pool_ = nullptr;
  std::uint16_t switch_domain_ = RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID;
  std::vector<std::unique_ptr<Port>> ports_;
  std::mutex lock_;
  Epoch epoch_;
  Slab slab_;
  AgeStore ages_;
  Faults faults_;
  std::unordered_map<std::uint64_t, std::unique_ptr<GroupTable>> tables_;
  std::vector<PortTables> port_tables_;
  GroupTable* transfer_root_ = nullptr;
  static constexpr std::size_t kIndirectBlock = 4096;
  std::vector<std::unique_ptr<IndirectAction[]>>
      indirect_blocks_;  // Kept: handles stay recognisable.
  std::vector<IndirectAction*> free_indirect_;
  MeterStore meters_;
  RuleCounters rule_counters_;
  std::uint32_t rules_in_use_ = 0;
  std::uint32_t rules_without_handle_ = 0;
  std::uint32_t counters_in_use_ = 0;
  std::uint32_t ages_in_use_ = 0;
  Nanos next_insertion_ = 0;
  std::unique_ptr<Templates> templates_;
  std::unique_ptr<Asic> asic_;
};

}  // namespace gannet::emudpu
