// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/packet_layers.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace gannet::test {

const std::vector<std::pair<std::string_view, LayerBuilder::Adder>> LayerBuilder::kLayers = {
    {"eth", &LayerBuilder::add_eth},
    {"vlan", &LayerBuilder::add_vlan},
    {"arp", &LayerBuilder::add_arp},
    {"ip", &LayerBuilder::add_ip},
    {"ext", &LayerBuilder::add_extension},
    {"frag", &LayerBuilder::add_fragment},
    {"tcp", &LayerBuilder::add_tcp},
    {"udp", &LayerBuilder::add_udp},
    {"icmp", &LayerBuilder::add_icmp},
    {"echo", &LayerBuilder::add_echo},
    {"echo-reply", &LayerBuilder::add_echo_reply},
    {"ns", &LayerBuilder::add_solicitation},
    {"na", &LayerBuilder::add_advertisement},
    {"dhcp", &LayerBuilder::add_dhcp},
    {"vxlan", &LayerBuilder::add_vxlan},
    {"quote", &LayerBuilder::add_quote},
    {"data", &LayerBuilder::add_data},
    {"trailer", &LayerBuilder::add_trailer},
    {"set", &LayerBuilder::add_set},
    {"cut", &LayerBuilder::add_cut},
    {"slice", &LayerBuilder::add_slice},
};

Bytes LayerBuilder::build(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty() && !takes_rest_) {
    const auto end = rest.find(" / ");
    add_layer(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 3);
  }
  if (takes_rest_ && !rest.empty()) {
    LayerBuilder inner(vocabulary_, allows_unknown_, base_ + offset_);
    Bytes bytes = inner.build(rest);
    if (rest_bytes_ < bytes.size()) bytes.resize(rest_bytes_);
    packet_.data(std::move(bytes));
    unknowns_.insert(unknowns_.end(), inner.unknowns_.begin(), inner.unknowns_.end());
  }
  Bytes bytes = packet_.bytes();
  for (const auto& change : afterwards_) change(bytes);
  return bytes;
}

void LayerBuilder::add_layer(std::string_view text) {
  Words words = words_of(text);
  const std::string_view name = take_first(words, "a layer");
  const auto found = std::find_if(kLayers.begin(), kLayers.end(),
                                  [name](const auto& layer) { return layer.first == name; });
  if (found == kLayers.end()) throw TextError{fmt::format("there is no layer '{}'", name)};
  (this->*found->second)(words);
  if (!words.empty()) throw TextError{fmt::format("{}: what is '{}'?", name, words.front())};
}

std::string_view LayerBuilder::meaning(std::string_view word) const {
  const auto found = vocabulary_.words.find(word);
  return found == vocabulary_.words.end() ? word : std::string_view(found->second);
}

std::uint32_t LayerBuilder::number(std::string_view word, std::size_t offset) {
  if (word == "*" || word.starts_with("$")) {
    // Every `*` is a number of its own, known by its place.
    const std::size_t place = base_ + offset;
    const std::string name = word == "*" ? fmt::format("*{}", place) : std::string(word.substr(1));
    const auto known = vocabulary_.numbers.find(name);
    if (known != vocabulary_.numbers.end()) return known->second;
    if (!allows_unknown_) throw TextError{fmt::format("'{}' has no value yet", word)};
    unknowns_.push_back({name, place});
    return 0;
  }
  const auto value = read_number(meaning(word));
  if (!value) throw TextError{fmt::format("'{}' is not a number", word)};
  return static_cast<std::uint32_t>(*value);
}

std::uint16_t LayerBuilder::number16(std::string_view word, std::size_t offset) {
  return static_cast<std::uint16_t>(number(word, offset));
}

std::uint8_t LayerBuilder::number8(std::string_view word) {
  return static_cast<std::uint8_t>(number(word));
}

Mac LayerBuilder::mac(std::string_view word) const {
  const auto value = parse_mac(meaning(word));
  if (!value) throw TextError{fmt::format("'{}' is not a MAC", word)};
  return *value;
}

IpAddress LayerBuilder::ip(std::string_view word) const {
  const auto value = parse_ip(meaning(word));
  if (!value) throw TextError{fmt::format("'{}' is not an address", word)};
  return *value;
}

Ip4 LayerBuilder::ip4(std::string_view word) const {
  const IpAddress address = ip(word);
  if (!address.is_v4()) throw TextError{fmt::format("'{}' is not IPv4", word)};
  return address.v4();
}

