// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/swap.hpp"

#include "bench/system/program.hpp"
#include "bench/system/throughput.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <rte_cycles.h>

namespace gannet::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kBefore = 300ms;        // Of undisturbed forwarding, and
constexpr auto kAfter = 50ms;          // of what is looked at when all is over.
constexpr double kLineShare = 0.9;     // Of what has just been forwarded: what a line would bring.
constexpr double kQueueSlots = 1'024;  // Of a port; what finds no place there is lost.
constexpr std::size_t kMaxSamples = 200'000;
constexpr auto kPatience = 20s;

struct Sample {
  std::uint64_t tsc;
  std::uint64_t packets;
  std::uint64_t drops;
};

// Notes with each turn of the worker's housekeeping how far it has come.
class Sampler final : public dataplane::WorkerCommand {
 public:
  Sampler() { samples_.reserve(kMaxSamples); }
  bool step(dataplane::Worker& worker) override {
    Sample sample{rte_rdtsc(), 0, 0};
    for (const auto& port : worker.stats().ports) {
      sample.packets += port.rx_packets.read();
      for (const auto& reason : port.drops) sample.drops += reason.read();
    }
    if (samples_.size() < kMaxSamples) samples_.push_back(sample);
    return is_over_.load(std::memory_order_relaxed);
  }
  void stop() {
    is_over_.store(true, std::memory_order_relaxed);
    while (!is_done.load(std::memory_order_acquire)) std::this_thread::sleep_for(100us);
  }
  [[nodiscard]] const std::vector<Sample>& samples() const { return samples_; }

 private:
  std::vector<Sample> samples_;
  std::atomic<bool> is_over_{false};
};

double us_of(std::uint64_t cycles) {
  return static_cast<double>(cycles) * 1e6 / static_cast<double>(rte_get_tsc_hz());
}

// A port that receives at a steady rate: what waits for the worker, and what finds no place.
class Line final {
 public:
  explicit Line(double packets_per_us) : packets_per_us_(packets_per_us) {}
  void pass(const Sample& before, const Sample& after) {
    waiting_ += packets_per_us_ * us_of(after.tsc - before.tsc) -
                static_cast<double>(after.packets - before.packets);
    waiting_ = std::max(waiting_, 0.0);
    lost_ += std::max(waiting_ - kQueueSlots, 0.0);
    waiting_ = std::min(waiting_, kQueueSlots);
    longest_us_ = std::max(longest_us_, waiting_ / packets_per_us_);
  }
  [[nodiscard]] double lost() const { return lost_; }
  [[nodiscard]] double longest_wait_us() const { return longest_us_; }

 private:
  double packets_per_us_;
  double waiting_ = 0;
  double lost_ = 0;
  double longest_us_ = 0;
};

struct Times {
  std::uint64_t begun, in_force, conforming;
};

Result<nlohmann::ordered_json> judge(const std::vector<Sample>& samples, const Times& times) {
  const auto at = [&samples](std::uint64_t tsc) {
    return std::find_if(samples.begin(), samples.end(),
                        [tsc](const Sample& s) { return s.tsc >= tsc; });
  };
  const auto begun = at(times.begun);
  const auto end = at(times.conforming);
  if (begun == samples.begin() || end == samples.end()) {
    return fail("the worker was not looked at from before the swap until after it");
  }
  const Sample& first = samples.front();
  const double usual =
      static_cast<double>(begun->packets - first.packets) / us_of(begun->tsc - first.tsc);
  Line line(kLineShare * usual);
  Line undisturbed(kLineShare * usual);
  for (auto i = samples.begin() + 1; i <= begun; ++i) undisturbed.pass(i[-1], *i);
  std::uint64_t longest_turn = 0;
  double lost_until_in_force = 0;
  for (auto i = begun + 1; i != samples.end(); ++i) {
    line.pass(i[-1], *i);
    if (i->tsc < times.in_force) lost_until_in_force = line.lost();
    longest_turn = std::max(longest_turn, i->tsc - i[-1].tsc);
  }
  const double meanwhile =
      static_cast<double>(end->packets - begun->packets) / us_of(end->tsc - begun->tsc);
  return nlohmann::ordered_json{
      {"mpps_before", usual},
      {"mpps_meanwhile", meanwhile},
      {"in_force_ms", us_of(times.in_force - times.begun) / 1e3},
      {"conforming_ms", us_of(times.conforming - times.begun) / 1e3},
      {"lost_of_line", line.lost()},
      {"blocked_ms", line.lost() / (kLineShare * usual) / 1e3},
      {"blocked_until_in_force_ms", lost_until_in_force / (kLineShare * usual) / 1e3},
      {"blocked_undisturbed_ms", undisturbed.lost() / (kLineShare * usual) / 1e3},
      {"longest_wait_us", line.longest_wait_us()},
      {"longest_turn_us", us_of(longest_turn)},
      {"drops", samples.back().drops - first.drops}};
}

Result<nlohmann::ordered_json> swap(Rig& rig) {
  rig.confirm_neighbors();
  Sampler sampler;
  if (!rig.dataplane().worker(0).submit(sampler)) return fail("the worker takes no command");
  std::this_thread::sleep_for(kBefore);
  Times times{rte_rdtsc(), 0, 0};
  const auto swapped = rig.swap_rules();
  times.in_force = rte_rdtsc();
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (swapped && !rig.is_conforming() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(100us);
  }
  times.conforming = rte_rdtsc();
  std::this_thread::sleep_for(kAfter);
  sampler.stop();
  if (!swapped) return tl::unexpected(swapped.error());
  if (!rig.is_conforming()) return fail("the connections do not come to conform to the policy");
  return judge(sampler.samples(), times);
}

}  // namespace

int run_swap(RigConfig config, unsigned control_core) {
  config.has_own_thread = true;
  auto rig = make_loaded_rig(config);
  if (!rig) return failed(rig.error().message);
  pin_to(control_core);
  (*rig)->dataplane().start();
  print({{"ready", true}, {"connections", (*rig)->connection_count()}});
  while (is_asked()) {
    const auto found = swap(**rig);
    if (!found) return failed(found.error().message);
    print(*found);
  }
  return 0;
}

}  // namespace gannet::bench
