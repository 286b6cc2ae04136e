// SPDX-License-Identifier: BSD-3-Clause
#include "bench/system/connections.hpp"

#include "bench/system/program.hpp"
#include "dataplane/drops.hpp"
#include "flows/packet/headers.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <rte_cycles.h>
#include <rte_ring.h>

namespace gannet::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint32_t kBatchPackets = 16'384;
constexpr std::uint32_t kRoomForReplies = 4'096;
constexpr std::uint32_t kClientPorts = 60'000;
constexpr unsigned kBands = 8;                // Of a table that is being filled.
constexpr std::uint32_t kOverflowShare = 16;  // Of the table's size: how much more is tried.
constexpr Nanos kAgeingStep = kNanosPerMilli;
constexpr Nanos kAgeingLimit = 7'200 * kNanosPerSecond;

// Of this process: resident memory and huge pages.
std::uint64_t memory_bytes() {
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  std::uint64_t total = 0;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    unsigned long long kib = 0;
    const bool counts = std::sscanf(line, "VmRSS: %llu", &kib) == 1 ||
                        std::sscanf(line, "HugetlbPages: %llu", &kib) == 1;
    if (counts) total += kib << 10;
  }
  std::fclose(file);
  return total;
}

struct Cost {
  std::uint64_t cycles = 0;
  [[nodiscard]] double per(std::uint64_t count) const {
    return static_cast<double>(cycles) / static_cast<double>(std::max<std::uint64_t>(count, 1));
  }
};

