// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/slow_stage.hpp"

#include "dataplane/layers/tunnel.hpp"
#include "dataplane/mss.hpp"
#include "dataplane/rewrite.hpp"

#include <algorithm>

#include <rte_ip_frag.h>

namespace gannet::dataplane {
namespace {

constexpr unsigned kFragmentedPackets = 256;  // That may wait at once.
constexpr Ticks kNeighborPatience = duration_ticks(3 * kNanosPerSecond);
constexpr unsigned kMaxPieces = 64;  // Of one packet that is cut: 64 KiB at 1,280 bytes each.

Frame frame_of(rte_mbuf* packet) {
  return {rte_pktmbuf_mtod(packet, std::uint8_t*), packet->data_len, packet->data_off,
          rte_pktmbuf_tailroom(packet)};
}

// Puts a frame's bounds back into its mbuf.
void commit(rte_mbuf* packet, const Frame& frame) {
  packet->data_off =
      static_cast<std::uint16_t>(frame.data - static_cast<std::uint8_t*>(packet->buf_addr));
  packet->data_len = static_cast<std::uint16_t>(frame.size);
  packet->pkt_len = frame.size;
}

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

Outcome refusal(DropReason reason) {
  Outcome outcome;
  outcome.reason = reason;
  return outcome;
}

bool has_bad_outer_checksum(const rte_mbuf* packet) {
  const std::uint64_t outer = packet->ol_flags & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK;
  const std::uint64_t plain = packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  return outer == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD || plain == RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

}  // namespace

SlowStage::SlowStage(const Config& config, SlowPath& slow_path, NeighborTable& neighbors,
                     std::vector<PortContext>& ports, Transmitter& transmitter, Mailbox mailbox,
                     PathCounters& counters, DropLog& drops)
    : config_(config),
      slow_path_(slow_path),
      neighbors_(neighbors),
      ports_(ports),
      transmitter_(transmitter),
      mailbox_(mailbox),
      counters_(counters),
      drops_(drops),
      fragments_({config.fragment_timeout, kFragmentedPackets, config.max_fragments}),
      next_fragment_id_(config.worker) {}

SlowStage::~SlowStage() {
  for (unsigned i = 0; i < waiting_count_; ++i) rte_pktmbuf_free(waiting_[i].packet);
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
  SlowPacket slow{job.frame, job.in, job.is_handed_over, job.whole_bytes, nullptr, {}};
  Outcome outcome = refused == DropReason::kNone ? slow_path_.handle(slow, job.policy, job.now)
                                                 : refusal(refused);
  job.parsed = slow.parsed;
  return outcome;
}

void SlowStage::process(std::uint16_t port, rte_mbuf* packet, bool is_handed_over,
                        const Snapshot& policy, Nanos now) {
  counters_.slow_packets.add(1);
  Job job{ports_[port], packet, policy, now};
  job.is_handed_over = is_handed_over;
  if (rte_pktmbuf_linearize(packet) != 0) {
    transmitter_.drop(packet, port, DropReason::no_buffer);
    return;
  }
  PortContext& context = job.port;
  if (!is_handed_over && context.bytes_per_second != 0 &&
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
      return transmitter_.hand_over(job.packet, job.port.index, outcome.worker);
  }
}

// Tells the worker that will receive the replies whose they are; its ring keeps the order, so a
// packet sent through that worker cannot be overtaken by its own reply.
bool SlowStage::announce_redirect(Job& job, const Outcome& outcome) {
  Message message;
  message.kind = MessageKind::kAddRedirect;
  message.from = config_.worker;
  message.family = outcome.family;
  if (outcome.family == Family::kIpv4) {
    message.v4 = slow_path_.reply_key<flows::Ip4Key>(outcome.flow);
  } else {
    message.v6 = slow_path_.reply_key<flows::Ip6Key>(outcome.flow);
  }
  if (mailbox_.send(mailbox_.context, outcome.redirect_worker, message)) return true;
  slow_path_.abandon(outcome, to_ticks(job.now));
  transmitter_.drop(job.packet, job.port.index, DropReason::handover_full);
  return false;
}

void SlowStage::forward(Job& job, Outcome& outcome) {
  if (outcome.redirect_worker != kNoIndex && !announce_redirect(job, outcome)) {
    outcome.disposition = Disposition::kDrop;  // Later fragments too: the connection is gone.
    outcome.reason = DropReason::handover_full;
    return;
  }
  if (outcome.family == Family::kIpv4) {
    emit<flows::Ip4Key>(job, outcome.flow, outcome.is_translated, outcome.redirect_worker);
  } else {
    emit<flows::Ip6Key>(job, outcome.flow, outcome.is_translated, outcome.redirect_worker);
  }
}

template <typename Key>
void SlowStage::emit(Job& job, flows::FlowRef ref, bool is_translated, std::uint16_t via_worker) {
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
    emit_fragments(job, hop, action.flags, action.outer_source_port, action.max_ip_bytes,
                   via_worker);
    return;
  }
  // What lies behind the packet is worth no frame that is larger than the path.
  const bool is_padded_too_far = job.frame.size - parsed.l3_offset > action.max_ip_bytes;
  if (is_padded_too_far && !job.frame.resize(parsed.end_offset)) {
    transmitter_.drop(job.packet, job.port.index, DropReason::no_buffer);
    return;
  }
  finish(job, job.packet, job.frame, hop, action.flags, action.outer_source_port, parsed.tos,
         via_worker);
}

// Cuts an IPv4 packet that is larger than the path and allows it (G17); the tunnel is never cut.
void SlowStage::emit_fragments(Job& job, const flows::NextHop& hop, std::uint16_t flags,
                               Be16 source_port, std::uint16_t max_ip_bytes,
                               std::uint16_t via_worker) {
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
    finish(job, pieces[i], frame, hop, flags, source_port, job.parsed.tos, via_worker);
  }
  rte_pktmbuf_free(job.packet);
}

