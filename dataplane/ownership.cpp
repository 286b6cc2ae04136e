// SPDX-License-Identifier: BSD-3-Clause
// Which worker a connection belongs to, and how the others learn of it
// (docs/decisions/ownership.md).
#include "dataplane/connections.hpp"

namespace gannet::dataplane {
namespace {

using flows::Direction;
using flows::kNoConnection;
using flows::ZoneKind;

std::uint64_t hash_address(const IpAddress& ip) {
  return (load<std::uint64_t>(ip.data()) ^ load<std::uint64_t>(ip.data() + 8)) * 0x9e3779b97f4a7c15;
}

}  // namespace

std::uint16_t Connections::natural_owner(const Snapshot& policy, flows::Zone zone,
                                         const IpTuple& tuple) const {
  if (config_.worker_count == 1) return 0;
  const auto worker_of = [&policy](std::uint16_t eni) {
    const Eni* const found = policy.find_eni(eni);
    return found == nullptr ? std::uint16_t{0} : found->worker;
  };
  if (zone.kind == ZoneKind::kEni) return worker_of(zone.index);
  if (zone.kind == ZoneKind::kTunnel) {
    const Endpoint* const to = policy.find_endpoint(zone.index, tuple.destination);
    if (to != nullptr && to->kind == EndpointKind::kLocal) return worker_of(to->eni);
  } else if (const PublicAddress* const address = policy.find_public(tuple.destination)) {
    if (address->kind == PublicKind::kEni) return worker_of(address->index);
    if (address->kind == PublicKind::kNat) {
      const std::uint16_t port = tuple.is_icmp() ? tuple.source_port : tuple.destination_port;
      return worker_of(policy.nat_addresses[address->index].eni_of_port(port));
    }
  }
  const std::uint64_t h =
      hash_address(tuple.source) + hash_address(tuple.destination) +
      (std::uint64_t{tuple.source_port} + tuple.destination_port) * 0xbf58476d1ce4e5b9;
  return static_cast<std::uint16_t>(((h >> 32) * config_.worker_count) >> 32);
}

template <typename Key>
bool Connections::add_redirect(const Key& key, std::uint16_t owner) {
  auto& records = table<Key>();
  const flows::FlowRef known = records.find(key);
  if (known.is_valid()) {
    // The tuple of a connection that has just ended elsewhere, or of one of this worker's own.
    auto& flow = records.flow(known);
    if (flow.kind != flows::FlowKind::kRedirect) return false;
    flow.action.next_hop = owner;
    return true;
  }
  const std::uint32_t index = records.allocate();
  if (index == kNoConnection) return false;
  auto& flow = records[index].flows[0];
  flow.key = key;
  flow.kind = flows::FlowKind::kRedirect;
  flow.action.next_hop = owner;
  records[index].flows[1].kind = flows::FlowKind::kUnindexed;
  if (!records.publish(index)) {
    records.release(index);
    return false;
  }
  ++redirect_count_;
  return true;
}

template <typename Key>
void Connections::remove_redirect(const Key& key, std::uint16_t owner) {
  auto& records = table<Key>();
  const flows::FlowRef ref = records.find(key);
  if (!ref.is_valid()) return;
  const auto& flow = records.flow(ref);
  if (flow.kind != flows::FlowKind::kRedirect || flow.action.next_hop != owner) return;
  records.release(ref.connection());
  --redirect_count_;
}

template <typename Key>
void Connections::redirect_refused(const Key& key, Ticks now) {
  const flows::FlowRef ref = table<Key>().find(key);
  if (!ref.is_valid() || ref.direction() != Direction::kReverse) return;
  forget_redirect<Key>(ref.connection());
  close<Key>(ref.connection(), now);
}

#define GANNET_INSTANTIATE(Key)                                               \
  template bool Connections::add_redirect<Key>(const Key&, std::uint16_t);    \
  template void Connections::remove_redirect<Key>(const Key&, std::uint16_t); \
  template void Connections::redirect_refused<Key>(const Key&, Ticks)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