// Numbers flows so that as many as possible have a source port of their own.
UdpFlow numbered_flow(const Scenario& scenario, std::uint32_t number) {
  UdpFlow flow = flow_of(scenario, scenario.name == "nat" ? number : 0);
  if (scenario.name == "nat") return flow;
  flow.source_port = static_cast<std::uint16_t>(2'000 + number % kClientPorts);
  flow.destination_port = static_cast<std::uint16_t>(1'000 + number / kClientPorts);
  return flow;
}

class Session final {
 public:
  explicit Session(ConnectionsConfig config) : config_(config) {
    config_.rig.policy.has_near_rules = true;
    config_.rig.clock = &now_;
    config_.rig.ring_slots = 2 * kBatchPackets;
    config_.rig.buffer_count = kBatchPackets + kRoomForReplies;
    tick();
  }

  [[nodiscard]] Result<void> open() {
    auto rig = Rig::create(config_.rig);
    if (!rig) return tl::unexpected(rig.error());
    rig_ = std::move(*rig);
    return {};
  }

  // Sends so many frames in by a port and hands what comes out of the other one to `see(number,
  // frame)`. \return what the worker took.
  template <typename Make, typename See>
  Cost pass(bool is_there, std::uint32_t first, std::uint32_t count, Make&& make, See&& see) {
    const auto& near = rig_->port("vm1");
    const auto& far = rig_->port(config_.rig.scenario.far_port);
    const auto& in = is_there ? near : far;
    Cost cost;
    for (std::uint32_t done = 0; done < count;) {
      const std::uint32_t batch = std::min(kBatchPackets, count - done);
      rig_->confirm_neighbors();
      for (std::uint32_t i = 0; i < batch; ++i) rig_->send(in, make(first + done + i));
      cost.cycles += run_worker(in.rx);
      std::uint32_t number = first + done;
      for (const Frame& frame : rig_->take(is_there ? far : near)) see(number++, frame);
      done += batch;
    }
    return cost;
  }

  // UDP: a first packet each. \return cost.
  Cost open_udp(std::uint32_t first, std::uint32_t count) {
    return pass(
        true, first, count, [&](std::uint32_t i) { return first_packet(i); },
        [](std::uint32_t, const Frame&) {});
  }

  // The answers to `count` first packets, of a scenario in which they are the packets turned round.
  Cost answer_udp(std::uint32_t first, std::uint32_t count) {
    return pass(
        false, first, count, [&](std::uint32_t i) { return reply_to_delivered(i); },
        [](std::uint32_t, const Frame&) {});
  }

  // SYN, SYN-ACK, ACK, FIN, FIN, ACK of each; every step of all connections before the next one.
  Cost open_and_close_tcp(std::uint32_t first, std::uint32_t count, std::uint64_t& delivered);

  // Lets time pass until nothing is left. \return as JSON.
  Json age();

  [[nodiscard]] Json drops();  // Since the last call, by reason.
  [[nodiscard]] dataplane::Worker& worker() { return rig_->dataplane().worker(0); }
  [[nodiscard]] const ConnectionsConfig& config() const { return config_; }
  [[nodiscard]] Frame first_packet(std::uint32_t number) const {
    return make_udp(numbered_flow(config_.rig.scenario, number), config_.rig.frame_bytes);
  }

 private:
  void tick() { now_.store(tsc_.now() + passed_, std::memory_order_relaxed); }

  // Turns the worker until it has taken all that lies in a ring. \return cycles.
  std::uint64_t run_worker(rte_ring* ring) {
    const std::uint64_t start = rte_rdtsc();
    for (bool has_moved = true; has_moved || rte_ring_count(ring) != 0;) {
      tick();
      has_moved = worker().poll();
    }
    return rte_rdtsc() - start;
  }

  [[nodiscard]] Frame reply_to_delivered(std::uint32_t number) const {
    Frame reply = reply_to(first_packet(number), vm1_mac());
    // The packet came to its receiver from the gateway and is answered there, by the VM itself.
    auto& ethernet = packet::header_at<packet::EthernetHeader>(reply.data());
    ethernet.source = vm2_mac();
    ethernet.destination = dataplane::kGatewayMac;
    return reply;
  }

  ConnectionsConfig config_;
  dataplane::Clock tsc_;
  Nanos passed_ = 0;  // That never was.
  std::atomic<Nanos> now_{0};
  std::unique_ptr<Rig> rig_;
  std::array<std::uint64_t, dataplane::kDropReasonCount> dropped_{};
};

Cost Session::open_and_close_tcp(std::uint32_t first, std::uint32_t count,
                                 std::uint64_t& delivered) {
  constexpr std::uint8_t kAck = packet::kTcpAck;
  constexpr std::uint32_t kClient = 1'000, kServer = 5'000;  // First sequence numbers.
  struct Step {
    bool is_there;
    std::uint8_t flags;
    std::uint32_t sequence, acknowledgment;
  };
  constexpr std::array<Step, 6> kSteps{{
      {true, packet::kTcpSyn, kClient, 0},
      {false, packet::kTcpSyn | kAck, kServer, kClient + 1},
      {true, kAck, kClient + 1, kServer + 1},
      {true, packet::kTcpFin | kAck, kClient + 1, kServer + 1},
      {false, packet::kTcpFin | kAck, kServer + 1, kClient + 2},
      {true, kAck, kClient + 2, kServer + 2},
  }};
  std::vector<Frame> replies(count);
  Cost total;
  for (const Step& step : kSteps) {
    const auto make = [&](std::uint32_t i) {
      Frame frame =
          step.is_there ? make_tcp(numbered_flow(config_.rig.scenario, i)) : replies[i - first];
      set_segment(frame, step.flags, step.sequence, step.acknowledgment);
      return frame;
    };
    const auto see = [&](std::uint32_t i, const Frame& frame) {
      if (step.flags == packet::kTcpSyn) replies[i - first] = reply_to(frame, vm1_mac());
      ++delivered;
    };
    total.cycles += pass(step.is_there, first, count, make, see).cycles;
  }
  return total;
}

Json Session::age() {
  auto& connections = worker().connections();
  const std::uint64_t count = connections.connection_total();
  const Nanos start = passed_;
  Cost ending;  // Of the turns in which connections ended.
  Nanos gone_after = 0;
  std::uint32_t left = connections.connection_total();
  while ((left != 0 || connections.mappings().used_count() != 0) &&
         passed_ - start < kAgeingLimit) {
    passed_ += kAgeingStep;
    tick();
    const std::uint64_t before = rte_rdtsc();
    worker().poll();
    const std::uint64_t cycles = rte_rdtsc() - before;
    const std::uint32_t still = connections.connection_total();
    if (still != left) {
      ending.cycles += cycles;
      gone_after = passed_ - start;
    }
    left = still;
    // Questions for neighbours pile up.
    static_cast<void>(rig_->take(rig_->port("uplink")));
  }
  return {{"aged", count - left},
          {"left_after_ageing", left},
          {"port_mappings_left", connections.mappings().used_count()},
          {"aged_after_s", static_cast<double>(gone_after) / kNanosPerSecond},
          {"ageing_cycles_per_connection", ending.per(count)}};
}

Json Session::drops() {
  Json by_reason = Json::object();
  for (std::size_t reason = 1; reason < dataplane::kDropReasonCount; ++reason) {
    std::uint64_t total = 0;
    for (const auto& port : worker().stats().ports) total += port.drops[reason].read();
    const std::uint64_t more = total - std::exchange(dropped_[reason], total);
    if (more == 0) continue;
    by_reason[std::string(name_of(static_cast<dataplane::DropReason>(reason)))] = more;
  }
  return by_reason;
}

double per_second(double cycles_each) {
  return static_cast<double>(rte_get_tsc_hz()) / cycles_each;
}

}  // namespace

int run_connections(ConnectionsConfig config) {
  config.rig.capacity = config.connection_count + 64;
  Session session(config);
  if (const auto opened = session.open(); !opened) return failed(opened.error().message);
  pin_to(config.core);
  print({{"ready", true}});
  auto& connections = session.worker().connections();
  const bool is_tcp = config.rig.policy.protocol == "tcp";
  while (is_asked()) {
    std::uint64_t delivered = 0;
    const std::uint64_t before = session.worker().stats().path.first_packets.read();
    const Cost cost = is_tcp ? session.open_and_close_tcp(0, config.connection_count, delivered)
                             : session.open_udp(0, config.connection_count);
    const std::uint64_t opened = session.worker().stats().path.first_packets.read() - before;
    const double cycles = cost.per(opened);
    Json result{{"opened", opened},
                {"delivered", delivered},
                {"connections", connections.connection_total()},
                {"connections_per_second", per_second(cycles)},
                {"cycles_per_connection", cycles},
                {"high_water", connections.v4().high_water()},
                {"evicted", connections.evicted_count()}};
    result.update(session.age());
    result["drops"] = session.drops();
    print(result);
  }
  return 0;
}

int run_overflow(ConnectionsConfig config) {
  config.rig.capacity = config.connection_count;
  const std::uint64_t memory_before = memory_bytes();
  Session session(config);
  if (const auto opened = session.open(); !opened) return failed(opened.error().message);
  pin_to(config.core);
  auto& connections = session.worker().connections();
  const std::uint32_t capacity = config.connection_count;
  const std::uint32_t more = capacity / kOverflowShare;
  Json bands = Json::array();
  Cost filling;
  std::uint32_t at = 0;
  for (unsigned band = 1; band <= kBands; ++band) {
    const std::uint32_t end = static_cast<std::uint32_t>(std::uint64_t{capacity} * band / kBands);
    const Cost cost = session.open_udp(at, end - at);
    filling.cycles += cost.cycles;
    bands.push_back(cost.per(end - at));
    at = end;
  }
  Json result{
      {"connections", connections.connection_total()},
      {"bytes_per_connection", static_cast<double>(memory_bytes() - memory_before) / capacity},
      {"cycles_per_connection", filling.per(capacity)},
      {"connections_per_second", per_second(filling.per(capacity))},
      {"cycles_by_eighth", bands},
      {"drops_while_filling", session.drops()}};

  const std::uint64_t evicted_before = connections.evicted_count();
  const Cost evicting = session.open_udp(at, more);
  result["full_and_unanswered"] = {{"tried", more},
                                   {"evicted", connections.evicted_count() - evicted_before},
                                   {"cycles_per_connection", evicting.per(more)},
                                   {"drops", session.drops()}};
  const Cost answering = session.answer_udp(more, capacity);
  result["cycles_per_first_answer"] = answering.per(capacity);
  result["drops_of_answers"] = session.drops();
  const std::uint64_t evicted_answered = connections.evicted_count();
  const Cost refusing = session.open_udp(at + more, more);
  result["full_and_answered"] = {{"tried", more},
                                 {"evicted", connections.evicted_count() - evicted_answered},
                                 {"cycles_per_packet", refusing.per(more)},
                                 {"drops", session.drops()}};
  result["high_water"] = connections.v4().high_water();
  result.update(session.age());
  print(result);
  return 0;
}

}  // namespace gannet::bench