Ip6 LayerBuilder::ip6(std::string_view word) const {
  const IpAddress address = ip(word);
  if (!address.is_v6()) throw TextError{fmt::format("'{}' is not IPv6", word)};
  return address.v6();
}

// "A > B".
std::pair<std::string_view, std::string_view> LayerBuilder::ends(Words& words,
                                                                 std::string_view layer) {
  if (words.size() < 3 || words[1] != ">") {
    throw TextError{fmt::format("'{}' is not like '{} A > B'", layer, layer)};
  }
  const auto pair = std::pair(words[0], words[2]);
  words.erase(words.begin(), words.begin() + 3);
  return pair;
}

void LayerBuilder::add_eth(Words& words) {
  const auto type = take(words, "type");
  const auto [source, destination] = ends(words, "eth");
  if (type) {
    packet_.eth(mac(source), mac(destination), number16(*type));
  } else {
    packet_.eth(mac(source), mac(destination));
  }
  has_eth_ = true;
  offset_ += 14;
}

void LayerBuilder::add_vlan(Words& words) {
  const auto type = take(words, "type");
  packet_.vlan(number16(take_first(words, "a VLAN")),
               type ? number16(*type) : packet::kEtherTypeVlan);
  offset_ += 4;
}

// arp request|reply|N SENDER_MAC SENDER_IP TARGET_MAC TARGET_IP
void LayerBuilder::add_arp(Words& words) {
  const std::string_view kind = take_first(words, "request or reply");
  if (words.size() != 4) throw TextError{"arp takes request|reply MAC IP MAC IP"};
  const std::uint16_t operation = kind == "request" ? std::uint16_t{1}
                                  : kind == "reply" ? std::uint16_t{2}
                                                    : number16(kind);
  packet_.arp(operation, mac(words[0]), ip4(words[1]), mac(words[2]), ip4(words[3]));
  words.clear();
  offset_ += 28;
}

void LayerBuilder::add_ip(Words& words) {
  IpFields fields;
  if (const auto v = take(words, "ttl")) fields.ttl = number8(*v);
  if (const auto v = take(words, "tos")) fields.tos = number8(*v);
  if (const auto v = take(words, "id")) fields.id = number16(*v, offset_ + 4);
  if (const auto v = take(words, "off")) fields.fragment_offset = number16(*v);
  if (const auto v = take(words, "proto")) fields.protocol = number8(*v);
  if (const auto v = take(words, "options")) fields.options = from_hex(*v);
  if (fields.options.size() % 4 != 0) throw TextError{"IP options come in words of four bytes"};
  fields.dont_fragment = take_flag(words, "df");
  fields.more_fragments = take_flag(words, "mf");
  const std::size_t header_bytes = 20 + fields.options.size();
  const auto length = take(words, "len");
  const bool is_spoiled = take_flag(words, "badsum");
  const auto [source, destination] = ends(words, "ip");
  const IpAddress from = ip(source);
  const IpAddress to = ip(destination);
  if (from.family() != to.family()) throw TextError{"ip of two families"};
  is_v4_ = from.is_v4();
  packet_.ip(from, to, fields);
  if (length) set_ip_length(header_bytes, number16(*length));
  if (is_spoiled) spoil_checksum(offset_ + 10);
  offset_ += is_v4_ ? header_bytes : 40;
}

// ext KIND [HEX]
void LayerBuilder::add_extension(Words& words) {
  const std::uint8_t kind = number8(take_first(words, "a header number"));
  Bytes body = words.empty() ? Bytes{} : from_hex(take_first(words, ""));
  const std::size_t before = packet_.bytes().size();
  packet_.extension(kind, std::move(body));
  offset_ += packet_.bytes().size() - before;
}

// frag OFFSET [mf] [id=N]
void LayerBuilder::add_fragment(Words& words) {
  const bool has_more = take_flag(words, "mf");
  const std::uint32_t id = number(take(words, "id").value_or("0"));
  packet_.fragment_header(number16(take_first(words, "an offset")), has_more, id);
  offset_ += 8;
}

