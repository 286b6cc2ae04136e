// SPDX-License-Identifier: BSD-3-Clause
// What is done to one packet, in caches: reading it, changing it, its checksums.
#include "bench/system/frames.hpp"
#include "bench/system/scenario.hpp"
#include "dataplane/common_shape.hpp"
#include "dataplane/rewrite.hpp"
#include "flows/packet/checksum.hpp"
#include "flows/packet/parse.hpp"

#include <benchmark/benchmark.h>

namespace gannet::bench {
namespace {

constexpr unsigned kMinFrameBytes = 64;

Frame vm_frame() { return make_udp(flow_of(*find_scenario("full"), 0), kMinFrameBytes); }

// The way of nearly every packet, up to the hash of its key.
void parse_common(benchmark::State& state) {
  Frame frame = vm_frame();
  const flows::HashSeed seed{{1, 2, 3, 4}};
  const std::uint64_t zone_word = flows::Ip4Key::zone_word({flows::ZoneKind::kEni, 1});
  flows::Ip4Key::Words key{};
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(frame.data());
    bool is_common = dataplane::read_common_v4(
        frame.data(), static_cast<std::uint32_t>(frame.size()), zone_word, key);
    benchmark::DoNotOptimize(is_common);
    benchmark::DoNotOptimize(flows::hash(key, seed));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(parse_common)->Name("parse/common");

// The way of first packets and odd ones.
void parse_full(benchmark::State& state) {
  const Frame frame = vm_frame();
  packet::Parsed parsed;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(packet::parse(frame.data(), frame.size(), parsed));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(parse_full)->Name("parse/full");

// Addresses, ports, TTL and checksums of the scenario `full`, and its tunnel.
void action_rewrite_and_encapsulate(benchmark::State& state) {
  Frame room(packet::kVxlanOverIpv4Bytes);
  const Frame original = vm_frame();
  room.insert(room.end(), original.begin(), original.end());
  std::uint8_t* const frame = room.data() + packet::kVxlanOverIpv4Bytes;
  std::uint8_t* const ip = frame + dataplane::kEthernetBytes;
  const auto& before = packet::header_at<packet::Ipv4Header>(ip);
  flows::Action<Ip4> action{};
  action.tuple = {before.source, remote_host(0), Be16(10'000), Be16(5'353)};
  action.flags =
      flows::kRewriteTuple | flows::kDecrementTtl | flows::kEncapsulate | flows::kRewriteMacs;
  flows::compute_deltas(action, packet::kProtoUdp,
                        {before.source, before.destination, Be16(10'000), Be16(1'000)});
  const flows::NextHop hop =
      flows::make_tunnel_hop(1, 0, vm1_mac(), remote_host(1), remote_host(0), 4'789, 5'001,
                             vm2_mac(), vm1_mac(), packet::kEtherTypeIpv4);
  const std::uint64_t mac = remote_host_mac(0).raw();
  for ([[maybe_unused]] auto _ : state) {
    dataplane::rewrite_ip(ip, ip + 20, packet::kProtoUdp, action, action.flags);
    benchmark::DoNotOptimize(dataplane::encapsulate(frame, kMinFrameBytes - 4, hop,
                                                    action.outer_source_port, 0, mac, true));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(action_rewrite_and_encapsulate)->Name("action/rewrite_and_encapsulate");

void checksum_whole(benchmark::State& state) {
  const Frame bytes(static_cast<std::size_t>(state.range(0)), 0x5a);
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(packet::finish(packet::sum_bytes(bytes.data(), bytes.size())));
  }
}
BENCHMARK(checksum_whole)->Name("checksum/whole")->Arg(64)->Arg(1'500);

void checksum_update(benchmark::State& state) {
  Be16 sum(0x1234);
  std::uint16_t delta = 1;
  for ([[maybe_unused]] auto _ : state) {
    sum = packet::update(sum, delta++);
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(checksum_update)->Name("checksum/update");

}  // namespace
}  // namespace gannet::bench
