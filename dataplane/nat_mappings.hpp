// SPDX-License-Identifier: BSD-3-Clause
// The port mappings of the ENIs of one worker: inside endpoint -> public address and port, the same
// for every destination (endpoint-independent mapping, RFC 4787 REQ-1, RFC 5382 REQ-1). A mapping
// lives as long as a connection holds it, and then stays reserved for its endpoint for 120 s (R22),
// or until its ENI runs short of ports. Ports come from the ENI's block only, so that no ENI can
// starve another and replies find their worker without a table.
//
// Memory is fixed at start. Owned by one worker; the public side (NatPorts) is readable by all.
#pragma once

#include "dataplane/snapshot.hpp"
#include "flows/base/region.hpp"
#include "flows/base/time.hpp"
#include "flows/connection.hpp"
#include "flows/key.hpp"

#include <cstdint>

namespace gannet::dataplane {

/// How long a port stays reserved for its last user (RFC 6888 REQ-8).
inline constexpr Nanos kPortReuseDelay = 120 * kNanosPerSecond;

class NatMappings {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  struct Mapping {
    Ip4 inside_ip{};
    Ip4 public_ip{};
    std::uint16_t inside_port = 0;
    std::uint16_t public_port = 0;
    std::uint16_t eni = kNoIndex;
    std::uint8_t protocol = 0;
    bool is_lingering = false;  // No connection holds it any more.
    std::uint32_t holder_count = 0;
    Ticks lingers_since = 0;
    std::uint32_t next_in_bucket = kNone;
    flows::Links linger{kNone, kNone};  // List of lingering mappings, oldest first.
    NatPorts* ports = nullptr;          // Where the public port is noted.
  };

  /// Room for `capacity` mappings; `seed` keeps others from computing which ones collide.
  [[nodiscard]] static Result<NatMappings> create(std::uint32_t capacity,
                                                  const flows::HashSeed& seed);

  /// The mapping of an inside endpoint to a public address that the policy still gives its ENI, or
  /// kNone. Nothing changes.
  [[nodiscard]] std::uint32_t find(const NatGateway& gateway, const Snapshot& policy,
                                   std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                   std::uint16_t port) const;

  /// Finds or makes the mapping, with nobody holding it yet. kNone if the ENI has no block, its
  /// block has no free port, or all records are in use.
  [[nodiscard]] std::uint32_t find_or_make(const NatGateway& gateway, const Snapshot& policy,
                                           std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                           std::uint16_t port, Ticks now);

  [[nodiscard]] const Mapping& operator[](std::uint32_t i) const { return mappings_[i]; }

  /// A connection uses the mapping, or no longer does.
  void hold(std::uint32_t i);
  void release(std::uint32_t i, Ticks now);

  /// Frees mappings that have lingered long enough, at most `budget`.
  void expire(Ticks now, unsigned budget);

  [[nodiscard]] std::uint32_t used_count() const { return used_count_; }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

 private:
  NatMappings(Region slab, Region buckets, std::uint32_t capacity, std::uint32_t bucket_count,
              const flows::HashSeed& seed);

  [[nodiscard]] std::uint32_t bucket_of(std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                        std::uint16_t port) const;
  [[nodiscard]] std::uint32_t find_with(std::uint16_t eni, std::uint8_t protocol, Ip4 ip,
                                        std::uint16_t port, Ip4 public_ip,
                                        const PortBlock& block) const;
  [[nodiscard]] std::uint32_t free_port(const NatAddress& address, const PortBlock& block,
                                        std::uint8_t protocol);
  void linger(std::uint32_t i, Ticks now);
  void unlink_lingering(std::uint32_t i);
  void remove(std::uint32_t i);

  [[nodiscard]] std::uint32_t allocate();

  Region slab_;
  Region bucket_memory_;
  Mapping* mappings_;
  std::uint32_t* buckets_;  // Index + 1 of the first mapping; 0: none. Fresh memory is empty.
  std::uint32_t capacity_;
  std::uint32_t bucket_mask_;
  std::uint32_t touched_count_ = 0;  // Records that have ever been used.
  std::uint32_t free_head_ = kNone;  // Linked through next_in_bucket.
  std::uint32_t linger_head_ = kNone;
  std::uint32_t linger_tail_ = kNone;
  std::uint32_t used_count_ = 0;
  std::uint64_t random_;
  std::uint64_t seed_;
};

}  // namespace gannet::dataplane
