// SPDX-License-Identifier: BSD-3-Clause
// Which worker a connection belongs to, and how the others learn of it
// (docs/decisions/ownership.md).
#include "dataplane/connections.hpp"

namespace gannet::dataplane {
namespace {

using flows::Direction;
using flows::kNoConnection;
using flows::ZoneKind;

constexpr unsigned kNoticesAtOnce = 32;
static_assert(kNoticeSlots % kNoticesAtOnce == 0);
constexpr unsigned kEvictionLooks = 32;  // Some 3 us, if they are in no cache.

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

// Whether there is room for another redirect at a worker. Who has had no answer goes first there as
// well (S3). `replaces` goes in any case.
template <typename Key>
bool Connections::make_redirect_room(std::uint16_t worker, std::uint32_t replaces, Ticks now) {
  auto& records = table<Key>();
  const auto leads_there = [&](std::uint32_t i) {
    return (records[i].shared.flags & flows::kHasRedirect) != 0 &&
           records[i].details.redirect_worker == worker;
  };
  const std::uint32_t going = replaces != kNoConnection && leads_there(replaces) ? 1 : 0;
  const std::uint32_t share = redirect_share(records.capacity(), config_.worker_count);
  if (redirects_at<Key>(worker) - going < share) return true;
  std::uint32_t i = records.oldest_embryonic();
  for (unsigned n = 0; n < kEvictionLooks && i != kNoConnection; ++n) {
    const std::uint32_t next = records[i].details.embryonic.next;
    if (leads_there(i) && close<Key>(i, now)) {
      ++evicted_count_;
      return true;
    }
    i = next;
  }
  return false;
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
  return records.add_redirect(key, owner);
}

template <typename Key>
void Connections::remove_redirect(const Key& key, std::uint16_t owner) {
  auto& records = table<Key>();
  const flows::FlowRef ref = records.find(key);
  if (!ref.is_valid()) return;
  const auto& flow = records.flow(ref);
  if (flow.kind != flows::FlowKind::kRedirect || flow.action.next_hop != owner) return;
  records.remove_redirect(ref);
}

template <typename Key>
void Connections::redirect_refused(const Key& key, Ticks now) {
  const flows::FlowRef ref = table<Key>().find(key);
  if (!ref.is_valid() || ref.direction() != Direction::kReverse) return;
  // It may be a successor's, whose redirect has found room: so that worker is told all the same.
  close<Key>(ref.connection(), now);
}

template <typename Key>
bool Connections::tell(std::uint16_t worker, NoticeKind kind, const Key& key) {
  Notice notice;
  notice.kind = kind;
  notice.from = config_.worker;
  if constexpr (sizeof(Key) == sizeof(flows::Ip4Key)) {
    notice.family = Family::kIpv4;
    notice.v4 = key;
  } else {
    notice.family = Family::kIpv6;
    notice.v6 = key;
  }
  return mailbox_.tell(mailbox_.context, worker, notice);
}

template <typename Key>
bool Connections::announce_redirect(std::uint32_t index, std::uint16_t worker) {
  auto& connection = table<Key>()[index];
  if (!tell<Key>(worker, NoticeKind::kAddRedirect, connection.flows[1].key)) return false;
  connection.shared.flags |= flows::kHasRedirect;
  connection.details.redirect_worker = worker;
  ++redirects_at<Key>(worker);
  return true;
}

template <typename Key>
void Connections::take_notice(const Notice& notice, const Key& key, Ticks now) {
  switch (notice.kind) {
    case NoticeKind::kAddRedirect:
      // If even the refusal finds no room, the connection stays without replies until it ages out.
      if (!add_redirect(key, notice.from)) {
        static_cast<void>(tell(notice.from, NoticeKind::kRedirectRefused, key));
      }
      break;
    case NoticeKind::kRemoveRedirect: remove_redirect(key, notice.from); break;
    case NoticeKind::kRedirectRefused: redirect_refused(key, now); break;
  }
}

// No more than a ring holds: what is told meanwhile has to wait, and who tells faster than this
// worker reads must not hold it.
unsigned Connections::read_notices(Ticks now) {
  unsigned total = 0;
  for (std::uint16_t from = 0; from < config_.worker_count; ++from) {
    if (from == config_.worker) continue;
    unsigned count = kNoticesAtOnce;
    for (unsigned left = kNoticeSlots; left != 0 && count == kNoticesAtOnce; left -= count) {
      Notice notices[kNoticesAtOnce];
      count = mailbox_.listen(mailbox_.context, config_.worker, from, notices, kNoticesAtOnce);
      total += count;
      for (unsigned i = 0; i < count; ++i) {
        if (notices[i].family == Family::kIpv4) {
          take_notice(notices[i], notices[i].v4, now);
        } else {
          take_notice(notices[i], notices[i].v6, now);
        }
      }
    }
  }
  return total;
}

#define GANNET_INSTANTIATE(Key)                                                            \
  template bool Connections::make_redirect_room<Key>(std::uint16_t, std::uint32_t, Ticks); \
  template bool Connections::announce_redirect<Key>(std::uint32_t, std::uint16_t);         \
  template bool Connections::tell<Key>(std::uint16_t, NoticeKind, const Key&);             \
  template bool Connections::add_redirect<Key>(const Key&, std::uint16_t);                 \
  template void Connections::remove_redirect<Key>(const Key&, std::uint16_t);              \
  template void Connections::redirect_refused<Key>(const Key&, Ticks)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
