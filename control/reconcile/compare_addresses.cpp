// SPDX-License-Identifier: BSD-3-Clause
// Who has an address, what listens there, which hosts may send from there.
#include "control/reconcile/compare_work.hpp"

#include <map>
#include <set>

namespace gannet::control {
namespace {

using dataplane::kNoIndex;

// Calls differs(key) for each key of either map whose values are not the same.
template <typename Key, typename IsSame, typename Differs>
void compare_maps(const dataplane::ExactMap<Key>& before, const dataplane::ExactMap<Key>& after,
                  IsSame&& is_same, Differs&& differs) {
  before.for_each([&](const Key& key, std::uint32_t value) {
    const std::uint32_t now = after.find(key);
    if (now == dataplane::ExactMap<Key>::kNone || !is_same(key, value, now)) differs(key);
  });
  after.for_each([&](const Key& key, std::uint32_t) {
    if (before.find(key) == dataplane::ExactMap<Key>::kNone) differs(key);
  });
}

void compare_endpoints(CompareWork& work) {
  const auto& before = work.before.snapshot;
  const auto& after = work.after.snapshot;
  const auto is_same = [&](const auto&, std::uint32_t old_value, std::uint32_t new_value) {
    const dataplane::Endpoint& a = before.endpoints[old_value];
    const dataplane::Endpoint& b = after.endpoints[new_value];
    return a.kind == b.kind && a.eni == b.eni && a.mac == b.mac && a.underlay_ip == b.underlay_ip &&
           a.max_ip_bytes == b.max_ip_bytes && work.are_same_hops(a.hop, b.hop) &&
           CompareWork::is_same_name(work.before.names.subnets, a.subnet, work.after.names.subnets,
                                     b.subnet);
  };
  compare_maps(before.endpoint_of_address, after.endpoint_of_address, is_same,
               [&](const dataplane::AddressKey& key) { work.addresses.insert(key); });
}

void compare_peers(CompareWork& work) {
  const auto& before = work.before.snapshot;
  const auto& after = work.after.snapshot;
  const auto is_same = [&](const auto&, std::uint32_t old_value, std::uint32_t new_value) {
    const dataplane::TunnelPeer& a = before.tunnel_peers[old_value];
    const dataplane::TunnelPeer& b = after.tunnel_peers[new_value];
    return a.max_ip_bytes == b.max_ip_bytes && work.are_same_hops(a.return_hop, b.return_hop);
  };
  const auto is_there = [](const auto&, std::uint32_t, std::uint32_t) { return true; };
  compare_maps(before.peer_of_key, after.peer_of_key, is_same, [&](const auto& key) {
    work.addresses.insert({IpAddress(key.underlay_ip), key.vpc});
  });
  compare_maps(before.tunnel_hosts, after.tunnel_hosts, is_there, [&](const auto& key) {
    work.addresses.insert({key.ip, kNoIndex});
  });
}

bool is_same_public(const CompareWork& work, const dataplane::PublicAddress& a,
                    const dataplane::PublicAddress& b) {
  if (a.kind != b.kind) return false;
  if (a.kind != dataplane::PublicKind::kNat) return a.index == b.index;
  // Which ENI has which of its ports is asked of the ENI.
  const dataplane::NatAddress& old_address = work.before.snapshot.nat_addresses[a.index];
  const dataplane::NatAddress& new_address = work.after.snapshot.nat_addresses[b.index];
  return old_address.block_ports == new_address.block_ports &&
         old_address.ports == new_address.ports &&
         CompareWork::is_same_name(work.before.names.nat_gateways, old_address.gateway,
                                   work.after.names.nat_gateways, new_address.gateway);
}

void compare_publics(CompareWork& work) {
  const auto& before = work.before.snapshot;
  const auto& after = work.after.snapshot;
  const auto is_same = [&](const auto&, std::uint32_t old_value, std::uint32_t new_value) {
    return is_same_public(work, before.public_addresses[old_value],
                          after.public_addresses[new_value]);
  };
  compare_maps(before.public_of_address, after.public_of_address, is_same, [&](const auto& key) {
    work.addresses.insert({key.ip, kNoIndex});
  });
}

void compare_listeners(CompareWork& work) {
  const auto& before = work.before.snapshot;
  const auto& after = work.after.snapshot;
  const auto is_same = [&](const auto& key, std::uint32_t old_value, std::uint32_t new_value) {
    if (key.port == 0 && key.protocol == 0) return true;  // Says only that it is a VIP.
    const dataplane::Listener& a = before.listeners[old_value];
    const dataplane::Listener& b = after.listeners[new_value];
    return a.vpc == b.vpc && a.by_source_ip == b.by_source_ip &&
           work.before.names.pools[a.pool] == work.after.names.pools[b.pool];
  };
  compare_maps(before.listener_of_key, after.listener_of_key, is_same, [&](const auto& key) {
    work.addresses.insert({key.vip, key.vpc});
  });
}

// Backends of a pool before that the one of the same name does not list any more.
std::vector<IpAddress> gone_backends(const dataplane::BackendPool& before,
                                     const dataplane::BackendPool* after) {
  std::set<std::pair<IpAddress, std::uint16_t>> stay;
  if (after != nullptr) {
    for (const auto& b : after->backends) stay.emplace(b.ip, b.port);
  }
  std::vector<IpAddress> gone;
  for (const auto& b : before.backends) {
    if (!stay.contains({b.ip, b.port})) gone.push_back(b.ip);
  }
  return gone;
}

// A connection keeps its backend for as long as the pool lists it, so only those that have gone
// concern anybody: not new ones, nor weights, nor health. A pool may have many listeners.
void compare_pools(CompareWork& work) {
  const auto& before = work.before.snapshot;
  std::map<std::string_view, const dataplane::BackendPool*> now;
  for (std::size_t i = 0; i < work.after.snapshot.pools.size(); ++i) {
    now.emplace(work.after.names.pools[i], &work.after.snapshot.pools[i]);
  }
  std::map<std::uint32_t, std::set<std::uint16_t>> vpcs_of_pool;
  for (const dataplane::Listener& listener : before.listeners) {
    vpcs_of_pool[listener.pool].insert(listener.vpc);
  }
  for (const auto& [pool, vpcs] : vpcs_of_pool) {
    const auto found = now.find(work.before.names.pools[pool]);
    const auto* const after = found == now.end() ? nullptr : found->second;
    for (const IpAddress& ip : gone_backends(before.pools[pool], after)) {
      for (const std::uint16_t vpc : vpcs) work.addresses.insert({ip, vpc});
    }
  }
}

}  // namespace

void compare_addresses(CompareWork& work) {
  compare_endpoints(work);
  compare_peers(work);
  compare_publics(work);
  compare_listeners(work);
  compare_pools(work);
}

}  // namespace gannet::control
