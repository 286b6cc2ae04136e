// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/layers/load_balancer.hpp"

namespace gannet::dataplane {
namespace {

constexpr std::uint32_t kNone = ExactMap<ListenerKey>::kNone;

// The most exact listener for a packet to a VIP, or kNone.
std::uint32_t find_listener(const FirstPacket& first) {
  const IpTuple& t = first.current;
  const auto& listeners = first.policy.listener_of_key;
  if (t.has_ports()) {
    const std::uint32_t exact =
        listeners.find({t.destination, first.vpc, t.destination_port, t.protocol});
    if (exact != kNone) return exact;
    const std::uint32_t any_port = listeners.find({t.destination, first.vpc, 0, t.protocol});
    if (any_port != kNone) return any_port;
  }
  return listeners.find({t.destination, first.vpc, 0, ListenerKey::kAnyProtocol});
}

// The backend that a live connection already has, if the pool still lists it.
std::uint16_t find_pinned(const BackendPool& pool, const IpTuple& current, const IpTuple& leaving) {
  for (std::size_t i = 0; i < pool.backends.size(); ++i) {
    const Backend& b = pool.backends[i];
    const std::uint16_t port = b.port == 0 ? current.destination_port : b.port;
    if (b.ip == leaving.destination && port == leaving.destination_port) {
      return static_cast<std::uint16_t>(i);
    }
  }
  return Maglev::kNone;
}

// A backend that calls itself by the VIP would answer itself directly; with the gateway as source
// the answer comes back through the switch (L12).
void turn_hairpin_around(FirstPacket& first) {
  if (first.current.source != first.current.destination) return;
  const Endpoint* const self = first.policy.find_endpoint(first.vpc, first.current.source);
  if (self == nullptr || self->subnet == kNoIndex) return;
  for (const IpAddress& gateway : first.policy.subnets[self->subnet].gateways) {
    if (gateway.family() == first.current.family()) first.current.source = gateway;
  }
}

}  // namespace

bool LoadBalancer::is_vip(const Snapshot& policy, std::uint16_t vpc,
                          const IpAddress& destination) noexcept {
  return policy.listener_of_key.find({destination, vpc, 0, 0}) != kNone;
}

DropReason LoadBalancer::judge(FirstPacket& first) noexcept {
  IpTuple& t = first.current;
  if (!is_vip(first.policy, first.vpc, t.destination)) return DropReason::kNone;
  const std::uint32_t index = find_listener(first);
  if (index == kNone) return DropReason::lb_no_listener;
  const Listener& listener = first.policy.listeners[index];
  const BackendPool& pool = first.policy.pools[listener.pool];
  std::uint16_t chosen =
      first.pinned != nullptr ? find_pinned(pool, t, *first.pinned) : Maglev::kNone;
  if (chosen == Maglev::kNone) {
    chosen = pool.maglev.pick(affinity_hash(t.source, t.destination, t.source_port,
                                            t.destination_port, t.protocol, listener.by_source_ip));
  }
  if (chosen == Maglev::kNone) return DropReason::lb_no_backend;
  t.destination = pool.backends[chosen].ip;
  if (pool.backends[chosen].port != 0) t.destination_port = pool.backends[chosen].port;
  first.vpc = listener.vpc;
  turn_hairpin_around(first);
  first.note(Step::kLoadBalancer, chosen);
  return DropReason::kNone;
}

}  // namespace gannet::dataplane
