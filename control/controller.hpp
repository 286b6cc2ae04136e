// SPDX-License-Identifier: BSD-3-Clause
// The controller holds what is in force and changes it as a whole: it decodes, validates and
// compiles a policy completely before the dataplane sees anything of it, and remembers what was in
// force before. Control thread only.
#pragma once

#include "control/compile/compiler.hpp"
#include "control/offload_manager.hpp"
#include "control/policy/diagnostic.hpp"
#include "control/policy/diff.hpp"
#include "control/policy/host_config.hpp"
#include "control/policy/load.hpp"
#include "control/port_watch.hpp"
#include "dataplane/dataplane.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gannet::control {

/// A policy as it was handed in: the texts, so that it can be shown, and applied again.
struct PolicyText {
  std::string name;  // Of the file.
  std::string text;
};

/// One policy that is or was in force.
struct Revision {
  std::uint32_t number = 0;  // Counts applied policies from 1; 0 is the empty one of the start.
  std::chrono::system_clock::time_point applied;
  std::vector<PolicyText> texts;
  Policy policy;
};

/// What has become of an attempt to change the policy.
struct ApplyResult {
  bool is_applied = false;
  std::uint32_t generation = 0;
  std::uint32_t revision = 0;
  std::vector<ObjectChange> changes;
  std::string error;  // Not of the text: the daemon could not do it.
};

/// One match of a rule with `log`.
struct RuleLogEntry {
  std::string rule;  // "group/ingress/rule".
  bool is_allowed = false;
  Nanos when = 0;  // By the dataplane's clock.
  dataplane::IpTuple packet;
};

class Controller final {
 public:
  static constexpr std::size_t kMaxLogEntries = 10'000;
  // IPv6's least (RFC 8200, 5) fits into a tunnel over such a path: forged errors do no worse
  // (G19).
  static constexpr std::uint16_t kMinPathMtu = 1'280 + packet::kVxlanOverIpv4Bytes;
  static constexpr Nanos kPathMtuLife = 600 * kNanosPerSecond;  // RFC 1191, 6.3.

  /// \param offload null if there is no card.
  Controller(const HostConfig& host, HostFacts facts, dataplane::Dataplane& dataplane,
             OffloadManager* offload = nullptr);

  /// Decodes and validates texts as one policy against this host. Nothing is changed, and nothing
  /// read that ever changes: any thread may do it.
  [[nodiscard]] std::optional<Policy> check(const std::vector<PolicyText>& texts,
                                            Diagnostics& diagnostics) const;

  /// Checks and puts in force.
  [[nodiscard]] ApplyResult apply(std::vector<PolicyText> texts, Diagnostics& diagnostics);
  /// The second half of that. \param policy what check() has made of the texts; none: it is not
  /// applied. \param expected the revision that must be in force, if given.
  [[nodiscard]] ApplyResult put_in_force(std::vector<PolicyText> texts,
                                         std::optional<Policy> policy,
                                         std::optional<std::uint32_t> expected);
  /// Puts an earlier revision in force again, as a new one.
  [[nodiscard]] ApplyResult rollback(std::uint32_t revision);
  /// The same to a revision that may have left the history, or is the empty one of the start.
  [[nodiscard]] ApplyResult go_back_to(const Revision& revision);
  /// Compiles what is in force anew, with other backend states.
  [[nodiscard]] Result<void> recompile();

  /// Marks a backend as failing its checks, or not; takes effect with the next recompile().
  void set_backend_health(const BackendId& backend, bool is_healthy);
  /// Takes note of a probe of a backend. \param needed equal results in a row that change its
  /// state; the first probe ever decides by itself. \return whether the backend has come up or gone
  /// down, which takes effect with the next recompile().
  [[nodiscard]] bool note_probe(const BackendId& backend, ProbeResult result, std::uint32_t needed);
  /// The backend is not probed any more, and so is up. \return whether it was not.
  [[nodiscard]] bool forget_probes(const BackendId& backend);
  /// Backends that have left the policy, and until when their connections may go on (none: for
  /// ever). Recompiles if the time of any is up. \return when to be called again.
  std::optional<std::chrono::steady_clock::time_point> expire_draining(
      std::chrono::steady_clock::time_point now);

  /// A router of the underlay says how much its path to a host carries: believed down to
  /// kMinPathMtu, for kPathMtuLife. Takes effect with the next call of expire_path_mtus().
  void note_path_mtu(Ip4 host, std::uint32_t mtu, Nanos now);
  /// Puts what has been noted, or has become too old, in force.
  void expire_path_mtus(Nanos now);
  [[nodiscard]] const std::map<Ip4, std::uint16_t>& path_mtus() const { return facts_.path_mtus; }

  /// Writes a match of a rule with `log` to the rule log, which keeps the last kMaxLogEntries.
  void log_rule(const dataplane::News& match);
  [[nodiscard]] const std::deque<RuleLogEntry>& rule_log() const { return rule_log_; }

  [[nodiscard]] const Revision& current() const { return *history_.back(); }
  /// Oldest first. A revision never changes: who keeps one may read it on any thread.
  using History = std::deque<std::shared_ptr<const Revision>>;
  [[nodiscard]] const History& history() const { return history_; }
  [[nodiscard]] const HostConfig& host() const { return host_; }
  [[nodiscard]] const HostFacts& facts() const { return facts_; }
  /// Whether ports are up is known from then on. \param watch outlives the controller.
  void watch_ports(const PortWatch& watch) { port_watch_ = &watch; }
  /// The state of a port's link, as PortWatch has it; "up" while nobody watches.
  [[nodiscard]] std::string link_of(std::size_t port) const;
  [[nodiscard]] const SnapshotNames& names() const { return names_; }
  [[nodiscard]] std::uint32_t generation() const { return generation_; }
  [[nodiscard]] dataplane::Dataplane& dataplane() { return dataplane_; }
  /// Null if there is no card, or one that cannot hold rules.
  [[nodiscard]] OffloadManager* offload() { return offload_; }
  /// Why the card cannot hold rules, for people; empty unless there is such a card.
  void note_card_refusal(std::string why) { card_refusal_ = std::move(why); }
  [[nodiscard]] const std::string& card_refusal() const { return card_refusal_; }
  [[nodiscard]] const BackendStates& backends() const { return backends_; }
  /// Matches of a rule of the snapshot in force, and of its namesakes before it, since the start.
  [[nodiscard]] std::uint64_t rule_hits(std::uint32_t rule) const;

 private:
  [[nodiscard]] Result<void> compile_and_publish(const Policy& policy, std::uint32_t revision);
  void keep_rule_hits(const dataplane::Snapshot& snapshot);
  void note_draining(const Policy& before, const Policy& after);

  const HostConfig& host_;
  HostFacts facts_;
  dataplane::Dataplane& dataplane_;
  OffloadManager* offload_;
  std::string card_refusal_;
  Identities identities_;
  BackendStates backends_;
  std::map<BackendId, std::optional<std::chrono::steady_clock::time_point>> draining_until_;
  History history_;
  const PortWatch* port_watch_ = nullptr;
  SnapshotNames names_;
  std::uint32_t generation_ = 0;
  std::deque<RuleLogEntry> rule_log_;
  std::map<Ip4, Nanos> path_mtu_ends_;  // When each of facts_.path_mtus is forgotten.
  bool has_new_path_mtus_ = false;
  std::map<std::string, std::uint64_t> past_rule_hits_;  // Of snapshots that are gone.
};

}  // namespace gannet::control
