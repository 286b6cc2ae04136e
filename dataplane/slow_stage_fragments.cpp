// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mbuf_frame.hpp"
#include "dataplane/slow_stage.hpp"

namespace gannet::dataplane {

void SlowStage::collect(Job& job) {
  const packet::Parsed& p = job.parsed;
  Fragments::Piece piece;
  piece.zone = job.in.zone;
  if (p.l3 == packet::L3::kIpv4) {
    const auto& ip = packet::header_at<packet::Ipv4Header>(job.frame.data + p.l3_offset);
    piece.source = ip.source;
    piece.destination = ip.destination;
  } else {
    const auto& ip = packet::header_at<packet::Ipv6Header>(job.frame.data + p.l3_offset);
    piece.source = ip.source;
    piece.destination = ip.destination;
  }
  piece.id = p.fragment_id;
  // Later IPv6 fragments may name another protocol than the first: only the identification counts
  // there (RFC 8200, 4.5).
  piece.protocol = p.l3 == packet::L3::kIpv4 ? p.protocol : 0;
  piece.offset = p.fragment_offset;
  piece.size = static_cast<std::uint16_t>(p.fragment_bytes());
  piece.is_last = !p.has_more_fragments;
  piece.handle = job.packet;
  job.packet->port = job.port.index;
  Fragments::Result result = fragments_.add(piece, to_ticks(job.now));
  for (unsigned i = 0; i < result.evicted_count; ++i) {
    auto* const evicted = static_cast<rte_mbuf*>(result.evicted[i]);
    transmitter_.drop(evicted, evicted->port, DropReason::fragment_limit);
  }
  if (result.is_whole) return act_on_whole(result, job);
  drop_all(result);
}

// A fragment that has waited.
DropReason SlowStage::read_again(Job& job) const {
  const DropReason received = receive(job);
  if (received != DropReason::kNone) return received;
  return reason_of(packet::parse(job.frame.data, job.frame.size, job.parsed));
}

// A number for a packet in fragments that leaves with an address which hides many hosts: theirs
// may be equal (RFC 6864, 5.3.1; RFC 7857, 10). Each worker has its own numbers.
std::uint16_t SlowStage::take_fragment_id() {
  next_fragment_id_ = static_cast<std::uint16_t>(next_fragment_id_ + config_.worker_count);
  return next_fragment_id_;
}

// All fragments of a packet, in order: the first decides, the others follow it.
void SlowStage::act_on_whole(Fragments::Result& whole, const Job& last) {
  Outcome verdict;
  const std::uint16_t id = take_fragment_id();
  for (unsigned i = 0; i < whole.count; ++i) {
    auto* const packet = static_cast<rte_mbuf*>(whole.give_back[i]);
    Job job{ports_[packet->port], packet, last.policy, last.now};
    job.came = last.came;
    job.whole_bytes = whole.total;
    job.fragment_id = id;
    if (i == 0) {
      verdict = decide(job);
      act(job, verdict);
      verdict.is_first = false;
      if (verdict.disposition == Disposition::kReturn) verdict.disposition = Disposition::kDrop;
      continue;
    }
    job.frame = frame_of(packet);
    Outcome outcome = verdict;
    const DropReason unreadable = read_again(job);
    if (unreadable != DropReason::kNone) {
      outcome.disposition = Disposition::kDrop;
      outcome.reason = unreadable;
    } else if (verdict.disposition == Disposition::kForward) {
      SlowPacket slow{job.frame, job.in, job.came, 0, nullptr, job.parsed};
      outcome = slow_path_.follow(slow, verdict, job.policy, job.now);
    }
    act(job, outcome);
  }
}

void SlowStage::drop_all(const Fragments::Result& result) {
  for (unsigned i = 0; i < result.count; ++i) {
    auto* const packet = static_cast<rte_mbuf*>(result.give_back[i]);
    transmitter_.drop(packet, packet->port, result.reason);
  }
}

}  // namespace gannet::dataplane
