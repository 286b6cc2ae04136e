// SPDX-License-Identifier: BSD-3-Clause
// What a policy changes of the one before, as workers ask it: may this connection's decision be
// another now? Most changes concern few connections; the others take over the new generation
// without being judged again. Every decision is a function of the connection's own addresses and
// ports, which its flows hold, so nothing has to be stored with a connection: the changes are
// looked up by them. Made by control/reconcile, published with the snapshot, never changed then;
// any worker reads it. Costs a few compares, and look-ups in tables as large as the change
// (docs/decisions/reconcile.md). Free of DPDK.
#pragma once

#include "dataplane/snapshot.hpp"

#include <cstdint>
#include <vector>

namespace gannet::dataplane {

class Changes {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  /// What has changed for one ENI.
  struct OfEni {
    bool is_other = false;              // Itself: whatever connections read of it.
    bool has_other_nat = false;         // Its NAT gateways, or its ports there.
    std::uint32_t routes = kNone;       // Region of its routes.
    std::vector<std::uint32_t> egress;  // Regions of its groups.
    std::vector<std::uint32_t> ingress;
  };

  std::uint32_t from_generation = 0;  // Connections of this one can be asked about.
  std::vector<OfEni> enis;            // By ENI index.
  std::vector<bool> is_other_vpc;     // By VPC index: its networks or its VNI.
  // Addresses of a VPC of which something is other: who has it, what listens there, which host may
  // send from there. With VPC kNoIndex: of the public side.
  ExactMap<AddressKey> addresses;
  std::vector<Acl> group_regions;    // What any rule matches is of the region.
  std::vector<Lpm> route_regions;    // By destination.
  std::vector<std::uint32_t> hops;   // By next hop before: the same one now, or kNone.
  std::vector<std::uint32_t> rules;  // By rule before: the same one now, or kNone.
  bool keeps_rules = false;          // All of them, and their numbers.

  /// Lets a connection that these changes do not concern take over the generation of `policy`,
  /// which they have led to: its flows stay as they are, but for the numbers that are good for one
  /// snapshot only. \param looks grows by how often an address was looked up, mostly a cache miss
  /// if much has changed. \return false if it has to be judged again; then nothing has changed.
  template <typename Key>
  [[nodiscard]] bool bring_up(flows::Connection<Key>& connection, const Snapshot& policy,
                              unsigned& looks) const;

 private:
  template <typename Key>
  [[nodiscard]] bool may_concern(const flows::Connection<Key>& connection, const Snapshot& policy,
                                 unsigned& looks) const;
  [[nodiscard]] bool is_other_zone(flows::Zone zone) const;
  template <typename Key>
  [[nodiscard]] bool are_other_regions(const flows::Connection<Key>& connection) const;
  template <typename Key>
  [[nodiscard]] bool are_other_addresses(const flows::Connection<Key>& connection,
                                         const Snapshot& policy, unsigned& looks) const;
};

extern template bool Changes::bring_up(flows::Ip4Connection&, const Snapshot&, unsigned&) const;
extern template bool Changes::bring_up(flows::Ip6Connection&, const Snapshot&, unsigned&) const;

}  // namespace gannet::dataplane
