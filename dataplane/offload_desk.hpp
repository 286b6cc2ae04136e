// SPDX-License-Identifier: BSD-3-Clause
// A worker's side of offload: decides which flows have earned a rule, writes it in full, orders its
// installation and removal, and takes the answers. It never waits: what cannot be ordered now stays
// in software, with a reason.
//
// When a flow goes to the card: it has been forwarded from the flow table, its connection has
// carried min_packets, and, of TCP, is established (O3). When it leaves: the connection closes or
// is cut, the policy makes something else of it, the card says so.
//
// Owned by one worker; free of DPDK. A packet of a flow on the card costs nothing here; one of a
// flow in software one compare of a byte that has been loaded anyway.
#pragma once

#include "dataplane/free_slots.hpp"
#include "dataplane/neighbors.hpp"
#include "dataplane/snapshot.hpp"
#include "dataplane/stats.hpp"
#include "flows/flow_table.hpp"
#include "flows/offload/exchange.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace gannet::dataplane {

struct OffloadDeskConfig {
  static constexpr std::uint16_t kNotOnCard = 0xffff;
  std::vector<std::uint16_t> ethdevs;  // By dataplane port: the representor, or kNotOnCard.
  std::uint32_t min_packets = 1;
  bool is_strict_tcp = false;
  std::uint16_t guard_ip_bytes = 0xffff;  // Longer packets come to software, whatever their rule.
  std::uint32_t ip4_capacity = 1;         // Connections.
  std::uint32_t ip6_capacity = 1;
};

class OffloadDesk final {
 public:
  OffloadDesk(const OffloadDeskConfig& config, offload::Exchange& exchange,
              const NeighborTable& neighbors, WorkerStats& stats);

  /// What a packet in software was, as far as a rule would look at it.
  struct Sight {
    std::uint8_t tos = 0;
    std::uint16_t ip_bytes = 0;
  };

  /// A packet of a flow whose state is above kRefused has been forwarded in software.
  template <typename Key>
  void notice(flows::FlowTable<Key>& table, flows::FlowRef ref, Sight sight, const Snapshot& policy,
              Nanos now);

  /// The connection's flows have been composed or attached anew: a rule that no longer says the
  /// same goes, and what was refused may be asked for again.
  template <typename Key>
  void conform(flows::FlowTable<Key>& table, std::uint32_t index, const Snapshot& policy);

  /// The connection's rules go. With `is_ending` the record is about to be released.
  template <typename Key>
  void withdraw(flows::FlowTable<Key>& table, std::uint32_t index, bool is_ending);

  /// Whether a connection that has been idle in software has been idle on the card too. If that is
  /// not known yet, it is asked; `on_idle` of read_answers() says when to come again.
  template <typename Key>
  [[nodiscard]] bool is_idle_on_card(std::uint32_t index);

  /// Whether each of a connection's flows that takes itself for one on the card has a slot, and
  /// each slot that flow. What has not is put back to software, and counted; no message that is
  /// under way makes a difference, as all this is the worker's own.
  template <typename Key>
  void check(flows::FlowTable<Key>& table, std::uint32_t index);

  /// What was refused for good may be asked for again; with `waiting_too` what waits for more
  /// packets need not.
  template <typename Key>
  static void offer_again(flows::Connection<Key>& connection, bool waiting_too) {
    for (auto& flow : connection.flows) {
      const bool is_due = flow.offload.state == flows::OffloadState::kRefused ||
                          (waiting_too && flow.offload.state == flows::OffloadState::kWaiting);
      if (is_due) flow.offload.state = flows::OffloadState::kCandidate;
    }
  }

  /// Answers that have been taken, and those with the ones that are waiting.
  [[nodiscard]] std::uint64_t taken_answers() const { return taken_answers_; }
  [[nodiscard]] std::uint64_t sent_answers() const {
    return taken_answers_ + exchange_.answers.size();
  }

  /// Takes answers, at most `budget`. Calls on_idle4(index) or on_idle6(index) for connections that
  /// is_idle_on_card() asked about and that are idle indeed.
  template <typename OnIdle4, typename OnIdle6>
  unsigned read_answers(flows::Ip4FlowTable& v4, flows::Ip6FlowTable& v6, Nanos now,
                        unsigned budget, OnIdle4&& on_idle4, OnIdle6&& on_idle6) {
    offload::Answer answer;
    unsigned count = 0;
    for (; count < budget && exchange_.answers.try_pop(answer); ++count) {
      const Use use = uses_[answer.slot];
      if (use.family == Family::kIpv4) {
        if (take(v4, answer, now)) on_idle4(use.connection);
      } else if (take(v6, answer, now)) {
        on_idle6(use.connection);
      }
    }
    taken_answers_ += count;
    return count;
  }

