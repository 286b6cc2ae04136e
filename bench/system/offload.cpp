// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/offload.hpp"

#include "bench/system/card_rig.hpp"
#include "bench/system/program.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <rte_cycles.h>

namespace gannet::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Buckets = std::array<std::uint64_t, offload::EngineStats::kTimeBuckets>;

constexpr double kPatienceSeconds = 60;
constexpr unsigned kOnTheWay = 256;  // Fewer than any ring holds: what is lost, the switch lost.
constexpr unsigned kOnTheWayToCard = 512;  // The same, of packets that come one by one.
constexpr unsigned kNewPerMilli = 10;      // Flows at an even pace.

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Within a bucket, which ends at a power of two, values are taken as evenly spread.
double percentile(const Buckets& buckets, double share) {
  std::uint64_t total = 0;
  for (const std::uint64_t count : buckets) total += count;
  const double wanted = share * static_cast<double>(total);
  double sum = 0;
  for (unsigned i = 0; i < buckets.size(); ++i) {
    const auto count = static_cast<double>(buckets[i]);
    if (count != 0 && sum + count >= wanted) {
      const double low = i == 0 ? 0 : static_cast<double>(1U << (i - 1));
      const double high = static_cast<double>(1U << i);
      return low + (high - low) * (wanted - sum) / count;
    }
    sum += count;
  }
  return 0;
}

class OffloadRun final {
 public:
  OffloadRun(const OffloadOptions& options, CardRig& rig) : options_(options), rig_(rig) {}

  Result<OffloadResult> run() {
    if (const auto inserted = insert_many(); !inserted) return tl::unexpected(inserted.error());
    if (const auto filled = fill(Kind::kKept, options_.flow_count); !filled) {
      return tl::unexpected(filled.error());
    }
    steady();
    for (unsigned round = 0; round < options_.rounds; ++round) {
      rig_.learn_neighbors();  // Nobody answers the switch's questions here.
      if (const auto filled = fill(Kind::kDenied, 2 * options_.flow_count); !filled) {
        return tl::unexpected(filled.error());
      }
      if (const auto changed = change(true); !changed) return tl::unexpected(changed.error());
      rig_.drain();
      look_for_old_verdicts();
      if (const auto changed = change(false); !changed) return tl::unexpected(changed.error());
    }
    result_.open_and_insert_per_second = static_cast<double>(opened_) / open_seconds_;
    std::sort(convergences_.begin(), convergences_.end());
    result_.convergence_ms = convergences_[convergences_.size() / 2] * 1e3;
    result_.convergence_worst_ms = convergences_.back() * 1e3;
    pace();
    return result_;
  }

 private:
  // One packet of each flow, with as many on the way as no ring loses.
  void send_each(std::uint32_t count) {
    for (std::uint32_t flow = 0; flow < count; ++flow) {
      rig_.send(Kind::kDenied, flow);
      if (flow % 32 != 31) continue;
      const auto start = Clock::now();
      while (on_the_way() > kOnTheWayToCard) {
        rig_.receive();
        if (seconds_since(start) > 0.1) lost_ += on_the_way();
      }
    }
  }

  [[nodiscard]] std::uint64_t on_the_way() const {
    return rig_.sent(Kind::kDenied) - rig_.came(Kind::kDenied) - lost_;
  }

  // From flow event to rule in force. Connections are opened by a first packet each, which asks for
  // nothing of the card; then the second packets come, each of which is such an event: the time
  // runs from the first of these until the last rule is in force. Then all are cut again.
  Result<void> insert_many() {
    const std::uint32_t count = options_.insert_count;
    send_each(count);
    rig_.drain();
    lost_ += on_the_way();
    const auto start = Clock::now();
    send_each(count);
    std::uint64_t rules = 0;
    for (auto moved = start; (rules = rig_.stats().rules) < count;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      rig_.receive();
      if (rig_.stats().rules != rules) moved = Clock::now();
      // Packets that a full ring has turned away after all: their flows ask again.
      if (seconds_since(moved) > 0.2) send_each(count);
      if (seconds_since(start) > kPatienceSeconds) {
        return fail("of the flows only " + std::to_string(rules) + " get onto the card, of " +
                    std::to_string(rig_.worker().connections.load()) + " connections");
      }
    }
    result_.insert_seconds = seconds_since(start);
    result_.inserted = count;
    result_.insert_per_second = count / result_.insert_seconds;
    rig_.drain();
    if (const auto changed = rig_.apply(true); !changed) return changed;
    while (!rig_.is_conforming()) {
      rig_.receive();
      if (seconds_since(start) > 2 * kPatienceSeconds) return fail("flows do not leave the card");
    }
    rig_.drain();
    return rig_.apply(false);
  }

