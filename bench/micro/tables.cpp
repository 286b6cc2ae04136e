// SPDX-License-Identifier: BSD-3-Clause
// Look-ups in tables of many sizes, of random entries: what misses the caches is meant to. And how
// long a large policy takes to be read.
#include "bench/system/scenario.hpp"
#include "control/policy/load.hpp"
#include "dataplane/arp_queue.hpp"
#include "dataplane/nat_mappings.hpp"
#include "dataplane/neighbors.hpp"
#include "dataplane/tables/acl.hpp"
#include "dataplane/tables/lpm.hpp"
#include "dataplane/tables/maglev.hpp"
#include "flows/flow_table.hpp"

#include <random>

#include <benchmark/benchmark.h>

namespace gannet::bench {
namespace {

constexpr std::size_t kQuestions = 1 << 16;  // Asked in turn.
constexpr flows::HashSeed kSeed{
    {0x243f'6a88'85a3'08d3, 0x1319'8a2e'0370'7344, 0xa409'3822'299f'31d0, 0x082e'fa98'ec4e'6c89}};

template <typename Make>
auto questions(Make&& make) {
  std::mt19937 random(42);
  std::vector<decltype(make(random))> all;
  all.reserve(kQuestions);
  for (std::size_t i = 0; i < kQuestions; ++i) all.push_back(make(random));
  return all;
}

// Asks each question of `all` in turn.
template <typename Questions, typename Ask>
void ask(benchmark::State& state, const Questions& all, Ask&& ask_one) {
  std::size_t i = 0;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(ask_one(all[i]));
    i = (i + 1) % kQuestions;
  }
}

flows::Ip4Key numbered_key(std::uint32_t number) {
  flows::Ip4Key key{};
  key.zone_kind = flows::ZoneKind::kEni;
  key.protocol = packet::kProtoUdp;
  key.tuple.source = Ip4(Be32(number));
  return key;
}

// One at a time, so with the whole way to memory: a burst's are under way together.
void look_up(benchmark::State& state) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  auto table = flows::Ip4FlowTable::create(count, kSeed, 0, true);
  if (!table) return state.SkipWithError(table.error().message.c_str());
  for (std::uint32_t n = 0; n < count; ++n) {
    auto& record = (**table)[(*table)->allocate()];
    record.flows[0].key = numbered_key(n);
    record.flows[0].kind = flows::FlowKind::kForward;
    if (!(*table)->publish(n)) return state.SkipWithError("the index is full");
  }
  const auto keys = questions([count](auto& random) { return numbered_key(random() % count); });
  ask(state, keys, [&](const flows::Ip4Key& key) { return (*table)->find(key).value; });
}
BENCHMARK(look_up)->Name("look_up")->RangeMultiplier(10)->Range(1'000, 10'000'000);

Prefix random_prefix(std::mt19937& random, unsigned shortest, unsigned longest) {
  const unsigned length = shortest + random() % (longest - shortest + 1);
  return Prefix::of(Ip4(Be32(static_cast<std::uint32_t>(random()))), length);
}

void acl(benchmark::State& state) {
  std::mt19937 random(1);
  std::vector<dataplane::Acl::Entry> entries;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(state.range(0)); ++i) {
    const auto port = static_cast<std::uint16_t>(random());
    entries.push_back({{packet::kProtoTcp, port, port, random_prefix(random, 8, 32)}, i});
  }
  const dataplane::Acl table(entries);
  const auto packets = questions([&](auto& r) {  // Of addresses that there are rules for.
    const auto& match = entries[r() % entries.size()].match;
    return std::pair(match.remote.address, static_cast<std::uint16_t>(r()));
  });
  ask(state, packets, [&](const auto& packet) {
    return table.match(packet.first, packet::kProtoTcp, packet.second);
  });
}
BENCHMARK(acl)->Name("acl")->RangeMultiplier(10)->Range(1'000, 100'000);

