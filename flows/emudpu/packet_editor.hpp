// SPDX-License-Identifier: BSD-3-Clause
// Changes the outermost headers of a packet in its mbuf and keeps checksums right. All changes of
// one checksum are summed and applied at once (RFC 1624, equation 3): changes that cancel out leave
// it as it was, UDP's 0 stays, and a computed 0 is sent as 0xffff. ASIC thread.
#pragma once

#include "flows/emudpu/packet_parser.hpp"
#include "flows/emudpu/program.hpp"

#include <cstdint>

#include <rte_mbuf.h>

namespace gannet::emudpu {

/// Brings into the parsed view what the wire's driver has found out about checksums.
void note_checksums(const rte_mbuf& packet, ParsedPacket& parsed);

class PacketEditor {
 public:
  PacketEditor(rte_mbuf* packet, ParsedPacket& parsed, const VxlanPorts& ports, rte_mempool* pool)
      : packet_(packet), parsed_(parsed), vxlan_ports_(ports), pool_(pool) {}

  // A field that the packet does not have is left alone.
  void set(FieldId field, std::uint32_t number, const SetData* wide);
  void add(FieldId field, std::uint32_t number);
  void copy(FieldId to, FieldId from);

  // These return false if it cannot be done: no such header, or no memory.
  [[nodiscard]] bool push_vlan(std::uint16_t ether_type);
  [[nodiscard]] bool pop_vlan();
  [[nodiscard]] bool decap_vxlan();
  [[nodiscard]] bool remove_head(std::uint32_t bytes);
  [[nodiscard]] bool add_head(const HeadData& head, const std::uint8_t* bytes);

  /// Writes what is pending to the checksums.
  void commit();
  /// Brings the parsed view up to date with the bytes; commits first.
  void refresh();
  /// Makes sure that the bytes are this packet's alone; false if there is no memory for a copy.
  [[nodiscard]] bool make_writable();

  [[nodiscard]] rte_mbuf* packet() const { return packet_; }

 private:
  struct Place {
    std::uint8_t* bytes = nullptr;
    std::uint8_t size = 0;
    std::uint8_t shift = 0;        // Of the field's lowest bit, for fields of up to four bytes.
    std::uint32_t mask = 0;        // Within `size` bytes, before the shift is undone.
    std::uint8_t* word = nullptr;  // Where the 16-bit words that it touches begin.
    std::uint8_t word_bytes = 0;
    bool is_in_ipv4 = false;  // Covered by the IPv4 header checksum,
    bool is_in_l4 = false;    // or by that of the transport header.
  };

  [[nodiscard]] bool remove_padding();
  [[nodiscard]] Place find(FieldId field);
  [[nodiscard]] std::uint32_t read(const Place& place) const;
  void write(const Place& place, std::uint32_t number);
  void account(const Place& place, const std::uint8_t* before);
  [[nodiscard]] std::uint8_t* data() const { return rte_pktmbuf_mtod(packet_, std::uint8_t*); }
  [[nodiscard]] std::uint8_t* prepend(std::uint16_t bytes);

  rte_mbuf* packet_;
  ParsedPacket& parsed_;
  const VxlanPorts& vxlan_ports_;
  rte_mempool* pool_;
  std::uint64_t ipv4_delta_ = 0;
  std::uint64_t l4_delta_ = 0;
  bool is_stale_ = false;  // The parsed view no longer fits the bytes.
};

}  // namespace gannet::emudpu
