// SPDX-License-Identifier: BSD-3-Clause
// Numbers that outlive a policy. ENI and VPC indices are part of flow keys, NAT port blocks are
// known to the other side of the internet: both stay with their object for as long as it exists,
// through any number of policies, and are given to another one only when no flow can remember the
// old owner. Control thread only.
#pragma once

#include "dataplane/nat_ports.hpp"
#include "flows/base/ip.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace gannet::control {

/// Gives out small numbers by key.
class IndexPool {
 public:
  explicit IndexPool(std::uint16_t limit) : limit_(limit) {}

  /// The key's index: the one it had, or a free one. Nothing if all are taken.
  /// \param conforming generation that every flow conforms to: what was freed before it is free.
  [[nodiscard]] std::optional<std::uint16_t> get(const std::string& key, std::uint32_t conforming);
  /// Frees all indices that have not been asked for since the last call, as of this generation.
  void end_of_policy(std::uint32_t generation);
  /// One more than the highest index ever given out.
  [[nodiscard]] std::uint16_t size() const { return next_; }

 private:
  struct Entry {
    std::uint16_t index;
    bool is_in_use;
  };
  struct Freed {
    std::uint16_t index;
    std::uint32_t generation;
  };
  std::map<std::string, Entry> entries_;
  std::deque<Freed> freed_;  // Oldest first.
  std::uint16_t next_ = 0;
  std::uint16_t limit_;
};

/// Gives out port blocks of NAT gateways.
class BlockPool {
 public:
  struct Block {
    std::size_t address;   // Place in the gateway's public addresses.
    std::uint16_t number;  // Which of the address's blocks.
  };
  /// The ENI's block: the one it had if the gateway still has it, else a free one; nothing if there
  /// is none. An address gives no block to a second ENI before all others are given out.
  [[nodiscard]] std::optional<Block> get(const std::string& gateway, const std::string& eni,
                                         const std::vector<Ip4>& addresses,
                                         std::uint16_t block_ports);
  void end_of_policy();

 private:
  struct Owned {
    Ip4 address;
    std::uint16_t number;
    std::uint16_t block_ports;
    bool is_in_use;
  };

  std::map<std::pair<std::string, std::string>, Owned> owned_;  // By gateway and ENI.
  // (address, block size, number), to know quickly what is taken.
  std::set<std::tuple<Ip4, std::uint16_t, std::uint16_t>> taken_;
};

/// All of them.
struct Identities {
  IndexPool enis{dataplane::kMaxEniCount};
  IndexPool vpcs{0x7fff};
  BlockPool blocks;
  std::map<Ip4, std::unique_ptr<dataplane::NatPorts>> nat_ports;  // Never freed: workers read them.

  [[nodiscard]] dataplane::NatPorts* ports_of(Ip4 ip);
};

}  // namespace gannet::control
