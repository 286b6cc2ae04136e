// SPDX-License-Identifier: BSD-3-Clause
#include "control/health.hpp"

#include <algorithm>

namespace gannet::control {
namespace {

using packet::kTcpAck;
using packet::kTcpFin;
using packet::kTcpRst;
using packet::kTcpSyn;

constexpr unsigned kProbePorts = 0x1'0000 - dataplane::kFirstProbePort;
constexpr std::uint32_t kSequenceStep = 64'000;  // As RFC 793 had it: never the same for hours.
constexpr unsigned kStartsPerRun = 64;           // Probes are spread, thousands in some seconds.
// No data is asked for. Not zero: some stacks take a closed window for a reason to wait.
constexpr std::uint16_t kWindow = 8'192;

/// Puts segments on their way, on a worker.
class SendProbes final : public dataplane::WorkerCommand {
 public:
  void add(std::uint16_t vpc, const dataplane::BareSegment& segment) {
    const Family family = segment.tuple.family();
    Frame frame{vpc, segment.tuple, {}};
    frame.bytes.resize(sizeof(packet::EthernetHeader) + dataplane::segment_bytes(family));
    // The MACs are the worker's to fill in, who knows the way.
    packet::header_at<packet::EthernetHeader>(frame.bytes.data()).ether_type =
        Be16(family == Family::kIpv4 ? packet::kEtherTypeIpv4 : packet::kEtherTypeIpv6);
    dataplane::write_segment(frame.bytes.data() + sizeof(packet::EthernetHeader), segment);
    frames_.push_back(std::move(frame));
  }
  bool step(dataplane::Worker& worker) override {
    for (const Frame& frame : frames_) worker.originate(frame.vpc, frame.tuple, frame.bytes);
    return true;
  }

