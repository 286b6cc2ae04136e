// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/latency.hpp"

#include "bench/system/core_distance.hpp"
#include "bench/system/device.hpp"
#include "bench/system/program.hpp"
#include "bench/system/throughput.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <sstream>
#include <thread>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace gannet::bench {
namespace {

constexpr std::uint16_t kGeneratorBurst = 32;
constexpr unsigned kGeneratorBuffers = 16'384;
constexpr unsigned kStampBytes = 16;
constexpr unsigned kBucketCycles = 16;
constexpr std::size_t kBuckets = 131'072;  // 1 ms at 2 GHz; what took longer is in the last one.
constexpr unsigned kPollsPerConfirmation = 1u << 22;
constexpr double kWarmUpShare = 0.1;
constexpr double kDrainSeconds = 0.01;
// Upper bounds of the histogram's bars, in microseconds.
constexpr std::array<unsigned, 16> kBars{1,  2,  3,  4,  5,   6,   8,   10,
                                         15, 20, 30, 50, 100, 200, 500, 1'000};

std::string memif_args(const char* role, unsigned id, const std::string& socket) {
  return std::string("role=") + role + ",id=" + std::to_string(id) + ",socket=" + socket +
         ",socket-abstract=no";
}

void stamp(std::uint8_t* end, std::uint64_t now) {
  const std::uint64_t complement = ~now;
  std::memcpy(end - kStampBytes, &now, sizeof now);
  std::memcpy(end - sizeof now, &complement, sizeof complement);
}

// The time in a packet, 0 if it is none of the generator's.
std::uint64_t stamp_of(const std::uint8_t* end) {
  std::uint64_t then = 0;
  std::uint64_t complement = 0;
  std::memcpy(&then, end - kStampBytes, sizeof then);
  std::memcpy(&complement, end - sizeof then, sizeof complement);
  return then == ~complement ? then : 0;
}

class Latencies final {
 public:
  void clear() {
    std::fill(buckets_.begin(), buckets_.end(), 0u);
    count_ = 0;
    longest_ = 0;
  }
  void add(std::uint64_t cycles) {
    ++buckets_[std::min<std::uint64_t>(cycles / kBucketCycles, kBuckets - 1)];
    ++count_;
    longest_ = std::max(longest_, cycles);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double max_us() const { return us(longest_); }
  [[nodiscard]] double percentile_us(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen > wanted) return us((i + 1) * kBucketCycles);
    }
    return max_us();
  }
  [[nodiscard]] nlohmann::ordered_json histogram() const {
    nlohmann::ordered_json bars = nlohmann::ordered_json::object();
    std::size_t at = 0;
    for (const unsigned bar : kBars) {
      std::uint64_t total = 0;
      for (; at < kBuckets && us(at * kBucketCycles) < bar; ++at) total += buckets_[at];
      bars["<" + std::to_string(bar)] = total;
    }
    std::uint64_t rest = 0;
    for (; at < kBuckets; ++at) rest += buckets_[at];
    bars["more"] = rest;
    return bars;
  }

 private:
  [[nodiscard]] static double us(std::uint64_t cycles) {
    return static_cast<double>(cycles) * 1e6 / static_cast<double>(rte_get_tsc_hz());
  }

  std::vector<std::uint32_t> buckets_ = std::vector<std::uint32_t>(kBuckets);
  std::uint64_t count_ = 0;
  std::uint64_t longest_ = 0;
};

// One port of the generator: what it sends, again and again.
struct Side {
  std::uint16_t ethdev = 0;
  std::vector<Frame> frames;
  std::size_t next = 0;
};

class Generator final {
 public:
  [[nodiscard]] Result<void> open(const LatencyConfig& config) {
    pool_ = rte_pktmbuf_pool_create("generator", kGeneratorBuffers, 256, 0,
                                    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (pool_ == nullptr) return fail("no memory for the generator's packets");
    for (unsigned i = 0; i < sides_.size(); ++i) {
      auto frames = read_pcap(i == 0 ? config.there : config.back);
      if (!frames) return tl::unexpected(frames.error());
      sides_[i].frames = std::move(*frames);
      const auto device = open_device("net_memif" + std::to_string(i),
                                      memif_args("server", i, config.socket), pool_);
      if (!device) return tl::unexpected(device.error());
      sides_[i].ethdev = *device;
    }
    return {};
  }

  [[nodiscard]] bool is_connected() const {
    return std::all_of(sides_.begin(), sides_.end(), [](const Side& side) {
      rte_eth_link link{};
      return rte_eth_link_get_nowait(side.ethdev, &link) == 0 &&
             link.link_status == RTE_ETH_LINK_UP;
    });
  }

  // Sends at a rate, 0: as many as possible. \return what came back, as JSON.
  nlohmann::ordered_json run(double packets_per_second, double seconds);

 private:
  // Sends so many packets that carry this time by a port. \return how many it took.
  unsigned send(Side& side, unsigned count, std::uint64_t now);
  void receive();
  [[nodiscard]] bool is_counted(std::uint64_t then) const {
    return then >= counted_from_ && then < counted_until_;
  }

  rte_mempool* pool_ = nullptr;
  std::array<Side, 2> sides_;
  Latencies latencies_;
  std::uint64_t counted_from_ = 0;  // Packets sent before are no longer, or not yet, of interest.
  std::uint64_t counted_until_ = 0;
};

unsigned Generator::send(Side& side, unsigned count, std::uint64_t now) {
  rte_mbuf* packets[kGeneratorBurst];
  if (rte_pktmbuf_alloc_bulk(pool_, packets, count) != 0) return 0;
  for (unsigned i = 0; i < count; ++i) {
    const Frame& frame = side.frames[side.next];
    side.next = side.next + 1 == side.frames.size() ? 0 : side.next + 1;
    auto* const room = reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_append(packets[i], static_cast<std::uint16_t>(frame.size())));
    std::memcpy(room, frame.data(), frame.size());
    stamp(room + frame.size(), now);
  }
  const unsigned sent =
      rte_eth_tx_burst(side.ethdev, 0, packets, static_cast<std::uint16_t>(count));
  for (unsigned i = sent; i < count; ++i) rte_pktmbuf_free(packets[i]);
  return sent;
}

void Generator::receive() {
  for (const Side& side : sides_) {
    rte_mbuf* packets[kGeneratorBurst];
    const unsigned count = rte_eth_rx_burst(side.ethdev, 0, packets, kGeneratorBurst);
    if (count == 0) continue;
    const std::uint64_t now = rte_rdtsc();
    for (unsigned i = 0; i < count; ++i) {
      const auto* const data = rte_pktmbuf_mtod(packets[i], const std::uint8_t*);
      const std::uint64_t then = stamp_of(data + packets[i]->data_len);
      if (is_counted(then)) latencies_.add(now - then);
    }
    rte_pktmbuf_free_bulk(packets, count);
  }
}

nlohmann::ordered_json Generator::run(double packets_per_second, double seconds) {
  const auto hz = static_cast<double>(rte_get_tsc_hz());
  const std::uint64_t start = rte_rdtsc();
  counted_from_ = start + static_cast<std::uint64_t>(kWarmUpShare * seconds * hz);
  counted_until_ = start + static_cast<std::uint64_t>(seconds * hz);
  latencies_.clear();
  const double gap = packets_per_second > 0 ? hz / packets_per_second : 0;
  auto due = static_cast<double>(start);
  std::uint64_t sent = 0;
  std::uint64_t refused = 0;
  unsigned turn = 0;
  for (std::uint64_t now = start; now < counted_until_; now = rte_rdtsc()) {
    unsigned count = kGeneratorBurst;
    if (gap > 0) {
      const double owed = 1 + (static_cast<double>(now) - due) / gap;
      count = owed < 1 ? 0 : static_cast<unsigned>(std::min<double>(owed, kGeneratorBurst));
      // Who has stood still for longer does not make up for it: that would be another load.
      due = owed > kGeneratorBurst ? static_cast<double>(now) + gap : due + gap * count;
    }
    if (count != 0) {
      const std::uint64_t then = rte_rdtsc();
      const unsigned taken = send(sides_[turn++ % sides_.size()], count, then);
      if (is_counted(then)) {
        sent += taken;
        refused += count - taken;
      }
    }
    receive();
  }
  const std::uint64_t drained = counted_until_ + static_cast<std::uint64_t>(kDrainSeconds * hz);
  while (rte_rdtsc() < drained) receive();
  const double counted_seconds = seconds * (1 - kWarmUpShare);
  return {{"lost", sent + refused - latencies_.count()},
          {"packets_per_second", static_cast<double>(latencies_.count()) / counted_seconds},
          {"p50_us", latencies_.percentile_us(0.5)},
          {"p90_us", latencies_.percentile_us(0.9)},
          {"p99_us", latencies_.percentile_us(0.99)},
          {"p999_us", latencies_.percentile_us(0.999)},
          {"max_us", latencies_.max_us()},
          {"histogram_us", latencies_.histogram()}};
}

}  // namespace

