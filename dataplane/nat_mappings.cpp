// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/nat_mappings.hpp"

#include "flows/base/check.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace gannet::dataplane {

Result<NatMappings> NatMappings::create(std::uint32_t capacity, const flows::HashSeed& seed) {
  const std::uint32_t bucket_count = std::bit_ceil(std::max(capacity, 2u));
  auto slab = Region::map(std::size_t{capacity} * sizeof(Mapping), false);
  if (!slab) return tl::unexpected(slab.error());
  auto buckets = Region::map(std::size_t{bucket_count} * sizeof(std::uint32_t), false);
  if (!buckets) return tl::unexpected(buckets.error());
  return NatMappings(std::move(*slab), std::move(*buckets), capacity, bucket_count, seed);
}

NatMappings::NatMappings(Region slab, Region buckets, std::uint32_t capacity,
                         std::uint32_t bucket_count, const flows::HashSeed& seed)
    : slab_(std::move(slab)),
      bucket_memory_(std::move(buckets)),
      mappings_(reinterpret_cast<Mapping*>(slab_.data())),
      buckets_(reinterpret_cast<std::uint32_t*>(bucket_memory_.data())),
      capacity_(capacity),
      bucket_mask_(bucket_count - 1),
      random_(seed.words[3] | 1),
      seed_(seed.words[0] | 1) {}

std::uint32_t NatMappings::allocate() {
  if (free_head_ == kNone && touched_count_ < capacity_) return touched_count_++;
  if (free_head_ == kNone && linger_head_ != kNone) remove(linger_head_);
  if (free_head_ == kNone) return kNone;
  return std::exchange(free_head_, mappings_[free_head_].next_in_bucket);
}

std::uint32_t NatMappings::bucket_of(std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                     std::uint16_t port) const {
  const std::uint64_t a = std::uint64_t{ip.raw()} << 32 | std::uint64_t{port} << 16 | eni;
  const std::uint64_t h =
      flows::detail::multiply_fold(a ^ seed_, seed_ * 0x9e3779b97f4a7c15 + protocol);
  return static_cast<std::uint32_t>(h) & bucket_mask_;
}

std::uint32_t NatMappings::find_with(std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                     std::uint16_t port, Ip4 public_ip,
                                     const PortBlock& block) const {
  for (std::uint32_t i = buckets_[bucket_of(eni, protocol, ip, port)] - 1; i != kNone;
       i = mappings_[i].next_in_bucket) {
    const Mapping& m = mappings_[i];
    const bool is_same =
        m.inside_ip == ip && m.inside_port == port && m.eni == eni && m.protocol == protocol;
    const bool is_in_block = m.public_ip == public_ip && m.public_port >= block.first &&
                             m.public_port - block.first < block.count;
    if (is_same && is_in_block) return i;
  }
  return kNone;
}

std::uint32_t NatMappings::find(const NatGateway& gateway, const Snapshot& policy,
                                std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                std::uint16_t port) const {
  if (eni >= gateway.block_of_eni.size()) return kNone;
  const PortBlock& block = gateway.block_of_eni[eni];
  if (block.count == 0) return kNone;
  return find_with(eni, protocol, ip, port, policy.nat_addresses[block.address].ip, block);
}

std::uint32_t NatMappings::find_or_make(const NatGateway& gateway, const Snapshot& policy,
                                        std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                        std::uint16_t port, Ticks now) {
  const std::uint32_t known = find(gateway, policy, eni, protocol, ip, port);
  if (known != kNone) return known;
  if (eni >= gateway.block_of_eni.size() || gateway.block_of_eni[eni].count == 0) return kNone;
  const PortBlock& block = gateway.block_of_eni[eni];
  const NatAddress& address = policy.nat_addresses[block.address];
  const std::uint32_t public_port = free_port(address, block, protocol);
  if (public_port == kNone) return kNone;
  const std::uint32_t i = allocate();
  if (i == kNone) return kNone;
  Mapping& m = mappings_[i];
  m = Mapping{};
  m.inside_ip = ip;
  m.inside_port = port;
  m.public_ip = address.ip;
  m.public_port = static_cast<std::uint16_t>(public_port);
  m.eni = eni;
  m.protocol = protocol;
  m.ports = address.ports;
  m.next_in_bucket = std::exchange(buckets_[bucket_of(eni, protocol, ip, port)], i + 1) - 1;
  ++used_count_;
  linger(i, now);  // Until a connection holds it.
  return i;
}

