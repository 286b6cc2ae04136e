// SPDX-License-Identifier: BSD-3-Clause
#include "control/port_watch.hpp"

#include "control/host_ports.hpp"

#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/format.h>
#include <net/if.h>

namespace gannet::control {
namespace {

namespace fs = std::filesystem;

// The interface that a descriptor of this process belongs to; empty if it is no tap's, or the
// interface has been deleted. A tap may be in any network namespace and have any name there: only
// the descriptor knows.
std::string tap_of(const std::string& description) {
  constexpr std::string_view kWord = "iff:\t";
  std::ifstream in(description);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(kWord)) return line.substr(kWord.size());
  }
  return {};
}

std::string description_of_tap(const std::string& interface) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/self/fdinfo", error)) {
    if (tap_of(entry.path().string()) == interface) return entry.path().string();
  }
  return {};
}

}  // namespace

PortWatch::PortWatch(const HostConfig& host, const dataplane::Dataplane& dataplane)
    : host_(host), dataplane_(dataplane) {
  for (const HostPort& port : host.ports) {
    const bool is_interface = port.type == PortType::kAfPacket || port.type == PortType::kAfXdp;
    const bool is_tap = port.type == PortType::kTap;
    interfaces_.push_back(is_interface ? if_nametoindex(port.interface->c_str()) : 0);
    descriptors_.push_back(is_tap ? description_of_tap(*port.interface) : std::string());
    last_.emplace_back(kLinkUp);
  }
}

std::string PortWatch::link(std::size_t port) const {
  const HostPort& wanted = *(host_.ports.begin() + static_cast<std::ptrdiff_t>(port));
  if (interfaces_[port] != 0) return look_at_interface(wanted, interfaces_[port]);
  if (!descriptors_[port].empty()) return tap_of(descriptors_[port]).empty() ? "gone" : kLinkUp;
  if (dataplane_.ports()[port].is_up()) return kLinkUp;
  return wanted.type == PortType::kVhostUser || wanted.type == PortType::kMemif ? "no peer"
                                                                                : "down";
}

std::string PortWatch::look_at_interface(const HostPort& port, unsigned index) const {
  const Interface now = look_up_interface(*port.interface);
  if (now.mtu < 0) return "gone";
  if (if_nametoindex(port.interface->c_str()) != index) return "replaced";
  if ((now.flags & IFF_UP) == 0) return "down";
  if ((now.flags & IFF_RUNNING) == 0) return "no carrier";
  const bool is_narrow = port.name == *host_.underlay.port && now.mtu < *host_.underlay.mtu;
  return is_narrow ? fmt::format("mtu {}", now.mtu) : kLinkUp;
}

void PortWatch::run() {
  for (std::size_t i = 0; i < last_.size(); ++i) {
    std::string now = link(i);
    if (now == last_[i]) continue;
    fmt::print(stderr, "gannetd: port {}: link is {}\n",
               (host_.ports.begin() + static_cast<std::ptrdiff_t>(i))->name, now);
    last_[i] = std::move(now);
  }
}

}  // namespace gannet::control
