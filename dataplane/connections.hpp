// SPDX-License-Identifier: BSD-3-Clause
// The connections of one worker: opening them after a decision, tracking their packets, judging
// them again when the policy has changed, ageing them and ending them. Everything that must happen
// together when a connection comes or goes (flow table, NAT mapping, quota, redirects on other
// workers) happens here and nowhere else. Owned by one worker.
//
// Its functions are where they are about one thing: opening, reevaluation, sweep (all connections
// after a change of policy), ownership (workers and redirects), allowances (of an ENI), on_card;
// connections has the rest of a connection's life.
#pragma once

#include "dataplane/compose.hpp"
#include "dataplane/first_packet.hpp"
#include "dataplane/judge.hpp"
#include "dataplane/messages.hpp"
#include "dataplane/nat_mappings.hpp"
#include "dataplane/offload_desk.hpp"
#include "dataplane/token_bucket.hpp"
#include "flows/flow_table.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace gannet::dataplane {

/// What tracking is told at start; times in ticks.
struct TrackingConfig {
  std::array<Ticks, static_cast<std::size_t>(flows::TimeoutClass::kCount)> timeouts{};
  bool picks_up_midstream = false;
  Nanos picks_up_until = 0;  // And always before this time: after a cold start (R6).
  std::uint16_t worker = 0;
  std::uint16_t worker_count = 1;
  std::uint32_t ip4_capacity = 1;
  std::uint32_t ip6_capacity = 1;
  bool use_huge_pages = false;
};

/// Redirects that a worker with so many connections may have at each of the others, and how many
/// fit with each of those. Every connection may have one where no more than four workers share the
/// memory that this takes.
[[nodiscard]] constexpr std::uint32_t redirect_share(std::uint32_t capacity,
                                                     unsigned worker_count) {
  constexpr unsigned kMostTimes = 3;
  if (worker_count <= kMostTimes + 1) return capacity;
  const std::uint64_t room = std::uint64_t{kMostTimes} * capacity;
  return static_cast<std::uint32_t>((room + worker_count - 2) / (worker_count - 1));
}
[[nodiscard]] constexpr std::uint32_t redirect_room(std::uint32_t capacity, unsigned worker_count) {
  return redirect_share(capacity, worker_count) * (worker_count - 1);
}

/// A packet whose flow has been found or made.
struct Admission {
  DropReason reason = DropReason::kNone;
  flows::FlowRef flow;
  std::uint32_t rule = flows::kNoRule;  // That denied.
};

/// What opening a connection has to know of its first packet.
struct PacketFacts {
  const flows::TcpSegment* tcp = nullptr;  // Of TCP.
  std::uint8_t ttl = 0;
  Nanos now = 0;
};

class Connections final {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Connections>> create(const TrackingConfig& config,
                                                                   const flows::HashSeed& seed,
                                                                   Nanos now, Mailbox mailbox);

  [[nodiscard]] flows::Ip4FlowTable& v4() { return *v4_; }
  [[nodiscard]] flows::Ip6FlowTable& v6() { return *v6_; }
  template <typename Key>
  [[nodiscard]] flows::FlowTable<Key>& table() {
    if constexpr (sizeof(Key) == sizeof(flows::Ip4Key)) {
      return *v4_;
    } else {
      return *v6_;
    }
  }

  /// Judges a first packet and, if it may, opens its connection. `replaces` is a finished
  /// connection of the same tuple, ended only if the new one may be opened; kNoConnection
  /// otherwise.
  template <typename Key>
  [[nodiscard]] Admission open(FirstPacket& first, const PacketFacts& facts,
                               std::uint32_t replaces);

  /// Brings a flow that a packet has hit up to the policy and to the way in which the packet came:
  /// re-evaluates after a policy change, attaches the reverse flow to its first reply.
  /// With policy_changed in the admission the connection is gone and the packet may open a new one;
  /// handover_full says that it would be, but another worker has to be told first.
  template <typename Key>
  [[nodiscard]] Admission refresh(flows::FlowRef ref, const Ingress& in, const Snapshot& policy,
                                  Ticks now, bool is_reply);

  /// Tracks a TCP segment of a flow; the timeout follows the state.
  template <typename Key>
  [[nodiscard]] flows::TcpVerdict track(flows::FlowRef ref, const flows::TcpSegment& segment,
                                        Ticks now);