 private:
  struct Frame {
    std::uint16_t vpc;
    dataplane::IpTuple tuple;
    std::vector<std::uint8_t> bytes;
  };
  std::vector<Frame> frames_;
};

// The address from which a backend is probed: the gateway that it knows.
bool find_gateway(const dataplane::Snapshot& snapshot, std::uint16_t vpc, const IpAddress& backend,
                  IpAddress& gateway) {
  const dataplane::Endpoint* const endpoint = snapshot.find_endpoint(vpc, backend);
  if (endpoint == nullptr || endpoint->subnet == dataplane::kNoIndex) return false;
  const auto& gateways = snapshot.subnets[endpoint->subnet].gateways;
  const auto found = std::find_if(gateways.begin(), gateways.end(), [&](const IpAddress& ip) {
    return ip.family() == backend.family();
  });
  if (found == gateways.end()) return false;
  gateway = *found;
  return true;
}

}  // namespace

HealthChecker::HealthChecker(Controller& controller, ProbeNumbers first)
    : controller_(controller), next_(first) {}

void HealthChecker::run() {
  if (revision_ != controller_.current().number) take_policy();
  if (targets_.empty() && !has_changed_) return;
  const Nanos now = controller_.dataplane().clock().now();
  give_up_late_ones(now);
  start_due_ones(now);
  send_all();
  if (!has_changed_) return;
  has_changed_ = false;
  // What is in force, with other backends in its tables, needs nothing that it did not have.
  GANNET_CHECK(controller_.recompile().has_value());
}

// Backends that stay keep what is known of them.
void HealthChecker::take_policy() {
  revision_ = controller_.current().number;
  Targets before = std::exchange(targets_, {});
  by_port_.clear();
  const Policy& policy = controller_.current().policy;
  for (const LoadBalancer& balancer : policy.load_balancers) {
    for (const BackendPool& pool : balancer.backend_pools) {
      if (!pool.health_check) continue;
      for (const Backend& backend : pool.backends) {
        const BackendId id{balancer.name + "/" + pool.name,
                           backend_address(policy, balancer, backend), *backend.port};
        const auto known = before.find(id);
        Target target = known == before.end() ? Target{} : std::move(known->second);
        if (known != before.end()) before.erase(known);
        target.check = *pool.health_check;
        target.vpc_name = *balancer.vpc;
        target.port = target.check.port != 0 ? target.check.port : *backend.port;
        auto& placed = *targets_.emplace(id, std::move(target)).first;
        if (placed.second.local_port != 0) by_port_.emplace(placed.second.local_port, &placed);
      }
    }
  }
  for (const auto& [id, target] : before) has_changed_ |= controller_.forget_probes(id);
}

void HealthChecker::read(const dataplane::News& answer) {
  const auto at = by_port_.find(answer.tuple.destination_port);
  if (at == by_port_.end()) return;
  auto& [id, target] = *at->second;
  const bool is_its = answer.vpc == target.vpc && answer.tuple.source == id.ip &&
                      answer.tuple.source_port == target.port &&
                      answer.tuple.destination == target.gateway;
  if (!is_its) return;
  const bool acknowledges_syn =
      (answer.flags & kTcpAck) != 0 && answer.acknowledgment == target.sequence + 1;
  if ((answer.flags & kTcpRst) != 0) {
    if (target.is_waiting && acknowledges_syn) conclude(*at->second, ProbeResult::kRefused);
    target.is_open = false;
  } else if ((answer.flags & kTcpSyn) != 0) {
    if (!acknowledges_syn) return;  // Of an earlier connection: silence makes it go away.
    target.peer_next = answer.sequence + 1;
    target.is_open = true;
    if (target.is_waiting) conclude(*at->second, ProbeResult::kAnswered);
    // Again if it comes again: this may have been lost.
    send(*at->second, kTcpAck | kTcpFin, target.sequence + 1, target.peer_next);
  } else if (target.is_open) {
    read_open(*at->second, answer);
  }
}

// Data and the end of a connection that has done its work are acknowledged, nothing more.
void HealthChecker::read_open(Targets::value_type& target, const dataplane::News& answer) {
  const bool is_end = (answer.flags & kTcpFin) != 0;
  const std::uint32_t end = answer.sequence + answer.payload_bytes + (is_end ? 1 : 0);
  if (end == answer.sequence) return;
  if (answer.sequence == target.second.peer_next) target.second.peer_next = end;
  send(target, kTcpAck, target.second.sequence + 2, target.second.peer_next);
  if (is_end && target.second.peer_next == end) target.second.is_open = false;
}

void HealthChecker::give_up_late_ones(Nanos now) {
  for (auto& target : targets_) {
    if (!target.second.is_waiting || now < target.second.deadline) continue;
    conclude(target, ProbeResult::kNoAnswer);
  }
}

// In turn: if too many are due at once, those that have just been probed come last.
void HealthChecker::start_due_ones(Nanos now) {
  auto at = targets_.upper_bound(last_started_);
  unsigned started = 0;
  for (std::size_t i = 0; i < targets_.size() && started < kStartsPerRun; ++i, ++at) {
    if (at == targets_.end()) at = targets_.begin();
    if (now < at->second.next_probe) continue;
    last_started_ = at->first;
    at->second.next_probe = now + static_cast<Nanos>(at->second.check.interval.count());
    if (!start(*at, now)) conclude(*at, ProbeResult::kNowhere);
    ++started;
  }
}

bool HealthChecker::start(Targets::value_type& target, Nanos now) {
  auto& [id, t] = target;
  // A backend that would not close: it is not kept waiting.
  if (t.is_open) send(target, kTcpRst | kTcpAck, t.sequence + 2, t.peer_next);
  forget(t);
  const auto& vpcs = controller_.names().vpcs;
  const auto vpc = std::find(vpcs.begin(), vpcs.end(), t.vpc_name);
  t.vpc = static_cast<std::uint16_t>(vpc - vpcs.begin());
  if (!find_gateway(*controller_.dataplane().policy(), t.vpc, id.ip, t.gateway)) return false;
  if (by_port_.size() == kProbePorts) return false;
  do {
    next_.port = static_cast<std::uint16_t>((next_.port + 1) % kProbePorts);
    t.local_port = static_cast<std::uint16_t>(dataplane::kFirstProbePort + next_.port);
  } while (!by_port_.emplace(t.local_port, &target).second);
  next_.sequence += kSequenceStep;
  t.sequence = next_.sequence;
  t.is_waiting = true;
  t.deadline = now + static_cast<Nanos>(t.check.timeout.count());
  send(target, kTcpSyn, t.sequence, 0);
  return true;
}

// Answers to the last probe mean nothing any more.
void HealthChecker::forget(Target& target) {
  if (target.local_port != 0) by_port_.erase(target.local_port);
  target.local_port = 0;
  target.is_waiting = target.is_open = false;
}

// The first probe decides by itself, later ones by their number in a row.
void HealthChecker::conclude(Targets::value_type& target, ProbeResult result) {
  target.second.is_waiting = false;
  const bool is_good = result == ProbeResult::kAnswered;
  const HealthCheck& check = target.second.check;
  has_changed_ |= controller_.note_probe(target.first, result, is_good ? check.rise : check.fall);
}

void HealthChecker::send(const Targets::value_type& target, std::uint8_t flags,
                         std::uint32_t sequence, std::uint32_t acknowledgment) {
  const auto& [id, t] = target;
  outgoing_.push_back({t.vpc,
                       {{t.gateway, id.ip, t.local_port, t.port, packet::kProtoTcp},
                        sequence,
                        acknowledgment,
                        flags,
                        kWindow}});
}

// By the worker of the uplink; what is for a VM of another one goes on by its ring.
void HealthChecker::send_all() {
  if (outgoing_.empty()) return;
  SendProbes command;
  for (const Outgoing& o : outgoing_) command.add(o.vpc, o.segment);
  outgoing_.clear();
  controller_.dataplane().execute(0, command);
}

}  // namespace gannet::control
