// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/doctor.hpp"

#include "control/api/client.hpp"
#include "control/cli/exit_status.hpp"
#include "control/cli/table.hpp"
#include "control/machine.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace gannet::control {
namespace {

namespace fs = std::filesystem;

/// What has been found, one row for each check.
class Findings {
 public:
  void ok(const std::string& check, const std::string& found) { add(check, "ok", found, "-"); }
  void warn(const std::string& check, const std::string& found, const std::string& fix) {
    add(check, "warning", found, fix);
  }
  void bad(const std::string& check, const std::string& found, const std::string& fix) {
    add(check, "missing", found, fix);
    is_healthy_ = false;
  }
  [[nodiscard]] const Json& rows() const { return rows_; }
  [[nodiscard]] bool is_healthy() const { return is_healthy_; }

 private:
  void add(const std::string& check, const char* state, const std::string& found,
           const std::string& fix) {
    rows_.push_back({{"check", check}, {"state", state}, {"found", found}, {"fix", fix}});
  }

  Json rows_ = Json::array();
  bool is_healthy_ = true;
};

std::string line_of(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

void check_capabilities(Findings& findings) {
  const std::vector<std::string> missing = missing_capabilities();
  if (missing.empty()) return findings.ok("capabilities", "all that opening ports takes");
  const std::string names = fmt::format("{}", fmt::join(missing, " "));
  findings.bad("capabilities", "without " + names,
               "run gannetd as root, or by systemd with AmbientCapabilities=" + names);
}

void check_memory(Findings& findings, const HostConfig& host) {
  const std::uint64_t tables = table_bytes(host);
  const std::uint64_t buffers = host.memory.size->bytes;
  const std::uint64_t needed = (buffers + 2 * kMiB - 1) / (2 * kMiB);
  const bool fits = takes_huge_pages(host);
  const std::string found =
      fmt::format("{} of 2 MiB free, memory.size needs {}", free_huge_pages(), needed);
  const std::string fix = fmt::format("sysctl vm.nr_hugepages={}", needed + 64);
  if (host.memory.hugepages == HugePages::kNone) {
    findings.ok("huge pages", "not wanted");
  } else if (fits) {
    findings.ok("huge pages", found);
  } else if (host.memory.hugepages == HugePages::kRequired) {
    findings.bad("huge pages", found, fix);
  } else {
    findings.warn("huge pages", found + "; works without, slower", fix);
  }
  if (const std::uint64_t card = card_buffer_bytes(host); card != 0) {
    const std::uint64_t least = least_memory_bytes(host);
    const std::string sizes =
        fmt::format("{} MiB of memory.size for the emulated card's buffers", card / kMiB);
    if (buffers >= least) {
      findings.ok("card memory", sizes);
    } else {
      findings.bad("card memory", sizes,
                   fmt::format("memory.size of at least {}MiB", least / kMiB + 1));
    }
  }
  const std::uint64_t available = available_memory_bytes();
  const std::uint64_t wanted = tables + (fits ? 0 : buffers);
  const std::string memory =
      fmt::format("{} MiB available, {} MiB needed", available / kMiB, wanted / kMiB);
  if (available >= wanted) return findings.ok("memory", memory);
  findings.bad("memory", memory, "lower memory.size or capacity.connections");
}

void check_cores(Findings& findings, const HostConfig& host) {
  const std::vector<unsigned> allowed = allowed_cores();
  const std::string isolated = line_of("/sys/devices/system/cpu/isolated");
  for (const auto& core : host.workers.cores) {
    const std::string check = fmt::format("core {}", *core);
    if (std::find(allowed.begin(), allowed.end(), *core) == allowed.end()) {
      findings.bad(check, "not there, or not for this process",
                   fmt::format("name others in workers.cores: {}", fmt::join(allowed, ", ")));
    } else if (host.workers.idle == IdleBehaviour::kSpin && isolated.empty()) {
      findings.warn(check, "shared with other programs, though workers.idle is spin",
                    fmt::format("boot with isolcpus={}, or set workers.idle: adaptive", *core));
    } else {
      findings.ok(check, "there");
    }
  }
}

const char* driver_of(PortType type) {
  switch (type) {
    case PortType::kAfPacket: return "net_af_packet";
    case PortType::kTap: return "net_tap";
    case PortType::kVhostUser: return "net_vhost";
    case PortType::kAfXdp: return "net_af_xdp";
    case PortType::kMemif: return "net_memif";
    case PortType::kPci:
    case PortType::kRepresentor:
    case PortType::kVdev: break;
  }
  return nullptr;  // Which one it is depends on the card.
}

// DPDK loads its drivers from a folder of its own.
bool has_driver(const std::string& name) {
  std::error_code ignored;
  for (const auto& arch : fs::directory_iterator("/usr/lib", ignored)) {
    for (const auto& folder : fs::directory_iterator(arch.path() / "dpdk", ignored)) {
      for (const auto& file : fs::directory_iterator(folder.path(), ignored)) {
        if (file.path().filename().string().starts_with("librte_" + name + ".so")) return true;
      }
    }
  }
  return false;
}

void check_driver(Findings& findings, PortType type, std::set<PortType>& seen) {
  const char* const driver = driver_of(type);
  if (driver == nullptr || !seen.insert(type).second) return;
  const std::string check = fmt::format("driver {}", driver);
  if (has_driver(driver)) return findings.ok(check, "installed");
  std::string package = fmt::format("librte-{}23", driver);
  std::replace(package.begin(), package.end(), '_', '-');
  findings.bad(check, "not installed", "apt install " + package);
}

void check_interface(Findings& findings, const HostConfig& host, const HostPort& port,
                     const std::string& check) {
  const fs::path folder = fs::path("/sys/class/net") / *port.interface;
  if (!fs::exists(folder)) {
    return findings.bad(check, fmt::format("there is no interface {}", *port.interface),
                        "see 'ip link'; gannetd takes those of its own network namespace");
  }
  const std::uint64_t mtu = std::strtoull(line_of(folder / "mtu").c_str(), nullptr, 10);
  if (port.name == *host.underlay.port && mtu < *host.underlay.mtu) {
    return findings.bad(check, fmt::format("{} has an MTU of {}", *port.interface, mtu),
                        fmt::format("ip link set {} mtu {}", *port.interface, *host.underlay.mtu));
  }
  const std::uint64_t flags = std::strtoull(line_of(folder / "flags").c_str(), nullptr, 16);
  if ((flags & 1) == 0) {  // IFF_UP
    return findings.bad(check, fmt::format("{} is down", *port.interface),
                        fmt::format("ip link set {} up", *port.interface));
  }
  findings.ok(check, fmt::format("{} is up, MTU {}", *port.interface, mtu));
}

void check_pci(Findings& findings, const std::string& address, const std::string& check) {
  const fs::path folder = fs::path("/sys/bus/pci/devices") / address;
  std::error_code error;
  if (!fs::exists(folder))
    return findings.bad(check, "there is no device " + address, "see 'lspci -D'");
  const std::string driver = fs::read_symlink(folder / "driver", error).filename().string();
  // Cards of the mlx5 family are shared with the kernel; all others are taken over by way of VFIO.
  if (driver == "mlx5_core" || driver == "vfio-pci")
    return findings.ok(check, "bound to " + driver);
  findings.bad(check, driver.empty() ? "bound to no driver" : "bound to " + driver,
               "dpdk-devbind.py -b vfio-pci " + address);
}

void check_socket_folder(Findings& findings, const std::string& socket, const std::string& check) {
  const fs::path folder = fs::path(socket).parent_path();
  // gannetd makes the folder of its own socket; the nearest that exists decides.
  fs::path existing = folder;
  while (!existing.empty() && !fs::exists(existing)) existing = existing.parent_path();
  if (access(existing.c_str(), W_OK) == 0) return findings.ok(check, socket);
  findings.bad(check, fmt::format("{} cannot be written", existing.string()),
               "run as root, or name another path");
}

void check_port(Findings& findings, const HostConfig& host, const HostPort& port) {
  const std::string check = fmt::format("port {}", port.name);
  switch (port.type) {
    case PortType::kAfPacket:
    case PortType::kAfXdp: return check_interface(findings, host, port, check);
    case PortType::kTap:
      if (fs::exists(fs::path("/sys/class/net") / *port.interface)) {
        return findings.warn(check,
                             fmt::format("there is an interface {} already", *port.interface),
                             "good if gannetd runs: it is its own");
      }
      if (access("/dev/net/tun", R_OK | W_OK) == 0)
        return findings.ok(check, "/dev/net/tun is there");
      return findings.bad(check, "/dev/net/tun cannot be opened", "modprobe tun, or run as root");
    case PortType::kVhostUser:
    case PortType::kMemif: return check_socket_folder(findings, *port.socket, check);
    case PortType::kPci: return check_pci(findings, *port.address, check);
    case PortType::kRepresentor: return check_pci(findings, *port.device, check);
    case PortType::kVdev: return findings.ok(check, *port.args);
  }
}

// What the daemon sees of its ports, which may be in another network namespace than this program.
void check_links(Findings& findings, const std::string& socket, Patience patience) {
  const auto answer = call_daemon(socket, "/v1/show/port", "", patience);
  const Json rows = answer ? Json::parse(answer->body, nullptr, false) : Json::array();
  if (!rows.is_array()) return;
  for (const Json& row : rows) {
    const std::string link = row.value("link", "up");
    if (link == "up") continue;
    const std::string check = "link of " + row.value("port", "?");
    const bool is_uplink = row.value("role", "vm") == "uplink";
    std::string fix = "look at its interface and at what is at its other end";
    const bool may_come_up = link == "down" || link == "no carrier" || link == "no peer";
    if (may_come_up && !is_uplink) {
      findings.warn(check, link, "good if its VM is not there yet; else " + fix);
      continue;
    }
    if (link == "gone" || link == "replaced")
      fix = "restart gannetd, once the interface is there if it is none that gannetd makes";
    if (link.starts_with("mtu")) fix = "ip link set DEV mtu, to what underlay.mtu says at least";
    findings.bad(check, link, fix);
  }
}

void check_daemon(Findings& findings, const std::string& socket, Patience patience) {
  const auto status = call_daemon(socket, "/v1/status", "", patience);
  if (!status && status.error().has_taken_the_call) {
    return findings.bad("daemon", status.error().message, "look what it does: 'ps', its log");
  }
  if (!status) return findings.warn("daemon", "none answers on " + socket, "start gannetd");
  const Json json = Json::parse(status->body, nullptr, false);
  if (!json.is_object() || !json.contains("revision")) {
    return findings.bad("daemon", "something else answers on " + socket, "look who has it");
  }
  check_links(findings, socket, patience);
  if (json.value("network_namespace", std::uint64_t{0}) != network_namespace()) {
    findings.warn("network namespace", "gannetd runs in another one than this doctor looks from",
                  fmt::format("for its interfaces: nsenter --net=/proc/{}/ns/net gannetctl doctor",
                              json.value("pid", 0)));
  }
  if (const auto back_to = json.find("unconfirmed_goes_back_to"); back_to != json.end()) {
    findings.warn("policy",
                  fmt::format("waits for a confirmation, else goes back to revision {}",
                              back_to->get<unsigned>()),
                  "gannetctl confirm, or gannetctl rollback");
  }
  if (const auto count = json.value("unlimited_enis", std::size_t{0}); count != 0) {
    findings.warn("connection table", fmt::format("{} may fill it alone", plural(count, "ENI")),
                  "give ENIs a share of capacity.connections: qos.max_flows in the policy");
  }
  if (json["conforming_generation"] < json["generation"]) {
    return findings.warn("daemon", "some connections do not conform to the policy yet",
                         "wait, or see 'gannetctl show worker'");
  }
  findings.ok("daemon",
              fmt::format("running, policy revision {}", json["revision"].get<unsigned>()));
}

}  // namespace

int examine(const OnlineOptions& options, const std::string& config) {
  Findings findings;
  check_capabilities(findings);
  std::string socket = options.socket;
  std::set<PortType> seen;
  if (config.empty()) {
    check_driver(findings, PortType::kAfPacket, seen);
    check_driver(findings, PortType::kTap, seen);
  } else {
    Diagnostics diagnostics;
    const auto sources = open_sources(std::vector{config}, diagnostics);
    const auto host = sources ? load_host_config(*sources, diagnostics) : std::nullopt;
    if (host) validate(*host, diagnostics);
    fmt::print(stderr, "{}",
               render(parse_format(options.format).value_or(Format::kText), diagnostics, config));
    if (!host || diagnostics.has_errors()) return kFailed;
    check_memory(findings, *host);
    check_cores(findings, *host);
    for (const HostPort& port : host->ports) check_driver(findings, port.type, seen);
    for (const HostPort& port : host->ports) check_port(findings, *host, port);
    check_socket_folder(findings, *host->api.socket, "API socket");
    socket = *host->api.socket;
  }
  check_daemon(findings, socket, Patience(options.timeout_seconds));
  if (options.is_json) {
    fmt::print("{}\n", findings.rows().dump(2));
  } else {
    fmt::print("{}", format_table(findings.rows()));
  }
  return findings.is_healthy() ? kDone : kUnhealthy;
}

}  // namespace gannet::control