// The Ethernet header or the tunnel, then out.
void SlowStage::finish(Job& job, rte_mbuf* packet, Frame& frame, const flows::NextHop& hop,
                       std::uint16_t flags, Be16 source_port, std::uint8_t tos,
                       std::uint16_t via_worker) {
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
  leave(hop, packet, job.port.index, mac, via_worker, job.now);
}

// Keeps a frame until its neighbour's MAC is known. Whoever sends to many neighbours that are not
// there finds his own share of the room full, not that of others.
void SlowStage::hold(const flows::NextHop& hop, rte_mbuf* packet, std::uint16_t ingress_port,
                     Nanos now) {
  neighbors_.want(hop.neighbor);
  unsigned of_port = 0;
  unsigned of_neighbor = 0;
  for (unsigned i = 0; i < waiting_count_; ++i) {
    if (waiting_[i].ingress_port != ingress_port) continue;
    ++of_port;
    of_neighbor += waiting_[i].neighbor == hop.neighbor;
  }
  if (of_port >= kMaxWaitingPerPort || of_neighbor >= kMaxWaitingPerNeighbor) {
    transmitter_.drop(packet, ingress_port, DropReason::neighbor_unresolved);
    return;
  }
  if (waiting_count_ == kMaxWaiting) drop_oldest_waiting();
  waiting_[waiting_count_++] = {packet, hop.neighbor, hop.port, ingress_port,
                                to_ticks(now) + kNeighborPatience};
}

// Of the port that has the most.
void SlowStage::drop_oldest_waiting() {
  const auto end = waiting_.begin() + waiting_count_;
  unsigned victim = 0;
  long most = 0;
  for (unsigned i = 0; i < waiting_count_; ++i) {
    const std::uint16_t port = waiting_[i].ingress_port;
    const auto same = [port](const Waiting& w) { return w.ingress_port == port; };
    const bool is_first = std::none_of(waiting_.begin(), waiting_.begin() + i, same);
    if (!is_first) continue;
    const long count = std::count_if(waiting_.begin() + i, end, same);
    if (count <= most) continue;
    most = count;
    victim = i;
  }
  transmitter_.drop(waiting_[victim].packet, waiting_[victim].ingress_port,
                    DropReason::neighbor_unresolved);
  remove_waiting(victim);
}

// In order for each neighbour: the others move up.
void SlowStage::remove_waiting(unsigned index) {
  std::move(waiting_.begin() + index + 1, waiting_.begin() + waiting_count_,
            waiting_.begin() + index);
  --waiting_count_;
}

// Sends a finished frame, or keeps it until the neighbour's MAC is known.
void SlowStage::leave(const flows::NextHop& hop, rte_mbuf* packet, std::uint16_t ingress_port,
                      std::uint64_t mac, std::uint16_t via_worker, Nanos now) {
  if (hop.leaves_by_underlay() && mac == 0) {
    hold(hop, packet, ingress_port, now);
    return;
  }
  if (via_worker == kNoIndex) {
    transmitter_.send(hop.port, packet, ingress_port, now);
    return;
  }
  Message message;
  message.kind = MessageKind::kTransmit;
  message.from = config_.worker;
  message.port = hop.port;
  message.ingress_port = ingress_port;
  message.packet = packet;
  if (!mailbox_.send(mailbox_.context, via_worker, message)) {
    transmitter_.drop(packet, ingress_port, DropReason::handover_full);
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
         Be16(tunnel_source_port(tuple)), 0, kNoIndex);
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
         answer.tos, kNoIndex);
}

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
    job.is_handed_over = last.is_handed_over;
    job.whole_bytes = whole.total;
    job.fragment_id = id;
    if (i == 0) {
      verdict = decide(job);
      act(job, verdict);
      verdict.is_first = false;
      if (verdict.disposition == Disposition::kReturn) verdict.disposition = Disposition::kDrop;
      verdict.redirect_worker = kNoIndex;
      continue;
    }
    job.frame = frame_of(packet);
    Outcome outcome = verdict;
    const DropReason unreadable = read_again(job);
    if (unreadable != DropReason::kNone) {
      outcome.disposition = Disposition::kDrop;
      outcome.reason = unreadable;
    } else if (verdict.disposition == Disposition::kForward) {
      SlowPacket slow{job.frame, job.in, job.is_handed_over, 0, nullptr, job.parsed};
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

void SlowStage::run(Nanos now) {
  const Ticks ticks = to_ticks(now);
  for (unsigned i = 0; i < waiting_count_;) {
    Waiting& w = waiting_[i];
    const std::uint64_t mac = neighbors_.mac_of(w.neighbor);
    const bool is_late = reached(ticks, w.deadline);
    if (mac == 0 && !is_late) {
      ++i;
      continue;
    }
    if (mac != 0) {
      store(rte_pktmbuf_mtod(w.packet, std::uint8_t*), Mac::from_raw(mac));
      transmitter_.send(w.port, w.packet, w.ingress_port, now);
    } else {
      transmitter_.drop(w.packet, w.ingress_port, DropReason::neighbor_unresolved);
    }
    remove_waiting(i);
  }
  drop_all(fragments_.expire(ticks));
}

}  // namespace gannet::dataplane