int run_latency_switch(const LatencyConfig& config) {
  auto rig = make_loaded_rig(config.rig);
  if (!rig) return failed(rig.error().message);
  const std::array<std::string, 2> ports{"vm1", std::string(config.rig.scenario.far_port)};
  for (unsigned i = 0; i < ports.size(); ++i) {
    const auto plugged = (*rig)->plug_device(ports[i], "net_memif" + std::to_string(i),
                                             memif_args("client", i, config.socket));
    if (!plugged) return failed(plugged.error().message);
  }
  print({{"ready", true}, {"there", (*rig)->there_file()}, {"back", (*rig)->back_file()}});
  std::atomic<bool> is_over{false};
  std::thread listener([&is_over] {
    while (is_asked()) {
    }
    is_over.store(true, std::memory_order_relaxed);
  });
  pin_to(config.core);
  dataplane::Worker& worker = (*rig)->dataplane().worker(0);
  while (!is_over.load(std::memory_order_relaxed)) {
    (*rig)->confirm_neighbors();
    for (unsigned i = 0; i < kPollsPerConfirmation; ++i) {
      worker.poll();
      if (i % 1'024 == 0 && is_over.load(std::memory_order_relaxed)) break;
    }
  }
  listener.join();
  return 0;
}

int run_latency_generator(const LatencyConfig& config) {
  Generator generator;
  if (const auto opened = generator.open(config); !opened) return failed(opened.error().message);
  pin_to(config.core);
  print({{"ready", true}});
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "distance") {
      print({{"core_round_trip_ns", core_round_trip_ns(config.switch_core)}});
      continue;
    }
    for (unsigned i = 0; i < 1'000 && !generator.is_connected(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (!generator.is_connected()) return failed("the switch does not connect");
    double rate = 0;
    double seconds = 0;
    if (!(std::istringstream(line) >> rate >> seconds)) return failed("which rate, for how long?");
    print(generator.run(rate, seconds));
  }
  return 0;
}

}  // namespace gannet::bench
