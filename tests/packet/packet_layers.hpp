// SPDX-License-Identifier: BSD-3-Clause
// The builder behind packet_text.hpp: one function for each layer's name.
#pragma once

#include "tests/packet/packet_text.hpp"
#include "tests/packet/words.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gannet::test {

/// A number whose value has to be read from the packet: where its 16 bits lie there.
struct Unknown {
  std::string name;
  std::size_t offset;
};

class LayerBuilder final {
 public:
  /// \param allows_unknown whether unbound names are collected (and count as 0) or are an error.
  /// \param base where this packet begins in the outermost one.
  LayerBuilder(const Vocabulary& vocabulary, bool allows_unknown, std::size_t base = 0)
      : vocabulary_(vocabulary), allows_unknown_(allows_unknown), base_(base) {}

  /// Throws TextError.
  [[nodiscard]] Bytes build(std::string_view text);
  [[nodiscard]] const std::vector<Unknown>& unknowns() const { return unknowns_; }

 private:
  using Adder = void (LayerBuilder::*)(Words&);
  static const std::vector<std::pair<std::string_view, Adder>> kLayers;

  // Values of words. `offset` is where the number will lie in this packet.
  [[nodiscard]] std::string_view meaning(std::string_view word) const;
  [[nodiscard]] std::uint32_t number(std::string_view word, std::size_t offset = 0);
  [[nodiscard]] std::uint16_t number16(std::string_view word, std::size_t offset = 0);
  [[nodiscard]] std::uint8_t number8(std::string_view word);
  [[nodiscard]] Mac mac(std::string_view word) const;
  [[nodiscard]] IpAddress ip(std::string_view word) const;
  [[nodiscard]] Ip4 ip4(std::string_view word) const;
  [[nodiscard]] Ip6 ip6(std::string_view word) const;
  [[nodiscard]] static std::pair<std::string_view, std::string_view> ends(Words& words,
                                                                          std::string_view layer);

  void add_layer(std::string_view text);
  // Layers: packet_layers.cpp.
  void add_eth(Words& words);
  void add_vlan(Words& words);
  void add_arp(Words& words);
  void add_ip(Words& words);
  void add_extension(Words& words);
  void add_fragment(Words& words);
  void add_tcp(Words& words);
  void add_udp(Words& words);
  void add_icmp(Words& words);
  void add_echo(Words& words);
  void add_echo_reply(Words& words);
  void add_any_echo(Words& words, bool is_request);
  void add_vxlan(Words& words);
  void add_data(Words& words);
  // Messages and changes to the finished packet: packet_messages.cpp.
  void add_solicitation(Words& words);
  void add_advertisement(Words& words);
  void add_dhcp(Words& words);
  void add_trailer(Words& words);
  void add_quote(Words& words);
  void add_set(Words& words);
  void add_cut(Words& words);
  void add_slice(Words& words);

  void append(Bytes bytes);
  void add_neighbor_message(std::uint8_t type, std::uint16_t flags, Words& words,
                            std::uint8_t option);
  // Changes to the finished packet, in the order of the text.
  void spoil_checksum(std::size_t offset);
  void set_ip_length(std::size_t header_bytes, std::uint16_t length);
  void set_udp_length(std::uint16_t length);

  const Vocabulary& vocabulary_;
  bool allows_unknown_;
  std::size_t base_;
  Packet packet_;
  std::size_t offset_ = 0;  // Of the layer that is being added.
  bool has_eth_ = false;
  bool is_v4_ = true;                         // The IP layer around it.
  bool takes_rest_ = false;                   // The layers that follow are a packet of their own.
  std::size_t rest_bytes_ = ~std::size_t{0};  // Of which so many bytes are there.
  std::vector<Unknown> unknowns_;
  std::vector<std::function<void(Bytes&)>> afterwards_;
};

}  // namespace gannet::test