void LayerBuilder::add_tcp(Words& words) {
  TcpFields fields;
  if (const auto v = take(words, "seq")) fields.sequence = number(*v);
  if (const auto v = take(words, "ack")) fields.acknowledgment = number(*v);
  if (const auto v = take(words, "win")) fields.window = number16(*v);
  if (const auto v = take(words, "mss")) {
    const std::uint16_t mss = number16(*v);
    fields.options = {2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss)};
  }
  if (const auto v = take(words, "wscale")) {
    const Bytes option{1, 3, 3, number8(*v)};
    fields.options.insert(fields.options.end(), option.begin(), option.end());
  }
  if (const auto v = take(words, "options")) {
    const Bytes options = from_hex(*v);
    fields.options.insert(fields.options.end(), options.begin(), options.end());
  }
  if (fields.options.size() % 4 != 0) throw TextError{"TCP options come in words of four bytes"};
  const bool is_spoiled = take_flag(words, "badsum");
  const auto [source, destination] = ends(words, "tcp");
  fields.source_port = number16(source, offset_);
  fields.destination_port = number16(destination, offset_ + 2);
  fields.flags = 0;
  for (const char c : take_first(words, "the flags, like S, SA, A, PA, FA, R or -,")) {
    const auto bit = std::string_view("FSRPAUEC").find(c);
    if (bit == std::string_view::npos && c != '-') {
      throw TextError{fmt::format("there is no TCP flag '{}'", c)};
    }
    if (c != '-') fields.flags = static_cast<std::uint8_t>(fields.flags | 1u << bit);
  }
  packet_.tcp(fields);
  if (is_spoiled) spoil_checksum(offset_ + 16);
  offset_ += 20 + fields.options.size();
}

void LayerBuilder::add_udp(Words& words) {
  const bool has_no_checksum = take_flag(words, "nosum");
  const bool is_spoiled = take_flag(words, "badsum");
  if (const auto length = take(words, "len")) set_udp_length(number16(*length));
  const auto [source, destination] = ends(words, "udp");
  const std::uint16_t from = number16(source, offset_);
  const std::uint16_t to = number16(destination, offset_ + 2);
  if (has_no_checksum) {
    packet_.udp_without_checksum(from, to);
  } else {
    packet_.udp(from, to);
  }
  if (is_spoiled) spoil_checksum(offset_ + 6);
  offset_ += 8;
}

// icmp TYPE/CODE [id=] [seq=] [mtu=]; of errors the two are the second word of the header, mtu its
// lower half.
void LayerBuilder::add_icmp(Words& words) {
  const std::uint16_t id = number16(take(words, "id").value_or("0"), offset_ + 4);
  const auto mtu = take(words, "mtu");
  const std::uint16_t sequence =
      number16(mtu ? *mtu : take(words, "seq").value_or("0"), offset_ + 6);
  const bool is_spoiled = take_flag(words, "badsum");
  const auto type_code = split(take_first(words, "TYPE/CODE"), "/");
  if (type_code.size() != 2) throw TextError{"icmp takes TYPE/CODE"};
  packet_.icmp(number8(type_code[0]), number8(type_code[1]), id, sequence);
  if (is_spoiled) spoil_checksum(offset_ + 2);
  offset_ += 8;
}

void LayerBuilder::add_echo(Words& words) { add_any_echo(words, true); }
void LayerBuilder::add_echo_reply(Words& words) { add_any_echo(words, false); }

// echo ID [seq=1]
void LayerBuilder::add_any_echo(Words& words, bool is_request) {
  const std::uint16_t sequence = number16(take(words, "seq").value_or("1"), offset_ + 6);
  const bool is_spoiled = take_flag(words, "badsum");
  const std::uint16_t id = number16(take_first(words, "an identifier"), offset_ + 4);
  if (is_request) {
    packet_.echo_request(id, sequence);
  } else {
    packet_.echo_reply(id, sequence);
  }
  if (is_spoiled) spoil_checksum(offset_ + 2);
  offset_ += 8;
}

// vxlan VNI [flags=0x08]; the layers that follow are the frame inside.
void LayerBuilder::add_vxlan(Words& words) {
  const auto flags = take(words, "flags");
  packet_.vxlan(number(take_first(words, "a VNI")),
                flags ? number8(*flags) : packet::kVxlanFlagVni);
  offset_ += 8;
  takes_rest_ = true;
}

// data N, or data hex:0102.
void LayerBuilder::add_data(Words& words) {
  const std::string_view what = take_first(words, "a length or hex:");
  if (what.starts_with("hex:")) {
    append(from_hex(what.substr(4)));
  } else {
    const std::size_t size = number(what);
    packet_.data(size);
    offset_ += size;
  }
}

}  // namespace gannet::test