// A free port of the block, from a random place on (RFC 6056). When there is none left, one that
// only lingers is taken from its last user (R22).
std::uint32_t NatMappings::free_port(const NatAddress& address, const PortBlock& block,
                                     std::uint8_t protocol) {
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator.
  const auto start = static_cast<std::uint32_t>((random_ >> 33) % block.count);
  std::uint32_t first_lingering = kNone;
  for (std::uint32_t n = 0; n < block.count; ++n) {
    const auto port = static_cast<std::uint16_t>(block.first + (start + n) % block.count);
    const NatPortState state = address.ports->state(protocol, port);
    if (state == NatPortState::kFree) return port;
    if (state == NatPortState::kLingering && first_lingering == kNone) first_lingering = port;
  }
  if (first_lingering == kNone) return kNone;
  const auto port = static_cast<std::uint16_t>(first_lingering);
  const InsideEndpoint holder = address.ports->holder(protocol, port);
  const std::uint32_t i =
      find_with(holder.eni, protocol, holder.ip, holder.port, address.ip, block);
  if (i == kNone) return kNone;  // Held by an ENI of the block's past, on another worker.
  remove(i);
  return port;
}

void NatMappings::hold(std::uint32_t i) {
  Mapping& m = mappings_[i];
  if (m.is_lingering) {
    unlink_lingering(i);
    m.ports->assign(m.protocol, m.public_port, {m.inside_ip, m.inside_port, m.eni},
                    NatPortState::kOpen);
  }
  ++m.holder_count;
}

void NatMappings::release(std::uint32_t i, Ticks now) {
  Mapping& m = mappings_[i];
  GANNET_CHECK(m.holder_count > 0);
  if (--m.holder_count == 0) linger(i, now);
}

void NatMappings::linger(std::uint32_t i, Ticks now) {
  Mapping& m = mappings_[i];
  m.is_lingering = true;
  m.lingers_since = now;
  m.linger = {kNone, linger_tail_};
  (linger_tail_ == kNone ? linger_head_ : mappings_[linger_tail_].linger.next) = i;
  linger_tail_ = i;
  m.ports->assign(m.protocol, m.public_port, {m.inside_ip, m.inside_port, m.eni},
                  NatPortState::kLingering);
}

void NatMappings::unlink_lingering(std::uint32_t i) {
  Mapping& m = mappings_[i];
  (m.linger.previous == kNone ? linger_head_ : mappings_[m.linger.previous].linger.next) =
      m.linger.next;
  (m.linger.next == kNone ? linger_tail_ : mappings_[m.linger.next].linger.previous) =
      m.linger.previous;
  m.is_lingering = false;
}

void NatMappings::remove(std::uint32_t i) {
  Mapping& m = mappings_[i];
  unlink_lingering(i);
  m.ports->clear(m.protocol, m.public_port);
  std::uint32_t& head = buckets_[bucket_of(m.eni, m.protocol, m.inside_ip, m.inside_port)];
  if (head == i + 1) {
    head = m.next_in_bucket + 1;
  } else {
    std::uint32_t before = head - 1;
    while (mappings_[before].next_in_bucket != i) before = mappings_[before].next_in_bucket;
    mappings_[before].next_in_bucket = m.next_in_bucket;
  }
  m.next_in_bucket = std::exchange(free_head_, i);
  --used_count_;
}

void NatMappings::expire(Ticks now, unsigned budget) {
  const Ticks delay = duration_ticks(kPortReuseDelay);
  for (; budget > 0 && linger_head_ != kNone; --budget) {
    if (!reached(now, mappings_[linger_head_].lingers_since + delay)) return;
    remove(linger_head_);
  }
}

}  // namespace gannet::dataplane
