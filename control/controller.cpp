// SPDX-License-Identifier: BSD-3-Clause
#include "control/controller.hpp"

#include "control/policy/validate.hpp"
#include "control/reconcile/compare.hpp"

#include <algorithm>
#include <utility>

namespace gannet::control {
namespace {

constexpr std::size_t kMaxHistory = 64;

using Clock = std::chrono::steady_clock;

std::vector<Source> sources_of(const std::vector<PolicyText>& texts) {
  std::vector<Source> sources;
  for (const PolicyText& text : texts) {
    sources.push_back({std::make_shared<SourceFile>(text.name, text.text), texts.size() > 1});
  }
  return sources;
}

// The backends of a policy and how long their pool lets connections drain.
std::map<BackendId, std::optional<Duration>> backends_of(const Policy& policy) {
  std::map<BackendId, std::optional<Duration>> all;
  for (const LoadBalancer& balancer : policy.load_balancers) {
    for (const BackendPool& pool : balancer.backend_pools) {
      for (const Backend& backend : pool.backends) {
        all.emplace(BackendId{balancer.name + "/" + pool.name,
                              backend_address(policy, balancer, backend), *backend.port},
                    pool.drain);
      }
    }
  }
  return all;
}

bool has_pool(const Policy& policy, const std::string& pool) {
  const auto slash = pool.find('/');
  const LoadBalancer* const balancer = policy.load_balancers.find(pool.substr(0, slash));
  return balancer != nullptr && balancer->backend_pools.find(pool.substr(slash + 1)) != nullptr;
}

}  // namespace

Controller::Controller(const HostConfig& host, HostFacts facts, dataplane::Dataplane& dataplane,
                       OffloadManager* offload)
    : host_(host), facts_(std::move(facts)), dataplane_(dataplane), offload_(offload) {
  history_.push_back(
      std::make_shared<const Revision>(Revision{0, std::chrono::system_clock::now(), {}, {}}));
  // An empty policy is one: the switch answers for its underlay address and drops the rest by name.
  const auto published = compile_and_publish(current().policy, 0);
  GANNET_CHECK(published.has_value());
}

std::optional<Policy> Controller::check(const std::vector<PolicyText>& texts,
                                        Diagnostics& diagnostics) const {
  auto policy = load_policy(sources_of(texts), diagnostics);
  if (policy) validate(*policy, &host_, diagnostics);
  if (!policy || diagnostics.has_errors()) return std::nullopt;
  return policy;
}

ApplyResult Controller::apply(std::vector<PolicyText> texts, Diagnostics& diagnostics) {
  auto policy = check(texts, diagnostics);
  return put_in_force(std::move(texts), std::move(policy), std::nullopt);
}

ApplyResult Controller::put_in_force(std::vector<PolicyText> texts, std::optional<Policy> policy,
                                     std::optional<std::uint32_t> expected) {
  ApplyResult result;
  result.generation = generation_;
  result.revision = current().number;
  if (expected && *expected != current().number) {
    result.error = "revision " + std::to_string(*expected) + " is not in force, but " +
                   std::to_string(current().number) + ": look at what has changed and try again";
    return result;
  }
  if (!policy) return result;
  result.changes = diff(current().policy, *policy);
  if (result.changes.empty() && current().number != 0) {
    result.is_applied = true;  // Nothing to do: not even a new generation.
    return result;
  }
  const auto draining_before = backends_.draining;
  note_draining(current().policy, *policy);
  if (const auto published = compile_and_publish(*policy, current().number + 1); !published) {
    backends_.draining = draining_before;
    result.error = published.error().message;
    return result;
  }
  history_.push_back(std::make_shared<const Revision>(
      Revision{current().number + 1, std::chrono::system_clock::now(), std::move(texts),
               std::move(*policy)}));
  if (history_.size() > kMaxHistory) history_.pop_front();
  result.is_applied = true;
  result.generation = generation_;
  result.revision = current().number;
  return result;
}

ApplyResult Controller::rollback(std::uint32_t revision) {
  const auto found = std::find_if(history_.begin(), history_.end(), [revision](const auto& r) {
    return r->number == revision && !r->texts.empty();
  });
  if (found == history_.end()) {
    ApplyResult result;
    result.error = "there is no revision " + std::to_string(revision) + " to go back to";
    return result;
  }
  return go_back_to(**found);
}

ApplyResult Controller::go_back_to(const Revision& revision) {
  return put_in_force(revision.texts, revision.policy, std::nullopt);
}

std::string Controller::link_of(std::size_t port) const {
  return port_watch_ == nullptr ? kLinkUp : port_watch_->link(port);
}

Result<void> Controller::recompile() {
  return compile_and_publish(current().policy, current().number);
}

Result<void> Controller::compile_and_publish(const Policy& policy, std::uint32_t revision) {
  auto compiled = compile(policy, facts_, backends_, generation_ + 1,
                          dataplane_.conforming_generation(), identities_);
  if (!compiled) return tl::unexpected(compiled.error());
  compiled->snapshot->is_first_policy = revision <= 1;
  if (dataplane_.policy() != nullptr) {
    compiled->snapshot->changes =
        compare({*dataplane_.policy(), names_}, {*compiled->snapshot, compiled->names});
  }
  ++generation_;
  auto before = dataplane_.publish(std::move(compiled->snapshot));
  if (before) keep_rule_hits(*before);
  names_ = std::move(compiled->names);
  return {};
}

// Adds what the workers counted in a snapshot that they no longer read.
void Controller::keep_rule_hits(const dataplane::Snapshot& snapshot) {
  for (std::uint32_t rule = 0; rule < snapshot.rules.size(); ++rule) {
    if (const std::uint64_t hits = snapshot.rule_hits(rule); hits != 0) {
      past_rule_hits_[names_.rules[rule]] += hits;
    }
  }
}

std::uint64_t Controller::rule_hits(std::uint32_t rule) const {
  const auto past = past_rule_hits_.find(names_.rules[rule]);
  return dataplane_.policy()->rule_hits(rule) + (past == past_rule_hits_.end() ? 0 : past->second);
}

void Controller::note_path_mtu(Ip4 host, std::uint32_t mtu, Nanos now) {
  const auto believed = static_cast<std::uint16_t>(
      std::clamp<std::uint32_t>(mtu, kMinPathMtu, std::max(facts_.mtu, kMinPathMtu)));
  const auto known = facts_.path_mtus.find(host);
  const std::uint16_t before = known == facts_.path_mtus.end() ? facts_.mtu : known->second;
  if (believed >= before && known == facts_.path_mtus.end()) return;
  path_mtu_ends_[host] = now + kPathMtuLife;
  if (believed >= before) return;
  facts_.path_mtus[host] = believed;
  has_new_path_mtus_ = true;
}

void Controller::expire_path_mtus(Nanos now) {
  std::erase_if(path_mtu_ends_, [&](const auto& entry) {
    if (now < entry.second) return false;
    facts_.path_mtus.erase(entry.first);
    has_new_path_mtus_ = true;
    return true;
  });
  if (!has_new_path_mtus_) return;
  has_new_path_mtus_ = false;
  // The same tables with other sizes.
  GANNET_CHECK(recompile().has_value());
}

// A match that the policy before made is named by it no more: its names are gone.
void Controller::log_rule(const dataplane::News& match) {
  const bool is_known = match.generation == generation_;
  rule_log_.push_back({is_known ? SnapshotNames::at(names_.rules, match.rule) : "-",
                       match.is_allowed, match.when, match.tuple});
  if (rule_log_.size() > kMaxLogEntries) rule_log_.pop_front();
}

void Controller::set_backend_health(const BackendId& backend, bool is_healthy) {
  if (is_healthy) {
    backends_.unhealthy.erase(backend);
  } else {
    backends_.unhealthy.insert(backend);
  }
}

bool Controller::note_probe(const BackendId& backend, ProbeResult result, std::uint32_t needed) {
  BackendProbes& probes = backends_.probes[backend];
  const bool is_good = result == ProbeResult::kAnswered;
  const bool is_first = probes.in_a_row == 0;
  const bool goes_on = !is_first && (probes.last == ProbeResult::kAnswered) == is_good;
  probes.in_a_row = goes_on ? probes.in_a_row + 1 : 1;
  probes.last = result;
  const bool was_good = !backends_.unhealthy.contains(backend);
  if (was_good == is_good || (!is_first && probes.in_a_row < needed)) return false;
  set_backend_health(backend, is_good);
  return true;
}

bool Controller::forget_probes(const BackendId& backend) {
  backends_.probes.erase(backend);
  return backends_.unhealthy.erase(backend) != 0;
}

// Backends that leave a pool which stays keep their connections for a while; those that come back,
// or whose pool goes, are forgotten.
void Controller::note_draining(const Policy& before, const Policy& after) {
  const auto old_backends = backends_of(before);
  const auto new_backends = backends_of(after);
  for (const auto& [id, drain] : old_backends) {
    if (new_backends.contains(id) || !has_pool(after, id.pool)) continue;
    backends_.draining.insert(id);
    draining_until_[id] = drain ? std::optional(Clock::now() + *drain) : std::nullopt;
  }
  std::erase_if(backends_.draining, [&](const BackendId& id) {
    return new_backends.contains(id) || !has_pool(after, id.pool);
  });
}

std::optional<Clock::time_point> Controller::expire_draining(Clock::time_point now) {
  std::optional<Clock::time_point> next;
  bool has_expired = false;
  std::erase_if(draining_until_, [&](const auto& entry) {
    const auto& [id, until] = entry;
    if (!backends_.draining.contains(id)) return true;
    if (!until) return false;
    if (*until > now) {
      next = next ? std::min(*next, *until) : *until;
      return false;
    }
    backends_.draining.erase(id);
    has_expired = true;
    return true;
  });
  // Compiling what is in force with fewer backends takes nothing that it did not have.
  if (has_expired) GANNET_CHECK(recompile().has_value());
  return next;
}

}  // namespace gannet::control