  // Opens flows as fast as the switch takes them, until each has its rule.
  Result<void> fill(Kind kind, std::uint64_t wanted_rules) {
    const std::uint64_t before = rig_.stats().installed;
    const auto start = Clock::now();
    while (rig_.stats().rules < wanted_rules) {
      // What a full ring on the way turned away asks again with its next packet.
      for (std::uint32_t flow = 0; flow < options_.flow_count; ++flow) {
        rig_.send(kind, flow);
        if (flow % 32 == 31) rig_.receive();
        if (flow % 4'096 == 0 && rig_.stats().rules >= wanted_rules) break;
      }
      if (seconds_since(start) > kPatienceSeconds) return fail("flows do not get onto the card");
    }
    open_seconds_ += seconds_since(start);
    opened_ += rig_.stats().installed - before;
    rig_.drain();
    return {};
  }

  void send_kept_within_window(std::uint64_t lost) {
    for (int i = 0; i < 16; ++i) rig_.send(Kind::kKept, next_++ % options_.flow_count);
    const auto start = Clock::now();
    do {
      rig_.receive();
    } while (rig_.sent(Kind::kKept) - rig_.came(Kind::kKept) - lost > kOnTheWay &&
             seconds_since(start) < 0.1);
  }

  // Packets of flows that are all on the card: who carries them?
  void steady() {
    const dataplane::WorkerStats& stats = rig_.worker();
    const auto received = [&stats] {
      std::uint64_t sum = 0;
      for (const auto& port : stats.ports) sum += port.rx_packets.read();
      return sum;
    };
    const auto busy = [&stats] { return stats.path.polls.read() - stats.path.empty_polls.read(); };
    const std::uint64_t lost = rig_.sent(Kind::kKept) - rig_.came(Kind::kKept);
    const std::uint64_t sent_before = rig_.sent(Kind::kKept);
    const std::uint64_t received_before = received();
    const std::uint64_t busy_before = busy();
    const std::uint64_t polls_before = stats.path.polls.read();
    const std::uint64_t cycles_before = rte_rdtsc();
    const auto start = Clock::now();
    while (seconds_since(start) < options_.seconds) send_kept_within_window(lost);
    const auto cycles = static_cast<double>(rte_rdtsc() - cycles_before);
    const auto polls =
        static_cast<double>(std::max<std::uint64_t>(stats.path.polls.read() - polls_before, 1));
    const auto sent = static_cast<double>(rig_.sent(Kind::kKept) - sent_before);
    const auto software = static_cast<double>(received() - received_before);
    result_.hit_ratio = 1 - software / sent;
    // A turn of the loop that found something has taken as long as the average one.
    const double busy_cycles = static_cast<double>(busy() - busy_before) * cycles / polls;
    result_.worker_cycles_per_offloaded_packet =
        software == 0 ? 0 : busy_cycles / std::max(sent - software, 1.0);
  }

  // The policy changes while kept flows send as fast as they can.
  Result<void> change(bool denies) {
    std::atomic<bool> is_done{false};
    Result<void> applied;
    double took = 0;
    const std::uint64_t lost_before = rig_.sent(Kind::kKept) - rig_.came(Kind::kKept);
    const std::uint64_t sent_before = rig_.sent(Kind::kKept);
    const auto start = Clock::now();
    std::thread control([&] {
      applied = rig_.apply(denies);
      while (applied && !rig_.is_conforming() && seconds_since(start) < kPatienceSeconds) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
      took = seconds_since(start);
      is_done.store(true, std::memory_order_release);
    });
    while (!is_done.load(std::memory_order_acquire)) send_kept_within_window(lost_before);
    const double meanwhile = seconds_since(start);
    control.join();
    if (!applied) return applied;
    if (took >= kPatienceSeconds) return fail("the card does not conform to the policy");
    rig_.drain();
    const std::uint64_t sent = rig_.sent(Kind::kKept) - sent_before;
    const std::uint64_t lost = rig_.sent(Kind::kKept) - rig_.came(Kind::kKept) - lost_before;
    convergences_.push_back(took);
    result_.sent_during_change += sent;
    result_.lost_during_change += lost;
    const double blocked = static_cast<double>(lost) * meanwhile / static_cast<double>(sent) * 1e6;
    result_.blocked_us = std::max(result_.blocked_us, blocked);
    return {};
  }

  void look_for_old_verdicts() {
    const std::uint64_t before = rig_.came(Kind::kDenied);
    for (std::uint32_t flow = 0; flow < options_.flow_count; ++flow) {
      rig_.send(Kind::kDenied, flow);
      if (flow % 32 == 31) rig_.receive();
    }
    rig_.drain();
    result_.old_verdict_after_receipt += rig_.came(Kind::kDenied) - before;
  }

  // New flows, 10,000 a second, each with two packets.
  void pace() {
    const Buckets before = rig_.stats().time_to_offload;
    const auto count = static_cast<std::uint32_t>(
        std::min(options_.seconds * 1e3 * kNewPerMilli, double(options_.flow_count)));
    const auto start = Clock::now();
    for (std::uint32_t flow = 0; flow < count; ++flow) {
      if (flow % kNewPerMilli == 0) {
        const auto due = start + std::chrono::milliseconds(flow / kNewPerMilli);
        std::this_thread::sleep_until(due);
      }
      rig_.send(Kind::kDenied, flow);  // Which are allowed again.
      rig_.send(Kind::kDenied, flow);
      rig_.receive();
    }
    rig_.drain();
    Buckets times = rig_.stats().time_to_offload;
    for (std::size_t i = 0; i < times.size(); ++i) times[i] -= before[i];
    result_.time_to_offload_p50_us = percentile(times, 0.5);
    result_.time_to_offload_p99_us = percentile(times, 0.99);
  }

  const OffloadOptions& options_;
  CardRig& rig_;
  OffloadResult result_;
  double open_seconds_ = 0;
  std::uint64_t opened_ = 0;
  std::uint64_t lost_ = 0;  // Of denied flows, while they are not.
  std::vector<double> convergences_;
  std::uint32_t next_ = 0;
};

}  // namespace

