// SPDX-License-Identifier: BSD-3-Clause
#include "control/machine.hpp"

#include "control/policy/validate.hpp"
#include "dataplane/connections.hpp"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gannet::control {
namespace {

constexpr std::uint64_t kHugePageBytes = 2 * kMiB;
// Measured: a connection with both flows and its share of the index. IPv6 has a quarter as many, of
// not quite twice the size.
constexpr std::uint64_t kBytesPerConnection = 420;
// The same of a redirect: half a connection's record.
constexpr std::uint64_t kBytesPerRedirect = 190;
// Of the emulated card (docs/emudpu.md): what it takes if it is not told otherwise, and a buffer
// with its header and private area.
constexpr std::uint64_t kCardBuffersPerPort = 4'096;
constexpr std::uint64_t kBytesPerCardBuffer = 2'688;
// Rings, queues and what lies between: measured with four ports.
constexpr std::uint64_t kMemoryBesideBuffers = 64 * kMiB;

// The number behind a word in a file of the kernel; 0 if it is not there.
std::uint64_t number_after(const char* file, const std::string& word, int base) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(word)) return std::strtoull(line.c_str() + word.size(), nullptr, base);
  }
  return 0;
}

std::string size_text(std::uint64_t bytes) {
  return bytes >> 30 >= 10 ? fmt::format("{} GiB", bytes >> 30)
                           : fmt::format("{} MiB", bytes / kMiB);
}

Result<void> check_cores(const HostConfig& host) {
  const std::vector<unsigned> allowed = allowed_cores();
  for (const auto& core : host.workers.cores) {
    if (std::find(allowed.begin(), allowed.end(), *core) != allowed.end()) continue;
    return fail(fmt::format("workers.cores names core {}, but this process may use {} alone", *core,
                            fmt::join(allowed, ", ")));
  }
  return {};
}

Result<void> check_memory(const HostConfig& host) {
  if (const std::uint64_t least = least_memory_bytes(host); host.memory.size->bytes < least) {
    return fail(
        fmt::format("memory.size is {}, of which the emulated card's packet buffers take {}: with "
                    "those of the ports it must be at least {}",
                    size_text(host.memory.size->bytes), size_text(card_buffer_bytes(host)),
                    size_text(least + kMiB - 1)));
  }
  const std::uint64_t available = available_memory_bytes();
  const std::uint64_t tables = table_bytes(host);
  if (tables > available) {
    return fail(
        fmt::format("capacity.connections of {} takes {}, but only {} of memory are "
                    "available: lower it",
                    host.capacity.connections, size_text(tables), size_text(available)));
  }
  // Whether huge pages that are required are there is DPDK's to say.
  const bool is_plain = !takes_huge_pages(host) && host.memory.hugepages != HugePages::kRequired;
  const std::uint64_t buffers = is_plain ? host.memory.size->bytes : 0;
  if (tables + buffers <= available) return {};
  return fail(
      fmt::format("memory.size is {}, and with the tables that is more than the {} of memory "
                  "that are available: lower it",
                  size_text(buffers), size_text(available)));
}

Result<void> check_capabilities(const HostConfig& host) {
  const bool needs_any = std::any_of(host.ports.begin(), host.ports.end(), [](const HostPort& p) {
    return p.type == PortType::kAfPacket || p.type == PortType::kTap || p.type == PortType::kAfXdp;
  });
  const std::vector<std::string> missing = missing_capabilities();
  if (!needs_any || missing.empty()) return {};
  return fail(
      fmt::format("opening the ports takes {}, which this process lacks: run it as root, or "
                  "give it these",
                  fmt::join(missing, " and ")));
}

}  // namespace

std::uint64_t available_memory_bytes() {
  return number_after("/proc/meminfo", "MemAvailable:", 10) * 1024;
}

std::uint64_t free_huge_pages() {
  return number_after("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "", 10);
}

std::uint64_t table_bytes(const HostConfig& host) {
  const std::uint64_t connections = host.capacity.connections;
  const auto workers = static_cast<unsigned>(host.workers.cores.size());
  const std::uint64_t redirects =
      workers == 0 ? 0 : dataplane::redirect_room(static_cast<std::uint32_t>(connections), workers);
  return connections * kBytesPerConnection + redirects * kBytesPerRedirect;
}

std::uint64_t card_buffer_bytes(const HostConfig& host) {
  if (!host.nic || host.nic->type != NicType::kEmulated) return 0;
  // The uplink's port, one for each VF, and once more as many as for a port.
  const std::uint64_t usual = kCardBuffersPerPort * (host.nic->vfs.size() + 2);
  const std::uint64_t told = card_argument(*host.nic, "buffers").value_or(0);
  return (told != 0 ? told : usual) * kBytesPerCardBuffer;
}

// Half of memory.size is for the ports' buffers (control/daemon.cpp).
std::uint64_t least_memory_bytes(const HostConfig& host) {
  const std::uint64_t card = card_buffer_bytes(host);
  return card == 0 ? 0 : 2 * card + kMemoryBesideBuffers;
}

Result<void> check_card_core(const HostConfig& host) {
  if (!host.nic || host.nic->type != NicType::kEmulated) return {};
  const auto core = card_argument(*host.nic, "core");
  const auto count = static_cast<std::uint64_t>(sysconf(_SC_NPROCESSORS_CONF));
  if (!core || *core < count) return {};
  return fail(fmt::format("nic.args has the emulated card run on core {}, but this machine has {}",
                          *core, count));
}

bool takes_huge_pages(const HostConfig& host) {
  return host.memory.hugepages != HugePages::kNone &&
         free_huge_pages() * kHugePageBytes >= host.memory.size->bytes;
}

std::vector<unsigned> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<unsigned> cores;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

std::uint64_t network_namespace() {
  struct stat found {};
  return stat("/proc/self/ns/net", &found) == 0 ? found.st_ino : 0;
}

std::vector<std::string> missing_capabilities() {
  struct Capability {
    unsigned bit;  // <linux/capability.h>
    const char* name;
  };
  constexpr Capability kNeeded[] = {{12, "CAP_NET_ADMIN"}, {13, "CAP_NET_RAW"}};
  const std::uint64_t effective = number_after("/proc/self/status", "CapEff:", 16);
  std::vector<std::string> missing;
  for (const auto& [bit, name] : kNeeded) {
    if ((effective >> bit & 1) == 0) missing.emplace_back(name);
  }
  return missing;
}

Result<void> check_machine(const HostConfig& host) {
  if (const auto cores = check_cores(host); !cores) return cores;
  if (const auto core = check_card_core(host); !core) return core;
  if (const auto memory = check_memory(host); !memory) return memory;
  return check_capabilities(host);
}

}  // namespace gannet::control
