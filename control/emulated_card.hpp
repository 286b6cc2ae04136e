// SPDX-License-Identifier: BSD-3-Clause
// The emulated card between this program and its ports: the ports become the card's wires, and the
// program gets the card's representors instead, as with a real card in switchdev mode. Nothing here
// knows the driver but its name; it is loaded like any other (Eal, `plugins`).
// Control thread, at start and end.
#pragma once

#include "flows/base/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct rte_device;

namespace gannet::control {

/// What to make a card of. Wires are devargs of devices to probe or names of ethdevs that exist.
struct EmulatedCardConfig {
  std::span<const std::string> wires;  // The uplink's, then one for each VF.
  std::string profile;                 // Empty: the driver's default.
  std::string arguments;               // More devargs: "manual=1,slots=40".
};

class EmulatedCard final {
 public:
  [[nodiscard]] static Result<EmulatedCard> open(const EmulatedCardConfig& config);
  EmulatedCard(EmulatedCard&& other) noexcept;
  EmulatedCard& operator=(EmulatedCard&&) = delete;
  EmulatedCard(const EmulatedCard&) = delete;
  EmulatedCard& operator=(const EmulatedCard&) = delete;
  /// Removes the card, then the wires that it has probed. Its representors are closed by then.
  ~EmulatedCard();

  /// The device's name, such as "net_emudpu0".
  [[nodiscard]] const std::string& name() const { return name_; }
  /// The ethdev that stands for a wire, by its name.
  [[nodiscard]] const std::string& representor(std::size_t wire) const {
    return representors_[wire];
  }

 private:
  EmulatedCard() = default;
  [[nodiscard]] Result<void> probe_wires(const EmulatedCardConfig& config);
  [[nodiscard]] Result<void> find_representors();

  std::string name_;
  std::vector<std::string> wires_;         // Names of the ethdevs.
  std::vector<std::string> probed_wires_;  // Of these: probed here.
  std::vector<std::string> representors_;
  rte_device* device_ = nullptr;  // Null: there is none to remove.
};

}  // namespace gannet::control
