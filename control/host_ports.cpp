// SPDX-License-Identifier: BSD-3-Clause
#include "control/host_ports.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace gannet::control {
namespace {

// af_packet shares a ring of frames with the kernel: a frame holds a packet and the kernel's header
// (TPACKET2_HDRLEN and padding, under 128 bytes), and a block is whole pages.
std::string af_packet_ring(std::uint16_t mtu) {
  const unsigned frame = std::bit_ceil(std::max(2048u, mtu + 14u + 128u));
  const unsigned block = std::max(4096u, frame);
  return fmt::format("blocksz={},framesz={},framecnt=1024,qpairs=1", block, frame);
}

}  // namespace

Interface look_up_interface(const std::string& name) {
  Interface found;
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return found;
  std::memcpy(request.ifr_name, name.c_str(), name.size());
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0) {
    found.mtu = request.ifr_mtu;
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
      found.flags = static_cast<unsigned short>(request.ifr_flags);
    }
  }
  if (fd >= 0) close(fd);
  return found;
}

Result<void> check_interfaces(const HostConfig& host) {
  for (const HostPort& port : host.ports) {
    if (port.type == PortType::kTap && look_up_interface(*port.interface).mtu >= 0) {
      return fail(
          fmt::format("port {}: there is an interface '{}' already; if it is no other "
                      "gannetd's: 'ip link del {}'",
                      port.name, *port.interface, *port.interface));
    }
    if (port.type != PortType::kAfPacket && port.type != PortType::kAfXdp) continue;
    const int mtu = look_up_interface(*port.interface).mtu;
    if (mtu < 0) {
      return fail(fmt::format("port {}: there is no interface '{}' here; see 'ip link'", port.name,
                              *port.interface));
    }
    if (port.name == *host.underlay.port && mtu < *host.underlay.mtu) {
      return fail(
          fmt::format("port {}: interface '{}' has an MTU of {}, underlay.mtu is {}; run "
                      "'ip link set {} mtu {}'",
                      port.name, *port.interface, mtu, *host.underlay.mtu, *port.interface,
                      *host.underlay.mtu));
    }
  }
  return {};
}

std::string emulated_card_driver() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return (program.parent_path() / "librte_net_emudpu.so").string();
}

std::string devargs_of(const HostPort& port, std::uint16_t mtu) {
  switch (port.type) {
    case PortType::kAfPacket:
      return fmt::format("net_af_packet_{},iface={},{}", port.name, *port.interface,
                         af_packet_ring(mtu));
    case PortType::kTap: return fmt::format("net_tap_{},iface={}", port.name, *port.interface);
    case PortType::kVhostUser:
      return fmt::format("net_vhost_{},iface={},queues=1,client={}", port.name, *port.socket,
                         port.mode == SocketMode::kClient ? 1 : 0);
    case PortType::kPci: return *port.address;
    case PortType::kRepresentor: return fmt::format("{},representor=vf{}", *port.device, port.vf);
    case PortType::kAfXdp: return fmt::format("net_af_xdp_{},iface={}", port.name, *port.interface);
    case PortType::kMemif:
      return fmt::format("net_memif_{},socket={},id={},role={}", port.name, *port.socket, port.id,
                         port.mode == SocketMode::kClient ? "client" : "server");
    case PortType::kVdev: return *port.args;
  }
  return {};
}

std::vector<std::string> pci_addresses(const HostConfig& host) {
  std::vector<std::string> addresses;
  for (const HostPort& port : host.ports) {
    if (port.type == PortType::kPci) addresses.push_back(*port.address);
    if (port.type == PortType::kRepresentor) addresses.push_back(*port.device);
  }
  return addresses;
}

}  // namespace gannet::control