  /// Everything that was ordered so far conforms to a generation. \return false: say it again
  /// later.
  [[nodiscard]] bool mark_generation(std::uint32_t generation);

  /// Rules on the card or on their way to it or from it.
  [[nodiscard]] std::uint32_t used_count() const { return used_count_; }

 private:
  enum class UseState : std::uint8_t { kFree, kInstalling, kInstalled, kRemoving };
  // Of a slot; the part of it that only the worker knows.
  struct Use {
    std::uint32_t connection = flows::kNoConnection;
    std::uint32_t epoch = 0;  // Of the connection's record: another one means that it has ended.
    std::uint32_t serial = 0;
    std::uint16_t in_port = 0;  // Dataplane ports.
    std::uint16_t out_port = 0;
    UseState state = UseState::kFree;
    Family family = Family::kIpv4;
    flows::Direction direction = flows::Direction::kForward;
    bool is_asked = false;    // A kCheck is under way.
    bool is_idle = false;     // The last one said that there was nothing.
    std::uint16_t flags = 0;  // flows::ActionFlags, for counting bytes.
  };

  template <typename Key>
  [[nodiscard]] std::vector<std::uint32_t>& slots() {
    return sizeof(Key) == sizeof(flows::Ip4Key) ? v4_slots_ : v6_slots_;
  }
  template <typename Key>
  [[nodiscard]] std::uint32_t& slot_of(std::uint32_t index, flows::Direction direction) {
    return slots<Key>()[2 * std::size_t{index} + static_cast<std::size_t>(direction)];
  }
  // Of each record, how many connections it has held on the card's account.
  template <typename Key>
  [[nodiscard]] std::vector<std::uint32_t>& epochs() {
    return sizeof(Key) == sizeof(flows::Ip4Key) ? v4_epochs_ : v6_epochs_;
  }
  template <typename Key>
  [[nodiscard]] bool is_alive(const Use& use) {
    return epochs<Key>()[use.connection] == use.epoch;
  }
  template <typename Key>
  void order(flows::FlowTable<Key>& table, flows::FlowRef ref, std::uint8_t tos,
             std::uint32_t packets_per_second, const Snapshot& policy, Nanos now);
  template <typename Key>
  void notice_stray(flows::FlowTable<Key>& table, flows::FlowRef ref, Sight sight, Nanos now);
  template <typename Key>
  [[nodiscard]] offload::Refusal resolve(const flows::Connection<Key>& connection,
                                         flows::Direction direction, std::uint8_t tos,
                                         const Snapshot& policy, offload::Rule& rule,
                                         Use& use) const;
  [[nodiscard]] offload::Refusal resolve_ports(flows::Zone zone, const flows::NextHop& hop,
                                               const Snapshot& policy, offload::Rule& rule,
                                               Use& use) const;
  template <typename Key>
  bool take(flows::FlowTable<Key>& table, const offload::Answer& answer, Nanos now);
  template <typename Key>
  void count(flows::FlowTable<Key>& table, const Use& use, const offload::Answer& answer);
  template <typename Key>
  [[nodiscard]] bool has_rule_in_force(flows::FlowTable<Key>& table, std::uint32_t slot);
  template <typename Key>
  void answer_look(flows::FlowTable<Key>& table, const offload::Answer& look);
  template <typename Key>
  void note_software(flows::FlowTable<Key>& table, std::uint32_t index);
  template <typename Key>
  void give_back(flows::FlowTable<Key>& table, const offload::Answer& answer, Nanos now);
  void remove(std::uint32_t slot);
  // Anything but a removal. \return false: not now.
  [[nodiscard]] bool try_order(const offload::Order& order) {
    return exchange_.may_order() && exchange_.orders.try_push(order);
  }

  OffloadDeskConfig config_;
  offload::Exchange& exchange_;
  const NeighborTable& neighbors_;
  WorkerStats& stats_;
  std::vector<Use> uses_;  // By slot.
  FreeSlots free_;
  std::vector<std::uint32_t> v4_slots_;  // By connection and direction.
  std::vector<std::uint32_t> v6_slots_;
  std::vector<std::uint32_t> v4_epochs_;  // By connection.
  std::vector<std::uint32_t> v6_epochs_;
  offload::Rule scratch_;
  std::uint64_t taken_answers_ = 0;
  std::uint32_t used_count_ = 0;
};

}  // namespace gannet::dataplane
