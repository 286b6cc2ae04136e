// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/eal.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <sched.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

namespace gannet::dataplane {
namespace {

// Free huge pages of 2 MiB, in bytes.
std::uint64_t free_huge_bytes() {
  std::uint64_t pages = 0;
  std::FILE* const file =
      std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
  if (file == nullptr) return 0;
  unsigned long count = 0;
  if (std::fscanf(file, "%lu", &count) == 1) pages = count;
  std::fclose(file);
  return pages << 21;
}

// The main thread may run wherever this process may.
std::string main_lcore() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  std::string cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus += (cpus.empty() ? "" : ",") + std::to_string(cpu);
  }
  return "--lcores=0@(" + cpus + ")";
}

constexpr std::string_view kPrefix = "gannet-";

std::string file_prefix() { return std::string(kPrefix) + std::to_string(getpid()); }

// Where DPDK keeps the files of running programs, each in a folder named by its prefix.
std::filesystem::path runtime_folder() {
  const char* const runtime = std::getenv("RUNTIME_DIRECTORY");
  return std::filesystem::path(runtime != nullptr ? runtime : "/var/run") / "dpdk";
}

// What daemons have left that were killed.
void remove_stale_folders() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(runtime_folder(), error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    const int pid = std::atoi(name.c_str() + kPrefix.size());
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) {
      std::filesystem::remove_all(entry.path(), error);
    }
  }
}

// The tap driver has the kernel send a real-time signal for each packet. Whoever gets it is woken:
// that shall be the EAL's own threads, which exist by now. In the calling thread, and all that it
// starts from here on, a sleep that is interrupted and gone on with grows by the timer's slack each
// time, and would not end while packets come.
void leave_packet_signals_to_eal_threads() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

Result<Eal> Eal::start(const EalConfig& config) {
  const std::uint64_t huge = free_huge_bytes();
  const bool has_huge = config.huge_pages != HugePages::kNone && huge >= config.memory_bytes;
  if (config.huge_pages == HugePages::kRequired && !has_huge) {
    return fail("memory.hugepages is 'required', but only " + std::to_string(huge >> 20) +
                " MiB of huge pages are free and memory.size is " +
                std::to_string(config.memory_bytes >> 20) +
                " MiB: reserve more (vm.nr_hugepages), or set 'auto'");
  }
  // What goes wrong is said once, by the caller; DPDK's own words are for those who ask.
  const char* const level = std::getenv("GANNET_DPDK_LOG");
  std::vector<std::string> args = {
      config.program,
      main_lcore(),
      "--file-prefix=" + file_prefix(),
      std::string("--log-level=*:") + (level != nullptr ? level : "critical"),
      "-m",
      std::to_string(config.memory_bytes >> 20)};
  args.emplace_back(has_huge ? "--in-memory" : "--no-huge");
  if (config.pci_devices.empty()) args.emplace_back("--no-pci");
  for (const char* address : config.pci_devices)
    args.emplace_back(std::string("--allow=") + address);
  for (const char* plugin : config.plugins) {
    args.emplace_back("-d");
    args.emplace_back(plugin);
  }
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  remove_stale_folders();
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return fail(std::string("cannot start DPDK: ") + rte_strerror(rte_errno) +
                "; the daemon needs root (or CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK) and " +
                std::to_string(config.memory_bytes >> 20) + " MiB of free memory");
  }
  leave_packet_signals_to_eal_threads();
  return Eal(has_huge);
}

Eal::~Eal() {
  if (!is_running_) return;
  rte_eal_cleanup();
  std::error_code ignored;
  std::filesystem::remove_all(runtime_folder() / file_prefix(), ignored);
}

}  // namespace gannet::dataplane
