// SPDX-License-Identifier: BSD-3-Clause
// TCP segments of open connections: followed, and refused where they do not fit.
#include "dataplane/fast_path.hpp"
#include "flows/packet/checksum.hpp"

#include <type_traits>

namespace gannet::dataplane {
namespace {

// Whether the card found the TCP checksum right. Of a tunnel it may have looked at the outside
// only.
bool has_checked_tcp(const rte_mbuf* packet, const std::uint8_t* frame) {
  return (packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD &&
         frame == rte_pktmbuf_mtod(packet, const std::uint8_t*);
}

template <typename Key>
[[gnu::cold, gnu::noinline]] bool has_good_tcp_checksum(const std::uint8_t* ip, unsigned ip_bytes,
                                                        const std::uint8_t* l4) {
  constexpr bool kIsV4 = sizeof(typename Key::Ip) == 4;
  using Header = std::conditional_t<kIsV4, packet::Ipv4Header, packet::Ipv6Header>;
  const auto& header = packet::header_at<Header>(ip);
  const auto bytes = static_cast<std::uint32_t>(ip + ip_bytes - l4);
  return packet::fold(packet::sum_bytes(l4, bytes) +
                      packet::pseudo_header_sum(header.source, header.destination,
                                                packet::kProtoTcp, bytes)) == 0xffff;
}

// Whether a segment's place in the window is all that is at stake: nothing is opened, closed or
// learned by it.
template <typename Key>
bool is_steady(const flows::Connection<Key>& connection) {
  const auto& details = connection.details;
  return connection.shared.tcp_state == flows::TcpState::kEstablished &&
         (details.tcp.peers[0].is_known & details.tcp.peers[1].is_known) != 0 &&
         (details.card_flags & flows::kOnCard) == 0;
}

}  // namespace

// Takes a TCP segment into account. \return whether it is in order; else it has been dropped, shown
// among the last drops like those of the slow path.
template <typename Key>
bool FastPath::admit_segment(const Slot& slot, flows::Connection<Key>& connection,
                             const Burst& burst) {
  constexpr bool kIsV4 = sizeof(typename Key::Ip) == 4;
  constexpr unsigned kIpBytes = kIsV4 ? 20 : 40;
  const std::uint8_t* const ip = slot.frame + kEthernetBytes;
  const std::uint8_t* const l4 = ip + kIpBytes;
  const Ticks now = to_ticks(burst.now);
  const unsigned header = packet::header_at<packet::TcpHeader>(l4).header_bytes();
  const unsigned ip_bytes = common_ip_bytes(ip, kIsV4);
  const unsigned payload = ip_bytes - kIpBytes - header;
  if (!is_steady(connection) && !has_checked_tcp(slot.packet, slot.frame) &&
      !has_good_tcp_checksum<Key>(ip, ip_bytes, l4)) [[unlikely]] {
    return refuse_segment(slot, connection, burst, DropReason::bad_l4_checksum);
  }
  const flows::TcpVerdict verdict = connections_.track<Key>(
      ref_of(slot, connection), flows::read_segment(l4, header, payload), now);
  if (flows::passes(verdict)) [[likely]] {
    flows::account(connection.shared, slot.direction, slot.frame_bytes, now,
                   verdict == flows::TcpVerdict::kPass);
    return true;
  }
  return refuse_segment(slot, connection, burst,
                        verdict == flows::TcpVerdict::kOutOfWindow ? DropReason::tcp_out_of_window
                                                                   : DropReason::tcp_invalid_flags);
}

template <typename Key>
bool FastPath::refuse_segment(const Slot& slot, const flows::Connection<Key>& connection,
                              const Burst& burst, DropReason reason) {
  drops_.add({burst.now, reason, burst.port.index, flows::kNoRule, burst.policy.generation,
              tuple_of(connection.flow(slot.direction).key)});
  transmitter_.drop(slot.packet, burst.port.index, reason);
  return false;
}

template bool FastPath::admit_segment(const Slot&, flows::Ip4Connection&, const Burst&);
template bool FastPath::admit_segment(const Slot&, flows::Ip6Connection&, const Burst&);

}  // namespace gannet::dataplane