  /// From now on flows may go to a card; the desk outlives this.
  void set_offload(OffloadDesk* desk) { desk_ = desk; }
  /// A flow's packet has been forwarded in software though the flow could be on a card.
  template <typename Key>
  void notice(flows::FlowRef ref, OffloadDesk::Sight sight, const Snapshot& policy, Nanos now) {
    desk_->notice(table<Key>(), ref, sight, policy, now);
  }
  /// Takes what the offload thread has to say, at most `budget` messages. \return how many.
  unsigned read_offload_answers(Nanos now, unsigned budget);
  /// A walk that lets refused flows ask again.
  struct Offer {
    std::uint64_t cursor = 0;
    std::uint64_t after_answers = 0;  // They are to be taken first.
  };
  [[nodiscard]] Offer begin_offer() const { return {0, desk_ ? desk_->sent_answers() : 0}; }
  /// Goes on, at most `budget` records. \return true when all have been seen.
  bool offer_again(Offer& offer, unsigned budget);
  /// Compares with the desk what connections take to be on the card, at most `budget` records, one
  /// round after the other.
  void check_offload(unsigned budget);

  /// Counts a packet for its flow, and keeps the connection alive if `refreshes`.
  template <typename Key>
  void account(flows::FlowRef ref, std::uint32_t frame_bytes, Ticks now, bool refreshes) {
    flows::account(table<Key>()[ref.connection()].shared, ref.direction(), frame_bytes, now,
                   refreshes);
  }

  /// Lets the connections of flows that packets are about to hit take over a new policy, where it
  /// does not concern them: then their packets need no slow path. Their lines of memory are on
  /// their way. Costs some ten nanoseconds each, and nothing when is_settled().
  template <typename Key>
  void bring_up(std::span<const flows::FlowRef> flows, const Snapshot& policy);
  /// Whether no connection is left of an older policy.
  [[nodiscard]] bool is_settled(const Snapshot& policy) const {
    return settled_generation_ == policy.generation;
  }

  /// Ages connections and port mappings, at most `budget` of each. \return how many ended.
  unsigned age(Ticks now, unsigned budget);
  /// Brings connections of older policies up to this one, at most `budget`: those that its changes
  /// may concern are judged again.
  /// \return true when none is left that was there when the policy came.
  bool sweep(const Snapshot& policy, Ticks now, unsigned budget);

  /// Ends a connection now. \return false if another worker has to be told first and cannot yet;
  /// the connection then ends by itself shortly.
  template <typename Key>
  bool close(std::uint32_t index, Ticks now);

  /// The other workers' side of redirects. \return false if there is no room, or the key is that of
  /// a connection here.
  template <typename Key>
  [[nodiscard]] bool add_redirect(const Key& key, std::uint16_t owner);
  template <typename Key>
  void remove_redirect(const Key& key, std::uint16_t owner);
  /// Another worker had no room for the redirect to the connection whose reverse flow has this key.
  template <typename Key>
  void redirect_refused(const Key& key, Ticks now);
  /// Takes what the other workers have to say about redirects. To be called before a packet is
  /// judged that belongs to no connection here, which what it brings may change. \return how much
  /// that was.
  unsigned read_notices(Ticks now);

  /// Which worker judges a packet that belongs to no connection (docs/decisions/ownership.md).
  [[nodiscard]] std::uint16_t natural_owner(const Snapshot& policy, flows::Zone zone,
                                            const IpTuple& tuple) const;

  /// A token for an ICMP error about a packet of the zone; rate-limited for each ENI or VPC (G22).
  [[nodiscard]] bool may_send_icmp_error(flows::Zone zone, Nanos now);
  /// The same for telling the control thread what a backend says to a probe: nobody may fill the
  /// ring.
  [[nodiscard]] bool may_answer_probe(flows::Zone zone, Nanos now);

  /// The same for the log of rules.
  [[nodiscard]] bool may_log(flows::Zone zone, Nanos now);

  [[nodiscard]] const TrackingConfig& config() const { return config_; }
  [[nodiscard]] Judge& judge() { return judge_; }
  [[nodiscard]] const NatMappings& mappings() const { return mappings_; }
  [[nodiscard]] std::uint32_t connection_count(std::uint16_t eni) const {
    return usage_[eni].connection_count;
  }
  /// Connections of both families; redirects to other workers are none.
  [[nodiscard]] std::uint32_t connection_total() const {
    return v4_->used_count() + v6_->used_count();
  }
  /// Connections evicted because the table was full.
  [[nodiscard]] std::uint64_t evicted_count() const { return evicted_count_; }
  /// After changes of policy: how often a connection was judged again, and how often one that the
  /// change does not concern has taken over the generation.
  [[nodiscard]] std::uint64_t reevaluated_count() const { return reevaluated_count_; }
  [[nodiscard]] std::uint64_t adopted_count() const { return adopted_count_; }