Result<OffloadResult> measure_offload(const OffloadOptions& options) {
  auto rig = CardRig::create(std::max(2 * options.flow_count, options.insert_count) + 10'000);
  if (!rig) return tl::unexpected(rig.error());
  return OffloadRun(options, **rig).run();
}

int run_offload(const OffloadOptions& options) {
  const auto r = measure_offload(options);
  if (!r) return failed(r.error().message);
  print({{"insert_per_second", r->insert_per_second},
         {"inserted", r->inserted},
         {"insert_seconds", r->insert_seconds},
         {"open_and_insert_per_second", r->open_and_insert_per_second},
         {"time_to_offload_p50_us", r->time_to_offload_p50_us},
         {"time_to_offload_p99_us", r->time_to_offload_p99_us},
         {"hit_ratio", r->hit_ratio},
         {"worker_cycles_per_offloaded_packet", r->worker_cycles_per_offloaded_packet},
         {"convergence_ms", r->convergence_ms},
         {"convergence_worst_ms", r->convergence_worst_ms},
         {"old_verdict_after_receipt", r->old_verdict_after_receipt},
         {"sent_during_change", r->sent_during_change},
         {"lost_during_change", r->lost_during_change},
         {"blocked_us", r->blocked_us}});
  return 0;
}

}  // namespace gannet::bench
