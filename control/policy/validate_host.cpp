// SPDX-License-Identifier: BSD-3-Clause
// This machine, and what a policy asks of it.
#include "control/policy/check.hpp"
#include "control/policy/validate.hpp"
#include "control/policy/values.hpp"

#include <algorithm>
#include <cctype>

namespace gannet::control {
namespace {

// IFNAMSIZ and the size of sun_path, each less the NUL at the end.
constexpr std::size_t kMaxInterfaceLength = 15;
constexpr std::size_t kMaxSocketPathLength = 107;
// A worker's packet buffers and the smallest tables.
constexpr std::uint64_t kMinMemoryBytes = 32U << 20;

void check_cores(const Workers& workers, Diagnostics& diagnostics) {
  FirstPlaces<std::uint32_t> cores;
  for (const auto& core : workers.cores) {
    if (!core.is_given) continue;
    cores.add(*core, core.place, Slug::duplicate_item,
              fmt::format("core {} has a worker already", *core), diagnostics);
  }
}

void check_interface(const Located<std::string>& interface, Diagnostics& diagnostics) {
  if (!interface.is_given) return;
  const bool is_good = !interface->empty() && interface->size() <= kMaxInterfaceLength &&
                       interface->find_first_of("/ \t\n:") == std::string::npos &&
                       *interface != "." && *interface != "..";
  if (is_good) return;
  diagnostics.error(
      Slug::invalid_value, interface.place,
      fmt::format("'{}' is no name of a network interface: at most {} characters, without "
                  "blanks, '/' and ':'",
                  *interface, kMaxInterfaceLength));
}

void check_socket(const Located<std::string>& path, Diagnostics& diagnostics) {
  // A default is good.
  if (!path.is_given) return;
  if (path->starts_with('/') && path->size() <= kMaxSocketPathLength) return;
  diagnostics.error(
      Slug::invalid_value, path.place,
      fmt::format("'{}' is no absolute path of at most {} bytes", *path, kMaxSocketPathLength));
}

// 0000:3b:00.0
void check_pci_address(const Located<std::string>& address, Diagnostics& diagnostics) {
  if (!address.is_given) return;
  constexpr std::string_view kShape = "xxxx:xx:xx.f";
  const auto fits = [](char c, char shape) {
    const bool is_hex = std::isxdigit(static_cast<unsigned char>(c)) != 0;
    return shape == 'x' ? is_hex : shape == 'f' ? c >= '0' && c <= '7' : c == shape;
  };
  if (std::equal(address->begin(), address->end(), kShape.begin(), kShape.end(), fits)) return;
  diagnostics.error(
      Slug::invalid_value, address.place,
      fmt::format("expected a PCI address such as '0000:3b:00.0', found '{}'", *address));
}

// What a port is in the machine; two ports cannot be the same.
std::string identity(const HostPort& port) {
  switch (port.type) {
    case PortType::kAfPacket:
    case PortType::kAfXdp:
    case PortType::kTap: return "interface " + *port.interface;
    case PortType::kVhostUser: return "socket " + *port.socket;
    case PortType::kPci: return "device " + *port.address;
    case PortType::kRepresentor:
      return fmt::format("virtual function {} of {}", port.vf, *port.device);
    case PortType::kMemif: return fmt::format("interface {} of socket {}", port.id, *port.socket);
    case PortType::kVdev: return "device " + *port.args;
  }
  return {};
}

void check_ports(const HostConfig& host, Diagnostics& diagnostics) {
  FirstPlaces<std::string> identities;
  for (const HostPort& port : host.ports) {
    check_interface(port.interface, diagnostics);
    check_socket(port.socket, diagnostics);
    check_pci_address(port.address, diagnostics);
    check_pci_address(port.device, diagnostics);
    const bool is_known = port.interface.is_given || port.socket.is_given ||
                          port.address.is_given || port.device.is_given || port.args.is_given;
    if (!is_known) continue;
    identities.add(identity(port), port.place, Slug::duplicate_interface,
                   fmt::format("another port is the {}", identity(port)), diagnostics);
  }
}

void check_gateway(const UnderlayConfig& underlay, Diagnostics& diagnostics) {
  if (!check_unicast(underlay.gateway, diagnostics)) return;
  const auto& gateway = underlay.gateway;
  bool all_given = true;
  for (const auto& ip : underlay.ips) {
    all_given = all_given && ip.is_given;
    if (!ip.is_given) continue;
    if (ip->address == *gateway) {
      diagnostics.error(Slug::underlay_address, gateway.place,
                        "the gateway is this host's own address");
      return;
    }
    if (ip->network().contains(*gateway)) return;
  }
  if (!all_given || underlay.ips.empty()) return;
  diagnostics.error(Slug::gateway_unreachable, gateway.place,
                    fmt::format("'{}' is in no network of the underlay's addresses",
                                gannet::to_string(*gateway)));
}

void check_underlay(const HostConfig& host, Diagnostics& diagnostics) {
  const UnderlayConfig& underlay = host.underlay;
  (void)resolve(host.ports, underlay.port, "port", diagnostics);
  FirstPlaces<IpAddress> ips;
  bool may_have_ipv4 = underlay.ips.empty();
  for (const auto& ip : underlay.ips) {
    may_have_ipv4 = may_have_ipv4 || !ip.is_given || ip->address.is_v4();
    if (!ip.is_given) continue;
    const Located<IpAddress> address(ip->address, ip.place);
    if (!check_unicast(address, diagnostics)) continue;
    ips.add(ip->address, ip.place, Slug::duplicate_item,
            fmt::format("'{}' is listed twice", gannet::to_string(ip->address)), diagnostics);
    const bool has_network = ip->length < bit_count(ip->address.family()) - 1;
    const char* const role = has_network ? reserved_role(ip->network(), ip->address) : nullptr;
    // Nothing makes the first host address of a network on the underlay a gateway.
    if (role != nullptr && ip->network().at(1) != ip->address) {
      diagnostics.error(
          Slug::reserved_address, ip.place,
          fmt::format("'{}' is {} of its network", gannet::to_string(ip->address), role));
    }
  }
  if (!may_have_ipv4) {
    diagnostics.error(Slug::missing_ipv4, underlay.ips.front().place,
                      "tunnels run over IPv4; the underlay needs an IPv4 address");
  }
  check_gateway(underlay, diagnostics);
}

// A port of a real card is found by the card's own driver.
bool may_be_on_card(PortType type) {
  return type == PortType::kPci || type == PortType::kRepresentor || type == PortType::kVdev;
}

void check_nic(const HostConfig& host, Diagnostics& diagnostics) {
  if (!host.nic) return;
  const Nic& nic = *host.nic;
  FirstPlaces<std::string> uses;
  const auto check = [&](const Reference& port) {
    const HostPort* const found = resolve(host.ports, port, "port", diagnostics);
    if (found == nullptr) return;
    uses.add(*port, port.place, Slug::port_in_use,
             fmt::format("port '{}' is on the card already", *port), diagnostics);
    if (nic.type == NicType::kEmulated || may_be_on_card(found->type)) return;
    diagnostics.error(
        Slug::invalid_value, port.place,
        fmt::format("port '{}' is of type {}: only pci, representor and vdev hang on a card of "
                    "type pci",
                    *port, to_string(found->type)));
  };
  validate_card_arguments(nic.arguments, diagnostics);
  check(nic.uplink);
  for (const auto& vf : nic.vfs) {
    check(vf);
    if (vf.is_given && host.underlay.port.is_given && *vf == *host.underlay.port) {
      diagnostics.error(
          Slug::port_in_use, vf.place,
          fmt::format("port '{}' leads to the underlay; it cannot be a virtual function", *vf));
    }
  }
}

}  // namespace

void validate(const HostConfig& host, Diagnostics& diagnostics) {
  check_cores(host.workers, diagnostics);
  if (host.memory.size.is_given && host.memory.size->bytes < kMinMemoryBytes) {
    diagnostics.error(
        Slug::out_of_range, host.memory.size.place,
        fmt::format("'{}' is too little; at least {} are needed", to_string(*host.memory.size),
                    to_string(ByteSize{kMinMemoryBytes})));
  }
  check_ports(host, diagnostics);
  check_underlay(host, diagnostics);
  check_nic(host, diagnostics);
  check_socket(host.api.socket, diagnostics);
}

void validate_on_host(const Policy& policy, const HostConfig& host, Diagnostics& diagnostics) {
  for (const Eni& eni : policy.enis) {
    if (resolve(host.ports, eni.port, "port", diagnostics) == nullptr) continue;
    const bool is_uplink =
        *eni.port == *host.underlay.port || (host.nic && *eni.port == *host.nic->uplink);
    if (is_uplink) {
      diagnostics.error(
          Slug::port_in_use, eni.port.place,
          fmt::format("port '{}' leads to the underlay; no ENI can be there", *eni.port));
    }
  }
  for (const Vpc& vpc : policy.vpcs) {
    for (const Mapping& mapping : vpc.mappings)
      check_not_underlay(&host, mapping.underlay_ip, diagnostics);
  }
}

}  // namespace gannet::control
