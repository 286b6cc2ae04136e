// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/packet_editor.hpp"

#include <cstddef>
#include <cstring>

namespace gannet::emudpu {
namespace {

using packet::header_at;

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// HC' = ~(~HC + delta), where a delta of minus zero is one of nothing.
void apply(std::uint8_t* checksum, std::uint64_t delta, bool is_udp) {
  const std::uint16_t change = fold(delta);
  const std::uint16_t before = load<Be16>(checksum).host();
  if (change == 0 || change == 0xffff || (is_udp && before == 0)) return;
  auto after = static_cast<std::uint16_t>(
      ~fold(std::uint64_t{static_cast<std::uint16_t>(~before)} + change));
  if (is_udp && after == 0) after = 0xffff;
  store(checksum, Be16(after));
}

}  // namespace

PacketEditor::Place PacketEditor::find(FieldId field) {
  if (is_stale_) refresh();
  const std::uint32_t presence = parsed_.key.presence[0];
  const Layout& layout = parsed_.layouts[0];
  std::uint8_t* const eth = data() + layout.eth;
  std::uint8_t* const l3 = data() + layout.l3;
  std::uint8_t* const l4 = data() + layout.l4;
  const bool is_v4 = (presence & kHasIpv4) != 0;
  const bool is_v6 = (presence & kHasIpv6) != 0;
  const auto in_l4 = [&](std::uint32_t needed, unsigned offset, std::uint8_t size, unsigned word) {
    if ((presence & needed) == 0) return Place{};
    const auto word_bytes = static_cast<std::uint8_t>(size < 2 ? 2 : size);
    return Place{l4 + offset, size, 0, ~0u, l4 + word, word_bytes, false, true};
  };
  const auto in_ipv4 = [&](unsigned offset, std::uint8_t shift, std::uint32_t mask,
                           bool is_address) {
    if (is_address) return Place{l3 + offset, 4, shift, mask, l3 + offset, 4, true, true};
    return Place{l3 + offset, 1, shift, mask, l3 + (offset & ~1u), 2, true, false};
  };
  switch (field) {
    case FieldId::kMacDestination:
    case FieldId::kMacSource:
      if ((presence & kHasEth) == 0) return {};
      return {field == FieldId::kMacDestination ? eth : eth + 6, 6};
    case FieldId::kVlanId:
    case FieldId::kVlanPriority:
      if ((presence & kHasVlan) == 0) return {};
      if (field == FieldId::kVlanId) return {eth + 14, 2, 0, 0x0fff};
      return {eth + 14, 2, 13, 0xe000};
    case FieldId::kIpv4Source:
    case FieldId::kIpv4Destination:
      if (!is_v4) return {};
      return in_ipv4(field == FieldId::kIpv4Source ? 12 : 16, 0, ~0u, true);
    case FieldId::kIpv6Source:
    case FieldId::kIpv6Destination: {
      if (!is_v6) return {};
      std::uint8_t* const at = l3 + (field == FieldId::kIpv6Source ? 8 : 24);
      return {at, 16, 0, 0, at, 16, false, true};
    }
    case FieldId::kTtl:
      if (is_v4) return in_ipv4(8, 0, 0xff, false);
      return is_v6 ? Place{l3 + 7, 1, 0, 0xff} : Place{};
    case FieldId::kDscp:
      if (is_v4) return in_ipv4(1, 2, 0xfc, false);
      return is_v6 ? Place{l3, 2, 6, 0x0fc0} : Place{};
    case FieldId::kEcn:
      if (is_v4) return in_ipv4(1, 0, 0x03, false);
      return is_v6 ? Place{l3, 2, 4, 0x0030} : Place{};
    case FieldId::kSourcePort: return in_l4(kHasTcp | kHasUdp, 0, 2, 0);
    case FieldId::kDestinationPort: return in_l4(kHasTcp | kHasUdp, 2, 2, 2);
    case FieldId::kTcpSequence: return in_l4(kHasTcp, 4, 4, 4);
    case FieldId::kTcpAcknowledgment: return in_l4(kHasTcp, 8, 4, 8);
    case FieldId::kTcpFlags: return in_l4(kHasTcp, 13, 1, 12);
  }
  return {};
}

std::uint32_t PacketEditor::read(const Place& place) const {
  std::uint32_t number = 0;
  for (unsigned i = 0; i < place.size; ++i) number = number << 8 | place.bytes[i];
  return (number & place.mask) >> place.shift;
}

void PacketEditor::write(const Place& place, std::uint32_t number) {
  std::uint8_t before[16];
  std::memcpy(before, place.word, place.word_bytes);
  std::uint32_t all = 0;
  for (unsigned i = 0; i < place.size; ++i) all = all << 8 | place.bytes[i];
  all = (all & ~place.mask) | ((number << place.shift) & place.mask);
  for (unsigned i = place.size; i-- > 0; all >>= 8) place.bytes[i] = static_cast<std::uint8_t>(all);
  account(place, before);
}

void PacketEditor::account(const Place& place, const std::uint8_t* before) {
  std::uint64_t delta = 0;
  for (unsigned i = 0; i < place.word_bytes; i += 2) {
    delta += static_cast<std::uint16_t>(~load<Be16>(before + i).host());
    delta += load<Be16>(place.word + i).host();
  }
  if (place.is_in_ipv4) ipv4_delta_ += delta;
  if (place.is_in_l4) l4_delta_ += delta;
}

void PacketEditor::set(FieldId field, std::uint32_t number, const SetData* wide) {
  const Place place = find(field);
  if (place.bytes == nullptr) return;
  if (wide == nullptr || place.size <= 4) {
    write(place, number);
    return;
  }
  std::uint8_t before[16];
  if (place.word_bytes != 0) std::memcpy(before, place.word, place.word_bytes);
  std::memcpy(place.bytes, wide->value, place.size);
  account(place, before);
}

void PacketEditor::add(FieldId field, std::uint32_t number) {
  const Place place = find(field);
  if (place.bytes != nullptr) write(place, read(place) + number);
}

void PacketEditor::copy(FieldId to, FieldId from) {
  const Place source = find(from);
  const Place target = find(to);
  if (source.bytes == nullptr || target.bytes == nullptr) return;
  SetData wide{};
  if (source.size > 4) {
    std::memcpy(wide.value, source.bytes, source.size);
    set(to, 0, &wide);
  } else {
    write(target, read(source));
  }
}

void note_checksums(const rte_mbuf& packet, ParsedPacket& parsed) {
  const std::uint64_t flags = packet.ol_flags;
  constexpr std::uint64_t kBad = RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD |
                                 RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD |
                                 RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
  if ((flags & kBad) == 0) [[likely]]
    return;
  // With its "good" bit too each of them means that the driver does not know; the outer IP header's
  // has none. Which layer it is about differs from driver to driver: it is held against all.
  const bool is_l3_bad = (flags & RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD) != 0 ||
                         (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD;
  const bool is_l4_bad =
      (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD ||
      (flags & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK) == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
  for (std::uint32_t& presence : parsed.key.presence) {
    if (is_l3_bad) presence &= ~std::uint32_t{kIsL3Ok};
    if (is_l4_bad) presence &= ~std::uint32_t{kIsL4Ok};
  }
}

void PacketEditor::commit() {
  const Layout& layout = parsed_.layouts[0];
  const std::uint32_t presence = parsed_.key.presence[0];
  if (ipv4_delta_ != 0) {
    apply(data() + layout.l3 + offsetof(packet::Ipv4Header, checksum), ipv4_delta_, false);
  }
  if (l4_delta_ != 0) {
    std::uint8_t* const l4 = data() + layout.l4;
    if ((presence & kHasTcp) != 0) {
      apply(l4 + offsetof(packet::TcpHeader, checksum), l4_delta_, false);
    } else if ((presence & kHasUdp) != 0) {
      apply(l4 + offsetof(packet::UdpHeader, checksum), l4_delta_, true);
    } else if ((presence & kHasIcmp6) != 0) {
      apply(l4 + offsetof(packet::IcmpHeader, checksum), l4_delta_, false);
    }
  }
  ipv4_delta_ = 0;
  l4_delta_ = 0;
}

void PacketEditor::refresh() {
  if (!is_stale_) commit();
  parse_packet(data(), packet_->data_len, packet_->pkt_len, vxlan_ports_, parsed_);
  note_checksums(*packet_, parsed_);
  is_stale_ = false;
}

bool PacketEditor::make_writable() {
  if (RTE_MBUF_DIRECT(packet_) && rte_mbuf_refcnt_read(packet_) == 1) return true;
  rte_mbuf* const copy = rte_pktmbuf_copy(packet_, pool_, 0, UINT32_MAX);
  if (copy == nullptr) return false;
  rte_pktmbuf_free(packet_);
  packet_ = copy;
  return true;
}

std::uint8_t* PacketEditor::prepend(std::uint16_t bytes) {
  if (char* const at = rte_pktmbuf_prepend(packet_, bytes); at != nullptr) {
    return reinterpret_cast<std::uint8_t*>(at);
  }
  // Buffers of the card's own pool have headroom.
  rte_mbuf* const copy = rte_pktmbuf_copy(packet_, pool_, 0, UINT32_MAX);
  if (copy == nullptr) return nullptr;
  rte_pktmbuf_free(packet_);
  packet_ = copy;
  return reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet_, bytes));
}

bool PacketEditor::push_vlan(std::uint16_t ether_type) {
  if (is_stale_) refresh();
  if ((parsed_.key.presence[0] & kHasEth) == 0) return false;
  commit();
  // A new tag takes the old one's control bits (OpenFlow 1.3.5, 5.12.1).
  Be16 control(0);
  if ((parsed_.key.presence[0] & kHasVlan) != 0) control = load<Be16>(data() + 14);
  std::uint8_t* const head = prepend(sizeof(packet::VlanTag));
  if (head == nullptr) return false;
  std::memmove(head, head + sizeof(packet::VlanTag), 12);
  store(head + 12, Be16(ether_type));
  store(head + 14, control);
  is_stale_ = true;
  return true;
}

bool PacketEditor::pop_vlan() {
  if (is_stale_) refresh();
  if ((parsed_.key.presence[0] & kHasVlan) == 0) return false;
  commit();
  std::memmove(data() + sizeof(packet::VlanTag), data(), 12);
  rte_pktmbuf_adj(packet_, sizeof(packet::VlanTag));
  is_stale_ = true;
  return true;
}

bool PacketEditor::decap_vxlan() {
  if (is_stale_) refresh();
  if ((parsed_.key.presence[0] & kHasVxlan) == 0) return false;
  return remove_head(parsed_.layouts[0].end);
}

// What lies behind the outer IP packet is padding of the outer frame: no part of what it carries.
bool PacketEditor::remove_padding() {
  const Layout& layout = parsed_.layouts[0];
  const std::uint8_t* const l3 = data() + layout.l3;
  const std::uint32_t end = (parsed_.key.presence[0] & kHasIpv4) != 0
                                ? layout.l3 + header_at<packet::Ipv4Header>(l3).total_length.host()
                                : layout.l3 + sizeof(packet::Ipv6Header) +
                                      header_at<packet::Ipv6Header>(l3).payload_length.host();
  if (packet_->pkt_len <= end) return true;
  return rte_pktmbuf_trim(packet_, static_cast<std::uint16_t>(packet_->pkt_len - end)) == 0;
}

bool PacketEditor::remove_head(std::uint32_t bytes) {
  const bool ends_tunnel =
      !is_stale_ && (parsed_.key.presence[0] & kHasVxlan) != 0 && bytes >= parsed_.layouts[0].end;
  if (ends_tunnel && !remove_padding()) return false;
  if (!is_stale_) commit();
  is_stale_ = true;
  return rte_pktmbuf_adj(packet_, static_cast<std::uint16_t>(bytes)) != nullptr;
}

bool PacketEditor::add_head(const HeadData& head, const std::uint8_t* bytes) {
  if (!is_stale_) commit();
  is_stale_ = true;
  std::uint8_t* const at = prepend(head.bytes);
  if (at == nullptr) return false;
  std::memcpy(at, bytes, head.bytes);
  const std::uint32_t size = packet_->pkt_len;
  if (head.ipv4 != HeadData::kNone) {
    auto& ip = header_at<packet::Ipv4Header>(at + head.ipv4);
    const auto total = static_cast<std::uint16_t>(size - head.ipv4);
    ip.total_length = Be16(total);
    ip.checksum = Be16(static_cast<std::uint16_t>(~fold(head.ipv4_sum + total)));
  }
  if (head.ipv6 != HeadData::kNone) {
    auto& ip = header_at<packet::Ipv6Header>(at + head.ipv6);
    ip.payload_length = Be16(static_cast<std::uint16_t>(size - head.ipv6 - sizeof ip));
  }
  if (head.udp != HeadData::kNone) {
    header_at<packet::UdpHeader>(at + head.udp).length =
        Be16(static_cast<std::uint16_t>(size - head.udp));
  }
  return true;
}

}  // namespace gannet::emudpu
