// SPDX-License-Identifier: BSD-3-Clause
#include "control/compile/identities.hpp"

#include "control/compile/names.hpp"

#include <algorithm>

namespace gannet::control {

const std::string& SnapshotNames::at(const std::vector<std::string>& names, std::uint32_t index) {
  static const std::string kNone = "-";
  return index < names.size() && !names[index].empty() ? names[index] : kNone;
}

std::optional<std::uint16_t> IndexPool::get(const std::string& key, std::uint32_t conforming) {
  if (const auto found = entries_.find(key); found != entries_.end()) {
    found->second.is_in_use = true;
    return found->second.index;
  }
  std::uint16_t index = next_;
  if (!freed_.empty() && freed_.front().generation <= conforming) {
    index = freed_.front().index;
    freed_.pop_front();
  } else if (next_ < limit_) {
    ++next_;
  } else {
    return std::nullopt;
  }
  entries_.emplace(key, Entry{index, true});
  return index;
}

void IndexPool::end_of_policy(std::uint32_t generation) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->second.is_in_use) {
      it->second.is_in_use = false;
      ++it;
    } else {
      freed_.push_back({it->second.index, generation});
      it = entries_.erase(it);
    }
  }
}

std::optional<BlockPool::Block> BlockPool::get(const std::string& gateway, const std::string& eni,
                                               const std::vector<Ip4>& addresses,
                                               std::uint16_t block_ports) {
  const auto key = std::pair(gateway, eni);
  if (const auto found = owned_.find(key); found != owned_.end()) {
    Owned& owned = found->second;
    const auto at = std::find(addresses.begin(), addresses.end(), owned.address);
    if (at != addresses.end() && owned.block_ports == block_ports) {
      owned.is_in_use = true;
      return Block{static_cast<std::size_t>(at - addresses.begin()), owned.number};
    }
    taken_.erase(std::tuple(owned.address, owned.block_ports, owned.number));
    owned_.erase(found);
  }
  const auto blocks = static_cast<std::uint16_t>(dataplane::kNatPortCount / block_ports);
  for (std::uint16_t number = 0; number < blocks; ++number) {
    for (std::size_t a = 0; a < addresses.size(); ++a) {
      if (!taken_.emplace(addresses[a], block_ports, number).second) continue;
      owned_.emplace(key, Owned{addresses[a], number, block_ports, true});
      return Block{a, number};
    }
  }
  return std::nullopt;
}

void BlockPool::end_of_policy() {
  for (auto it = owned_.begin(); it != owned_.end();) {
    Owned& owned = it->second;
    if (owned.is_in_use) {
      owned.is_in_use = false;
      ++it;
    } else {
      taken_.erase(std::tuple(owned.address, owned.block_ports, owned.number));
      it = owned_.erase(it);
    }
  }
}

dataplane::NatPorts* Identities::ports_of(Ip4 ip) {
  auto& ports = nat_ports[ip];
  if (!ports) ports = std::make_unique<dataplane::NatPorts>();
  return ports.get();
}

}  // namespace gannet::control
