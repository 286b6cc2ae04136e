// SPDX-License-Identifier: BSD-3-Clause
#include "control/emulated_card.hpp"

#include <cstdlib>
#include <utility>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

namespace gannet::control {
namespace {

std::string device_name(const std::string& devargs) { return devargs.substr(0, devargs.find(',')); }

bool is_ethdev(const std::string& name) {
  std::uint16_t ignored = 0;
  return rte_eth_dev_get_port_by_name(name.c_str(), &ignored) == 0;
}

void remove_device(const std::string& ethdev) {
  std::uint16_t port = 0;
  if (rte_eth_dev_get_port_by_name(ethdev.c_str(), &port) != 0) return;
  rte_eth_dev_info info;
  const bool has_device = rte_eth_dev_info_get(port, &info) == 0 && info.device != nullptr;
  rte_eth_dev_stop(port);
  rte_eth_dev_close(port);
  if (has_device) rte_dev_remove(info.device);
}

// A name that no card has yet; several in one process are only for tests.
std::string free_name() {
  for (unsigned i = 0;; ++i) {
    std::string name = "net_emudpu" + std::to_string(i);
    if (!is_ethdev(name)) return name;
  }
}

}  // namespace

Result<EmulatedCard> EmulatedCard::open(const EmulatedCardConfig& config) {
  EmulatedCard card;
  if (const auto probed = card.probe_wires(config); !probed) return tl::unexpected(probed.error());
  card.name_ = free_name();
  std::string devargs = card.name_;
  for (std::size_t i = 0; i < card.wires_.size(); ++i) {
    devargs += (i == 0 ? ",uplink=" : ",vf=") + card.wires_[i];
  }
  if (!config.profile.empty()) devargs += ",profile=" + config.profile;
  if (!config.arguments.empty()) devargs += "," + config.arguments;
  if (const int error = rte_dev_probe(devargs.c_str()); error != 0) {
    return fail(
        "nic: cannot make the emulated card (" + devargs + "): " + rte_strerror(std::abs(error)) +
        "; " +
        (config.arguments.empty()
             ? "does librte_net_emudpu.so lie beside gannetd?"
             : "is nic.args right? docs/emudpu.md lists what it may be; GANNET_DPDK_LOG=err "
               "in gannetd's environment shows what the driver says"));
  }
  if (const auto found = card.find_representors(); !found) return tl::unexpected(found.error());
  return card;
}

Result<void> EmulatedCard::probe_wires(const EmulatedCardConfig& config) {
  for (const std::string& wire : config.wires) {
    const std::string name = device_name(wire);
    if (!is_ethdev(name)) {
      if (const int error = rte_dev_probe(wire.c_str()); error != 0) {
        return fail("nic: cannot open the device " + wire + ": " + rte_strerror(std::abs(error)) +
                    "; check that it exists and that the daemon may use it");
      }
      probed_wires_.push_back(name);
    }
    wires_.push_back(name);
  }
  return {};
}

// All ethdevs of the card's device, in order: the uplink's, then one for each VF.
Result<void> EmulatedCard::find_representors() {
  std::uint16_t port = 0;
  if (rte_eth_dev_get_port_by_name(name_.c_str(), &port) != 0) {
    return fail("nic: the emulated card has no port of its name");
  }
  rte_eth_dev_info info;
  if (rte_eth_dev_info_get(port, &info) != 0 || info.device == nullptr) {
    return fail("nic: the emulated card does not describe itself");
  }
  device_ = info.device;
  RTE_ETH_FOREACH_DEV_OF(port, device_) {
    char name[RTE_ETH_NAME_MAX_LEN];
    if (rte_eth_dev_get_name_by_port(port, name) == 0) representors_.emplace_back(name);
  }
  if (representors_.size() >= wires_.size()) return {};
  return fail("nic: the emulated card has " + std::to_string(representors_.size()) +
              " representors for " + std::to_string(wires_.size()) + " ports");
}

EmulatedCard::EmulatedCard(EmulatedCard&& other) noexcept
    : name_(std::move(other.name_)),
      wires_(std::move(other.wires_)),
      probed_wires_(std::exchange(other.probed_wires_, {})),
      representors_(std::move(other.representors_)),
      device_(std::exchange(other.device_, nullptr)) {}

EmulatedCard::~EmulatedCard() {
  // Its ethdevs may all be closed: only the device itself is left to go by.
  if (device_ != nullptr) rte_dev_remove(device_);
  for (const std::string& wire : probed_wires_) remove_device(wire);
}

}  // namespace gannet::control
