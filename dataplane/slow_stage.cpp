// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/slow_stage.hpp"

#include "dataplane/layers/tunnel.hpp"
#include "dataplane/mbuf_frame.hpp"

#include <utility>

namespace gannet::dataplane {
namespace {

constexpr unsigned kFragmentedPackets = 256;  // That may wait at once.

bool has_bad_outer_checksum(const rte_mbuf* packet) {
  const std::uint64_t outer = packet->ol_flags & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK;
  const std::uint64_t plain = packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  return outer == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD || plain == RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

}  // namespace

SlowStage::SlowStage(const Config& config, SlowPath& slow_path, NeighborTable& neighbors,
                     ArpQueue& arp_queue, std::vector<PortContext>& ports, Transmitter& transmitter,
                     PathCounters& counters, DropLog& drops)
    : config_(config),
      slow_path_(slow_path),
      neighbors_(neighbors),
      arp_queue_(arp_queue),
      ports_(ports),
      transmitter_(transmitter),
      counters_(counters),
      drops_(drops),
      fragments_({config.fragment_timeout, kFragmentedPackets, config.max_fragments}),
      next_fragment_id_(config.worker) {}

SlowStage::~SlowStage() {
  arp_queue_.take([](std::uint32_t) { return true; },
                  [](const ArpQueue::Entry& entry) { rte_pktmbuf_free(entry.packet); });
  for (auto r = fragments_.drain(); r.count != 0; r = fragments_.drain()) {
    for (unsigned i = 0; i < r.count; ++i) rte_pktmbuf_free(static_cast<rte_mbuf*>(r.give_back[i]));
  }
}

void SlowStage::drop(Job& job, const Outcome& outcome) {
  transmitter_.drop(job.packet, job.port.index, outcome.reason);
  if (outcome.reason == DropReason::consumed) return;
  drops_.add({job.now, outcome.reason, job.port.index, outcome.rule, job.policy.generation,
              outcome.tuple});
}

// Where the packet comes in; takes a tunnel off.
DropReason SlowStage::receive(Job& job) const {
  Ingress& in = job.in;
  in.port = job.port.index;
  if (job.frame.size < sizeof(packet::EthernetHeader)) return DropReason::runt;
  in.source_mac = job.frame.ethernet().source;
  in.destination_mac = job.frame.ethernet().destination;
  in.zone = job.port.zone;
  in.vpc = job.port.vpc;
  if (job.port.role == PortRole::kVm) return DropReason::kNone;
  if (job.port.role == PortRole::kNone) return job.port.refusal;

  const bool is_ours = in.destination_mac.raw() == job.port.mac;
  if (!is_ours && !in.destination_mac.is_broadcast()) return DropReason::not_for_us;
  packet::Parsed outer;
  const packet::ParseError error = packet::parse(job.frame.data, job.frame.size, outer);
  if (error != packet::ParseError::kNone) return reason_of(error);
  if (!is_ours && outer.l3 != packet::L3::kArp) return DropReason::not_for_us;
  if (!Tunnel::is_addressed(job.frame, outer, job.policy.underlay)) return DropReason::kNone;
  if (outer.vlan_tag_count != 0) return DropReason::vlan_not_allowed;
  if (!packet::has_good_ipv4_checksum(job.frame.data, outer)) return DropReason::bad_ip_header;
  return Tunnel::open(job.frame, outer, job.policy, has_bad_outer_checksum(job.packet), in);
}

Outcome SlowStage::decide(Job& job) {
  job.frame = frame_of(job.packet);
  const DropReason refused = receive(job);
  SlowPacket slow{job.frame, job.in, job.came, job.whole_bytes, nullptr, {}};
  Outcome outcome = refused == DropReason::kNone ? slow_path_.handle(slow, job.policy, job.now)
                                                 : Outcome::drop(refused);
  job.parsed = slow.parsed;
  return outcome;
}

void SlowStage::process(std::uint16_t port, rte_mbuf* packet, HandOver came, const Snapshot& policy,
                        Nanos now) {
  counters_.slow_packets.add(1);
  Job job{ports_[port], packet, policy, now};
  job.came = came;
  if (rte_pktmbuf_linearize(packet) != 0) {
    transmitter_.drop(packet, port, DropReason::no_buffer);
    return;
  }
  PortContext& context = job.port;
  if (came == HandOver::kNone && context.bytes_per_second != 0 &&
      !context.rx_bucket.take(context.bytes_per_second, packet->pkt_len, now,
                              context.bandwidth_burst)) {
    transmitter_.drop(packet, port, DropReason::eni_rate_limit);
    return;
  }
  Outcome outcome = decide(job);
  act(job, outcome);
}

// Leaves in `outcome` what has become of it.
void SlowStage::act(Job& job, Outcome& outcome) {
  if (outcome.is_first) counters_.first_packets.add(1);
  switch (outcome.disposition) {
    case Disposition::kDrop: return drop(job, outcome);
    case Disposition::kForward: return forward(job, outcome);
    case Disposition::kReturn: return send_back(job, outcome);
    case Disposition::kCollect: return collect(job);
    case Disposition::kHandOver:
      return transmitter_.hand_over(job.packet, job.port.index, outcome.worker, outcome.how);
  }
}

void SlowStage::forward(Job& job, Outcome& outcome) {
  job.family = outcome.family;
  job.flow = outcome.flow;
  if (outcome.family == Family::kIpv4) {
    emit<flows::Ip4Key>(job, outcome.flow, outcome.is_translated);
  } else {
    emit<flows::Ip6Key>(job, outcome.flow, outcome.is_translated);
  }
}

void SlowStage::originate(std::uint16_t vpc, const IpTuple& tuple, rte_mbuf* packet,
                          const Snapshot& policy, Nanos now) {
  const Endpoint* const to = policy.find_endpoint(vpc, tuple.destination);
  const bool is_local = to != nullptr && to->kind == EndpointKind::kLocal;
  const bool is_remote = to != nullptr && to->kind == EndpointKind::kRemote;
  std::uint32_t number = kNoHop;
  if (is_local) number = policy.enis[to->eni].hop.of(tuple.family());
  if (is_remote) number = to->hop.of(tuple.family());
  if (number == kNoHop) {
    rte_pktmbuf_free(packet);
    return;
  }
  const flows::NextHop& hop = policy.next_hops[number];
  Job job{ports_[hop.port], packet, policy, now};
  job.frame = frame_of(packet);
  job.port.counters->originated_packets.add(1);
  const unsigned tunnel = is_remote ? flows::kEncapsulate : 0;
  finish(job, packet, job.frame, hop, static_cast<std::uint16_t>(flows::kRewriteMacs | tunnel),
         Be16(tunnel_source_port(tuple)), 0);
}

// An answer goes out where the question came in, through the same tunnel if it came through one.
void SlowStage::send_back(Job& job, const Outcome& outcome) {
  counters_.answers.add(1);
  if (outcome.reason != DropReason::kNone) {
    // The packet is dropped, and what goes back is another one, made on its account.
    job.port.counters->drops[static_cast<std::size_t>(outcome.reason)].add(1);
    job.port.counters->originated_packets.add(1);
    drops_.add({job.now, outcome.reason, job.port.index, outcome.rule, job.policy.generation,
                outcome.tuple});
  }
  if (!job.in.is_tunnel()) {
    commit(job.packet, job.frame);
    transmitter_.send(job.port.index, job.packet, job.port.index, job.now);
    return;
  }
  const TunnelPeer* const peer = job.policy.find_peer(job.in.vpc, job.in.tunnel_source);
  packet::Parsed answer;
  const bool is_ip =
      packet::parse(job.frame.data, job.frame.size, answer) == packet::ParseError::kNone &&
      answer.is_ip();
  if (peer == nullptr || !is_ip) {
    transmitter_.drop(job.packet, job.port.index, DropReason::no_route);
    return;
  }
  const bool is_v4 = answer.l3 == packet::L3::kIpv4;
  const flows::NextHop& hop =
      job.policy.next_hops[is_v4 ? peer->return_hop.v4 : peer->return_hop.v6];
  IpTuple tuple = outcome.tuple;
  std::swap(tuple.source, tuple.destination);
  finish(job, job.packet, job.frame, hop, flows::kEncapsulate, Be16(tunnel_source_port(tuple)),
         answer.tos);
}

void SlowStage::run(const Snapshot& policy, Nanos now) {
  const Ticks ticks = to_ticks(now);
  const std::uint32_t changes = neighbors_.change_count();
  if (changes != seen_changes_) {
    seen_changes_ = changes;
    arp_queue_.take([this](std::uint32_t neighbor) { return neighbors_.mac_of(neighbor) != 0; },
                    [&](const ArpQueue::Entry& entry) { release(entry, policy, now); });
  }
  while (const auto late = arp_queue_.pop_late(ticks)) {
    transmitter_.drop(late->packet, late->ingress_port, DropReason::neighbor_unresolved);
  }
  drop_all(fragments_.expire(ticks));
}

}  // namespace gannet::dataplane
