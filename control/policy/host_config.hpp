// SPDX-License-Identifier: BSD-3-Clause
// This machine as its operator describes it: cores, memory, ports, the way to the underlay. Read
// once, at start. Plain data; fields and sentences stand in fields_host.hpp, defaults here. Control
// thread and command line.
#pragma once

#include "control/policy/dictionary.hpp"
#include "control/policy/model.hpp"
#include "control/policy/units.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gannet::control {

enum class IdleBehaviour : std::uint8_t { kAdaptive, kSpin };
struct Workers {
  std::vector<Located<std::uint32_t>> cores;
  IdleBehaviour idle = IdleBehaviour::kAdaptive;
  Place place;
  friend bool operator==(const Workers&, const Workers&) = default;
};

enum class HugePages : std::uint8_t { kAuto, kRequired, kNone };
struct Memory {
  Located<ByteSize> size = Located<ByteSize>::by_default({512U << 20});
  HugePages hugepages = HugePages::kAuto;
  friend bool operator==(const Memory&, const Memory&) = default;
};

struct Capacity {
  std::uint32_t connections = 1'000'000;
  friend bool operator==(const Capacity&, const Capacity&) = default;
};

/// This host as a tunnel endpoint.
struct UnderlayConfig {
  Reference port;
  std::vector<Located<InterfaceAddress>> ips;
  Located<IpAddress> gateway;
  Located<std::uint16_t> mtu = Located<std::uint16_t>::by_default(1500);
  std::uint16_t vxlan_port = 4789;  // RFC 7348, 5.
  bool clamp_mss = false;
  Place place;
  friend bool operator==(const UnderlayConfig&, const UnderlayConfig&) = default;
};

enum class PortType : std::uint8_t {
  kAfPacket,
  kTap,
  kVhostUser,
  kPci,
  kRepresentor,
  kAfXdp,
  kMemif,
  kVdev,
};
enum class SocketMode : std::uint8_t { kClient, kServer };

/// How to reach a port. Which of the fields are there depends on the type.
struct HostPort : Named {
  PortType type = PortType::kAfPacket;
  Located<std::string> interface;  // af_packet, af_xdp, tap.
  Located<std::string> socket;     // vhost-user, memif.
  SocketMode mode = SocketMode::kClient;
  Located<std::string> address;  // pci: "0000:3b:00.0".
  Located<std::string> device;   // representor: PCI address of the card.
  std::uint32_t vf = 0;          // representor.
  std::uint32_t id = 0;          // memif.
  Located<std::string> args;     // vdev: "net_ring0".
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

enum class NicType : std::uint8_t { kEmulated, kPci };
/// What the emulated card can do (flows/emudpu/profile.cpp has the same names).
enum class CardProfile : std::uint8_t { kUnlimited, kConnectX6Dx, kE810, kTiny };
/// The card that the ports hang on.
struct Nic {
  NicType type = NicType::kEmulated;
  CardProfile profile = CardProfile::kUnlimited;  // Of the emulated card.
  Located<std::string> arguments;                 // Of the emulated card's driver.
  Reference uplink;
  std::vector<Reference> vfs;
  friend bool operator==(const Nic&, const Nic&) = default;
};

enum class OffloadMode : std::uint8_t { kAuto, kDisabled };
struct OffloadConfig {
  OffloadMode mode = OffloadMode::kAuto;
  std::uint32_t min_packets = 1;
  std::uint32_t max_rules_per_eni = 0;  // 0: no limit.
  friend bool operator==(const OffloadConfig&, const OffloadConfig&) = default;
};

/// Idle times after which state is forgotten (R12 to R14, N38).
struct Timers {
  Duration tcp_established = std::chrono::seconds(7440);
  Duration tcp_transitory = std::chrono::seconds(240);
  Duration udp = std::chrono::seconds(120);
  Duration udp_stream = std::chrono::seconds(300);
  Duration icmp = std::chrono::seconds(60);
  Duration fragment = std::chrono::seconds(2);
  friend bool operator==(const Timers&, const Timers&) = default;
};

enum class StrictTcp : std::uint8_t { kAuto, kTrue };
struct Tracking {
  StrictTcp strict_tcp = StrictTcp::kAuto;
  bool midstream = false;
  Duration midstream_after_start = std::chrono::seconds(60);
  friend bool operator==(const Tracking&, const Tracking&) = default;
};

struct ApiConfig {
  Located<std::string> socket = Located<std::string>::by_default("/run/gannet/api.sock");
  friend bool operator==(const ApiConfig&, const ApiConfig&) = default;
};

struct MetricsConfig {
  Located<SocketAddress> listen;
  friend bool operator==(const MetricsConfig&, const MetricsConfig&) = default;
};

struct HostConfig {
  Workers workers;
  Memory memory;
  Capacity capacity;
  UnderlayConfig underlay;
  Dictionary<HostPort> ports;
  std::optional<Nic> nic;  // None: software only.
  OffloadConfig offload;
  Timers timers;
  Tracking tracking;
  ApiConfig api;
  std::optional<MetricsConfig> metrics;  // None: not served.
  Sources sources;                       // Keep the places alive.
};

}  // namespace gannet::control