void lpm(benchmark::State& state) {
  std::mt19937 random(1);
  std::vector<dataplane::Lpm::Entry> entries;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(state.range(0)); ++i) {
    entries.push_back({random_prefix(random, 8, 32), i});
  }
  const dataplane::Lpm table(entries);
  const auto addresses =
      questions([&](auto& r) { return entries[r() % entries.size()].prefix.address.v4(); });
  ask(state, addresses, [&](Ip4 ip) { return table.find(ip); });
}
BENCHMARK(lpm)->Name("lpm")->RangeMultiplier(10)->Range(1'000, 1'000'000);

std::vector<dataplane::Maglev::Backend> numbered_backends(std::int64_t count) {
  std::vector<dataplane::Maglev::Backend> backends;
  for (std::int64_t i = 0; i < count; ++i) {
    backends.push_back({Ip4(Be32(static_cast<std::uint32_t>(0x0a00'0001 + i))), 80, 1});
  }
  return backends;
}

void maglev_pick(benchmark::State& state) {
  const dataplane::Maglev table(numbered_backends(state.range(0)));
  const auto hashes =
      questions([](auto& random) { return std::uint64_t{random()} << 32 | random(); });
  ask(state, hashes, [&](std::uint64_t hash) { return table.pick(hash); });
}
BENCHMARK(maglev_pick)->Name("maglev/pick")->Arg(8)->Arg(1'000);

void maglev_build(benchmark::State& state) {
  const auto backends = numbered_backends(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(dataplane::Maglev(backends).table().data());
  }
}
BENCHMARK(maglev_build)->Name("maglev/build")->Arg(8)->Arg(1'000)->Unit(benchmark::kMicrosecond);

// A new mapping of an ENI whose block of 1,024 ports is so full, in per cent, and its end.
void port_block(benchmark::State& state) {
  constexpr std::uint16_t kBlock = 1'024;
  const auto ports = std::make_unique<dataplane::NatPorts>();
  dataplane::Snapshot policy;
  dataplane::NatGateway gateway;
  gateway.block_ports = kBlock;
  gateway.block_of_eni = {{0, dataplane::kFirstNatPort, kBlock}};
  policy.nat_addresses.push_back({remote_host(0), 0, kBlock, {0}, ports.get()});
  auto mappings = dataplane::NatMappings::create(2 * kBlock, kSeed);
  if (!mappings) return state.SkipWithError(mappings.error().message.c_str());
  Ticks now = 0;
  const auto open = [&](std::uint16_t port) {
    const std::uint32_t i =
        mappings->find_or_make(gateway, policy, 0, packet::kProtoUdp, remote_host(1), port, now);
    if (i != dataplane::NatMappings::kNone) mappings->hold(i);
    return i;
  };
  const auto held = static_cast<std::uint16_t>(kBlock * state.range(0) / 100);
  for (std::uint16_t port = 0; port < held; ++port) open(port);
  for ([[maybe_unused]] auto _ : state) {
    const std::uint32_t i = open(60'000);
    if (i == dataplane::NatMappings::kNone) return state.SkipWithError("no port is left");
    mappings->release(i, now);
    now += 2 * duration_ticks(dataplane::kPortReuseDelay);
    mappings->expire(now, 1);
  }
}
BENCHMARK(port_block)->Name("port_block")->Arg(0)->Arg(50)->Arg(90);

// What an ARP message costs that anybody can send: of a neighbour, and of nobody.
void arp_learn(benchmark::State& state) {
  dataplane::NeighborTable table;
  constexpr std::uint32_t kFirst = 0x0a00'0000;
  const auto count = static_cast<std::uint32_t>(state.range(0));
  for (std::uint32_t i = 0; i < count; ++i) {
    if (table.find_or_add(Ip4::from_host(kFirst + i)) != i) return state.SkipWithError("full");
  }
  std::uint32_t random = 1;
  for ([[maybe_unused]] auto _ : state) {
    random = random * 1'664'525 + 1'013'904'223;
    table.learn(Ip4::from_host(kFirst + (random >> 16) % (2 * count)), vm1_mac(), 1);
  }
}
BENCHMARK(arp_learn)->Name("arp_learn")->Arg(1)->Arg(dataplane::NeighborTable::kCapacity);

// A packet for a neighbour that is not there, when others have taken all the room.
void arp_wait(benchmark::State& state) {
  const auto ports = static_cast<std::uint16_t>(state.range(0));
  dataplane::ArpQueue queue(ports);
  dataplane::ArpQueue::Entry entry;
  for ([[maybe_unused]] auto _ : state) {
    entry.ingress_port = static_cast<std::uint16_t>((entry.ingress_port + 1) % ports);
    entry.hop.neighbor = (entry.hop.neighbor + 1) % dataplane::NeighborTable::kCapacity;
    benchmark::DoNotOptimize(queue.push(entry));
  }
}
BENCHMARK(arp_wait)->Name("arp_wait")->Arg(5)->Arg(64);

// Reading a policy file of 100,000 rules, half of them each way.
void decoder(benchmark::State& state) {
  PolicyShape shape;
  shape.rule_count = 50'000;
  const auto file = std::make_shared<control::SourceFile>("policy.yaml",
                                                          policy_of(*find_scenario("full"), shape));
  const std::vector<control::Source> sources{{file, false}};
  for ([[maybe_unused]] auto _ : state) {
    control::Diagnostics diagnostics;
    if (!control::load_policy(sources, diagnostics) || diagnostics.has_errors()) {
      return state.SkipWithError("the policy cannot be read");
    }
  }
}
BENCHMARK(decoder)->Name("decoder/100000")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gannet::bench

BENCHMARK_MAIN();
