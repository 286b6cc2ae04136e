// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mbuf_frame.hpp"
#include "dataplane/mss.hpp"
#include "dataplane/rewrite.hpp"
#include "dataplane/slow_stage.hpp"

#include <algorithm>

#include <rte_ip_frag.h>

namespace gannet::dataplane {
namespace {

constexpr Ticks kNeighborPatience = duration_ticks(3 * kNanosPerSecond);
constexpr unsigned kMaxPieces = 64;  // Of one packet that is cut: 64 KiB at 1,280 bytes each.

// The largest segment of a connection whose packets go by a path of `max_ip_bytes`; they come from,
// or go to, a VM, whose VPC carries no more than a tunnel.
std::uint16_t max_segment_bytes(const Underlay& underlay, std::uint16_t max_ip_bytes, bool is_v4) {
  const unsigned most = std::min<unsigned>(max_ip_bytes, vpc_mtu(underlay));
  const unsigned headers =
      sizeof(packet::TcpHeader) + (is_v4 ? sizeof(packet::Ipv4Header) : sizeof(packet::Ipv6Header));
  return static_cast<std::uint16_t>(most - headers);
}

void set_identification(std::uint8_t* bytes, std::uint16_t value) {
  auto& ip = packet::header_at<packet::Ipv4Header>(bytes);
  packet::ChecksumDelta delta;
  delta.replace(ip.identification, Be16(value));
  ip.identification = Be16(value);
  ip.checksum = packet::update(ip.checksum, delta.folded());
}

}  // namespace

template <typename Key>
void SlowStage::emit(Job& job, flows::FlowRef ref, bool is_translated) {
  const auto& action = slow_path_.flow<Key>(ref).action;
  const packet::Parsed& parsed = job.parsed;
  const flows::NextHop& hop = job.policy.next_hops[action.next_hop];
  std::uint8_t* const ip = job.frame.data + parsed.l3_offset;
  const bool is_v4 = parsed.l3 == packet::L3::kIpv4;
  const unsigned ip_bytes = unsigned{parsed.end_offset} - parsed.l3_offset;
  if (is_translated) {
    rewrite_hop(ip, is_v4, action.flags);
  } else {
    std::uint8_t* const l4 = parsed.has_l4 ? job.frame.data + parsed.l4_offset : nullptr;
    rewrite_ip(ip, l4, parsed.protocol, action, action.flags);
    if (l4 != nullptr && parsed.protocol == packet::kProtoTcp && job.policy.underlay.clamps_mss) {
      clamp_mss(l4, unsigned{parsed.payload_offset} - parsed.l4_offset,
                max_segment_bytes(job.policy.underlay, action.max_ip_bytes, is_v4));
    }
    const bool is_cut = job.whole_bytes != 0 || ip_bytes > action.max_ip_bytes;
    if (is_v4 && is_cut && slow_path_.hides_many<Key>(ref)) {
      set_identification(ip, job.whole_bytes != 0 ? job.fragment_id : take_fragment_id());
    }
  }
  if (ip_bytes > action.max_ip_bytes) {
    emit_fragments(job, hop, action.flags, action.outer_source_port, action.max_ip_bytes);
    return;
  }
  // What lies behind the packet is worth no frame that is larger than the path.
  const bool is_padded_too_far = job.frame.size - parsed.l3_offset > action.max_ip_bytes;
  if (is_padded_too_far && !job.frame.resize(parsed.end_offset)) {
    transmitter_.drop(job.packet, job.port.index, DropReason::no_buffer);
    return;
  }
  finish(job, job.packet, job.frame, hop, action.flags, action.outer_source_port, parsed.tos);
}

// Cuts an IPv4 packet that is larger than the path and allows it (G17); the tunnel is never cut.
void SlowStage::emit_fragments(Job& job, const flows::NextHop& hop, std::uint16_t flags,
                               Be16 source_port, std::uint16_t max_ip_bytes) {
  const packet::EthernetHeader ethernet = job.frame.ethernet();
  job.frame.pull(job.parsed.l3_offset);
  commit(job.packet, job.frame);
  rte_pktmbuf_trim(job.packet, static_cast<std::uint16_t>(job.frame.size - (job.parsed.end_offset -
                                                                            job.parsed.l3_offset)));
  rte_mbuf* pieces[kMaxPieces];
  const std::int32_t count = rte_ipv4_fragment_copy_nonseg_packet(job.packet, pieces, kMaxPieces,
                                                                  max_ip_bytes, config_.pool);
  if (count <= 0) {
    transmitter_.drop(job.packet, job.port.index, DropReason::no_buffer);
    return;
  }
  job.port.counters->originated_packets.add(static_cast<std::uint64_t>(count) - 1);
  for (std::int32_t i = 0; i < count; ++i) {
    auto* const ip = rte_pktmbuf_mtod(pieces[i], std::uint8_t*);
    auto& header = packet::header_at<packet::Ipv4Header>(ip);
    header.checksum = Be16(0);
    header.checksum = packet::finish(packet::sum_bytes(ip, header.header_bytes()));
    Frame frame = frame_of(pieces[i]);
    if (!frame.push(sizeof ethernet)) {
      transmitter_.drop(pieces[i], job.port.index, DropReason::no_buffer);
      continue;
    }
    frame.ethernet() = ethernet;
    finish(job, pieces[i], frame, hop, flags, source_port, job.parsed.tos);
  }
  rte_pktmbuf_free(job.packet);
}

// The Ethernet header or the tunnel, then out.
void SlowStage::finish(Job& job, rte_mbuf* packet, Frame& frame, const flows::NextHop& hop,
                       std::uint16_t flags, Be16 source_port, std::uint8_t tos) {
  const std::uint64_t mac = hop.leaves_by_underlay() ? neighbors_.mac_of(hop.neighbor) : 0;
  const bool rewrites = (flags & flows::kRewriteMacs) != 0;
  if ((flags & flows::kEncapsulate) != 0) {
    const std::uint32_t inner_bytes = frame.size;
    std::uint8_t* const inner = frame.data;
    if (!frame.push(packet::kVxlanOverIpv4Bytes)) {
      transmitter_.drop(packet, job.port.index, DropReason::no_buffer);
      return;
    }
    encapsulate(inner, inner_bytes, hop, source_port, tos, mac, rewrites);
  } else if (rewrites) {
    rewrite_macs(frame.data, hop, mac);
  }
  commit(packet, frame);
  leave(job, hop, packet, mac);
}

Judgement SlowStage::judgement_of(const Job& job) {
  Judgement judgement;
  judgement.generation = job.policy.generation;
  judgement.family = job.family;
  judgement.flow = job.flow;
  judgement.in = job.in;
  if (!job.flow.is_valid()) return judgement;
  if (job.family == Family::kIpv4) {
    const auto& flow = slow_path_.flow<flows::Ip4Key>(job.flow);
    judgement.v4 = {flow.key, flow.action.tuple};
  } else {
    const auto& flow = slow_path_.flow<flows::Ip6Key>(job.flow);
    judgement.v6 = {flow.key, flow.action.tuple};
  }
  return judgement;
}

// Keeps a frame until its neighbour's MAC is known.
void SlowStage::hold(const Job& job, const flows::NextHop& hop, rte_mbuf* packet) {
  neighbors_.want(hop.neighbor);
  const auto refused = arp_queue_.push(
      {packet, job.port.index, to_ticks(job.now) + kNeighborPatience, hop, judgement_of(job)});
  if (!refused) return;
  transmitter_.drop(refused->packet, refused->ingress_port, DropReason::neighbor_unresolved);
}

// Sends a frame whose neighbour has answered, unless it would not be sent any more.
void SlowStage::release(const ArpQueue::Entry& entry, const Snapshot& policy, Nanos now) {
  const Judgement& before = entry.judgement;
  Admission admission;
  if (before.generation != policy.generation) {
    admission = slow_path_.judge_waiting(before, entry.hop, policy, now);
  }
  const std::uint64_t mac = neighbors_.mac_of(entry.hop.neighbor);
  if (admission.reason == DropReason::kNone && mac != 0) {
    store(rte_pktmbuf_mtod(entry.packet, std::uint8_t*), Mac::from_raw(mac));
    transmitter_.send(entry.hop.port, entry.packet, entry.ingress_port, now);
    return;
  }
  if (mac == 0) admission.reason = DropReason::neighbor_unresolved;  // Just forgotten.
  transmitter_.drop(entry.packet, entry.ingress_port, admission.reason);
  const bool is_v4 = before.family == Family::kIpv4;
  drops_.add({now, admission.reason, entry.ingress_port, admission.rule, policy.generation,
              is_v4 ? tuple_of(before.v4.key) : tuple_of(before.v6.key)});
}

// Sends a finished frame, or keeps it until the neighbour's MAC is known. It does not overtake what
// waits for the same neighbour: whichever worker has heard the answer, and when.
void SlowStage::leave(const Job& job, const flows::NextHop& hop, rte_mbuf* packet,
                      std::uint64_t mac) {
  if (hop.leaves_by_underlay()) {
    if (mac == 0) return hold(job, hop, packet);
    if (arp_queue_.has(hop.neighbor)) {
      arp_queue_.take([&](std::uint32_t neighbor) { return neighbor == hop.neighbor; },
                      [&](const auto& entry) { release(entry, job.policy, job.now); });
    }
  }
  transmitter_.send(hop.port, packet, job.port.index, job.now);
}

template void SlowStage::emit<flows::Ip4Key>(Job&, flows::FlowRef, bool);
template void SlowStage::emit<flows::Ip6Key>(Job&, flows::FlowRef, bool);

}  // namespace gannet::dataplane
