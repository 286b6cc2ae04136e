// SPDX-License-Identifier: BSD-3-Clause
// Builds frames for tests, layer by layer from the outside, and works out lengths, protocol numbers
// and checksums by itself, with code of its own that shares nothing with what is tested:
//
//   Packet().eth(kVmMac, kGatewayMac).ip("10.0.0.1"_ip, "10.0.0.2"_ip).udp(1000,
//   53).data(20).bytes()
//
// Whoever wants a wrong field changes the bytes afterwards (and calls fix_checksums() if the rest
// is to be right).
#pragma once

#include "flows/base/ip.hpp"
#include "flows/base/mac.hpp"
#include "flows/packet/headers.hpp"

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

namespace gannet::test {

using Bytes = std::vector<std::uint8_t>;

struct IpFields {
  std::uint8_t ttl = 64;
  std::uint8_t tos = 0;
  bool dont_fragment = false;  // IPv4 only, like the next four.
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  // In bytes.
  std::uint16_t id = 0;
  Bytes options{};              // A multiple of four bytes.
  std::uint8_t protocol = 253;  // Of what has no layer of its own (RFC 3692: for experiments).
};

struct TcpFields {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t flags = packet::kTcpSyn;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint16_t window = 65'535;
  Bytes options{};  // A multiple of four bytes.
};

class Packet {
 public:
  Packet& eth(const Mac& source, const Mac& destination);
  /// An Ethernet header with an EtherType of its own; otherwise it follows from the next layer.
  Packet& eth(const Mac& source, const Mac& destination, std::uint16_t ether_type);
  Packet& vlan(std::uint16_t id, std::uint16_t ether_type = packet::kEtherTypeVlan);
  Packet& arp(std::uint16_t operation, const Mac& sender_mac, Ip4 sender_ip, const Mac& target_mac,
              Ip4 target_ip);
  /// IPv4 or IPv6, by the family of the addresses.
  Packet& ip(const IpAddress& source, const IpAddress& destination, IpFields fields = {});
  /// An IPv6 extension header of the shape of options; `body` is padded to 8 n + 6 bytes.
  Packet& extension(std::uint8_t kind, Bytes body = {});
  Packet& fragment_header(std::uint16_t offset_bytes, bool more_fragments, std::uint32_t id);
  Packet& tcp(TcpFields fields);
  Packet& udp(std::uint16_t source_port, std::uint16_t destination_port);
  /// Over IPv4 only: sent without a checksum.
  Packet& udp_without_checksum(std::uint16_t source_port, std::uint16_t destination_port);
  /// ICMP or ICMPv6, by the IP layer around it.
  Packet& icmp(std::uint8_t type, std::uint8_t code, std::uint16_t identifier = 0,
               std::uint16_t sequence = 0);
  /// Echo request and reply of the family of the IP layer around it.
  Packet& echo_request(std::uint16_t identifier, std::uint16_t sequence = 1);
  Packet& echo_reply(std::uint16_t identifier, std::uint16_t sequence = 1);
  Packet& vxlan(std::uint32_t vni, std::uint8_t flags = packet::kVxlanFlagVni);
  Packet& data(Bytes bytes);
  /// So many bytes that differ from each other.
  Packet& data(std::size_t byte_count);
  /// Ethernet padding behind the IP packet.
  Packet& trailer(std::size_t byte_count);

  [[nodiscard]] Bytes bytes() const;

 private:
  struct Ethernet {
    packet::EthernetHeader header;
    bool has_type;
  };
  struct Vlan {
    std::uint16_t id;
    std::uint16_t ether_type;
  };
  struct Ip {
    IpAddress source;
    IpAddress destination;
    IpFields fields;
  };
  struct Extension {
    std::uint8_t kind;
    Bytes body;
  };
  struct Fragment {
    std::uint16_t offset_flags;
    std::uint32_t id;
  };
  struct Udp {
    std::uint16_t source_port;
    std::uint16_t destination_port;
    bool has_checksum;
  };
  struct Icmp {
    packet::IcmpHeader header;
  };
  struct Raw {
    Bytes bytes;
  };
  struct Arp {
    packet::ArpHeader header;
  };
  using Layer =
      std::variant<Ethernet, Vlan, Arp, Ip, Extension, Fragment, TcpFields, Udp, Icmp, Raw>;

  // What stands before `body`, the layer at `index` included.
  [[nodiscard]] Bytes wrap(std::size_t index, Bytes body) const;
  [[nodiscard]] Bytes wrap_ip(std::size_t index, const Ip& ip, const Bytes& body) const;
  [[nodiscard]] const Ip& ip_around(std::size_t index) const;
  [[nodiscard]] std::uint16_t ether_type_behind(std::size_t index) const;
  [[nodiscard]] std::uint8_t protocol_behind(std::size_t index) const;
  [[nodiscard]] std::uint16_t l4_checksum(std::size_t index, const Bytes& l4) const;
  Packet& echo(std::uint8_t v4_type, std::uint8_t v6_type, std::uint16_t identifier,
               std::uint16_t sequence);

  std::vector<Layer> layers_;
  std::size_t trailer_bytes_ = 0;
};

/// The frame without its Ethernet header (no tags): what an ICMP error quotes.
[[nodiscard]] Bytes ip_packet_of(const Bytes& frame);
/// The first bytes of something.
[[nodiscard]] Bytes first_bytes(const Bytes& bytes, std::size_t count);

/// A fragment of an IP packet: which bytes of its payload it carries.
struct FragmentFields {
  std::size_t from = 0;
  std::size_t to = 0;  // One past the last.
  std::uint32_t id = 0;
  bool says_more = false;  // "More fragments" even on the last one,
  bool says_last = false;  // or on none.
};

/// The fragment of an untagged IPv4 or IPv6 frame without extension headers: headers repeated,
/// lengths and IPv4 checksum set. Empty if there are no such bytes.
[[nodiscard]] Bytes fragment_of(const Bytes& frame, const FragmentFields& fields);

/// Cuts a whole untagged IPv4 or IPv6 frame into fragments with `piece_bytes` (a multiple of 8) of
/// IP payload each, as a sender would: headers repeated, lengths and IPv4 checksum set.
[[nodiscard]] std::vector<Bytes> cut_into_fragments(const Bytes& frame, std::size_t piece_bytes,
                                                    std::uint32_t id);

/// Sets the IPv4 and L4 checksums of an untagged, unfragmented frame anew.
void fix_checksums(Bytes& frame);

}  // namespace gannet::test