 private:
  struct EniUsage {
    std::uint32_t connection_count = 0;
    TokenBucket new_connections;
    TokenBucket icmp_errors;
    TokenBucket probe_answers;
    TokenBucket log_entries;
  };

  Connections(const TrackingConfig& config, std::unique_ptr<flows::Ip4FlowTable> v4,
              std::unique_ptr<flows::Ip6FlowTable> v6, NatMappings mappings, Mailbox mailbox);

  [[nodiscard]] Ticks timeout(flows::TimeoutClass c) const {
    return config_.timeouts[static_cast<std::size_t>(c)];
  }
  template <typename Key>
  [[nodiscard]] Ticks timeout_of(const flows::Connection<Key>& connection) const;
  [[nodiscard]] DropReason charge(const FirstPacket& first, std::uint16_t eni, Nanos now);
  template <typename Key>
  [[nodiscard]] std::uint32_t allocate(Ticks now);
  template <typename Key>
  [[nodiscard]] DropReason compose_flows(FirstPacket& first, const Way& way,
                                         flows::Connection<Key>& connection, std::uint32_t replaces,
                                         std::uint64_t& reverse_hash);
  template <typename Key>
  [[nodiscard]] std::uint32_t& redirects_at(std::uint16_t worker) {
    return redirects_at_[sizeof(Key) == sizeof(flows::Ip4Key) ? 0 : 1][worker];
  }
  template <typename Key>
  [[nodiscard]] bool tell(std::uint16_t worker, NoticeKind kind, const Key& key);
  template <typename Key>
  void take_notice(const Notice& notice, const Key& key, Ticks now);
  template <typename Key>
  [[nodiscard]] bool announce_redirect(std::uint32_t index, std::uint16_t worker);
  template <typename Key>
  [[nodiscard]] bool make_redirect_room(std::uint16_t worker, std::uint32_t replaces, Ticks now);
  template <typename Key>
  void start(std::uint32_t index, const FirstPacket& first, const PacketFacts& facts);
  template <typename Key>
  [[nodiscard]] bool adopt(std::uint32_t index, const Snapshot& policy, unsigned& looks);
  template <typename Key>
  [[nodiscard]] DropReason reevaluate(std::uint32_t index, const Snapshot& policy, Ticks now,
                                      std::uint32_t& rule);
  template <typename Key>
  [[nodiscard]] DropReason judge_again(std::uint32_t index, const Snapshot& policy, Ticks now,
                                       std::uint32_t& rule);
  template <typename Key>
  [[nodiscard]] DropReason attach_direction(flows::Connection<Key>& connection,
                                            flows::Direction direction, const Ingress& in,
                                            const Snapshot& policy);
  template <typename Key>
  void on_due(std::uint32_t index, Ticks now);
  template <typename Key>
  void follow_state(std::uint32_t index);
  template <typename Key>
  bool sweep_table(const Snapshot& policy, Ticks now, unsigned budget, std::uint32_t& cursor);

  TrackingConfig config_;
  std::unique_ptr<flows::Ip4FlowTable> v4_;
  std::unique_ptr<flows::Ip6FlowTable> v6_;
  NatMappings mappings_;
  Judge judge_;
  std::vector<EniUsage> usage_;  // By ENI index.
  // Of connections here, by the worker that knows of them; IPv4 and IPv6.
  std::array<std::vector<std::uint32_t>, 2> redirects_at_;
  TokenBucket outside_icmp_errors_;  // About packets of no ENI.
  TokenBucket outside_probe_answers_;
  TokenBucket outside_log_entries_;
  Mailbox mailbox_;
  OffloadDesk* desk_ = nullptr;  // Null: there is no card.
  std::uint64_t evicted_count_ = 0;
  std::uint64_t reevaluated_count_ = 0;
  std::uint64_t adopted_count_ = 0;
  std::uint32_t swept_generation_ = 0;    // That the cursors go with.
  std::uint32_t settled_generation_ = 0;  // That all connections have.
  std::uint32_t v4_cursor_ = 0;
  std::uint32_t v6_cursor_ = 0;
  std::uint64_t check_cursor_ = 0;
};

}  // namespace gannet::dataplane
