// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/packet_text.hpp"

#include "flows/packet/parse.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gannet::test {
namespace {

// A number whose value has to be read from the packet: where it lies there.
struct Unknown {
  std::string name;
  std::size_t offset;
};

// Thrown by the helpers below and caught in build(); tests may use exceptions.
struct TextError {
  std::string message;
};

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split(text, " ")) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  if (text.size() % 2 != 0) throw TextError{fmt::format("'{}' has half a byte", text)};
  for (std::size_t i = 0; i < text.size(); i += 2) {
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != text.data() + i + 2) {
      throw TextError{fmt::format("'{}' is not hexadecimal", text)};
    }
    bytes.push_back(byte);
  }
  return bytes;
}

class Builder {
 public:
  Builder(const Vocabulary& vocabulary, bool allows_unknown)
      : vocabulary_(vocabulary), allows_unknown_(allows_unknown) {}

  Bytes build(std::string_view text) {
    for (const std::string_view layer : split(text, " / ")) add_layer(layer);
    Bytes bytes = packet_.bytes();
    if (quoted_) {
      // An ICMP error's payload is another packet, without its Ethernet header.
      Builder inner(vocabulary_, allows_unknown_);
      Bytes quoted = inner.build(*quoted_);
      if (quoted_bytes_ < quoted.size()) quoted.resize(quoted_bytes_);
      packet_.data(quoted);
      bytes = packet_.bytes();
    }
    for (const auto& change : afterwards_) change(bytes);
    return bytes;
  }

  [[nodiscard]] const std::vector<Unknown>& unknowns() const { return unknowns_; }

 private:
  using Words = std::vector<std::string_view>;

  // A name's meaning, or the word itself.
  [[nodiscard]] std::string_view meaning(std::string_view word) const {
    const auto found = vocabulary_.words.find(word);
    return found == vocabulary_.words.end() ? word : std::string_view(found->second);
  }

  std::uint32_t number(std::string_view word, std::size_t offset = 0) {
    if (word == "*" || word.starts_with("$")) {
      // Every `*` is a number of its own, known by its place.
      const std::string name =
          word == "*" ? fmt::format("*{}", offset) : std::string(word.substr(1));
      const auto known = vocabulary_.numbers.find(name);
      if (known != vocabulary_.numbers.end()) return known->second;
      if (!allows_unknown_) throw TextError{fmt::format("'{}' has no value yet", word)};
      unknowns_.push_back({name, offset});
      return 0;
    }
    const std::string_view digits = meaning(word);
    std::uint32_t value = 0;
    const bool is_hex = digits.starts_with("0x");
    const char* const begin = digits.data() + (is_hex ? 2 : 0);
    const auto [end, error] =
        std::from_chars(begin, digits.data() + digits.size(), value, is_hex ? 16 : 10);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
      throw TextError{fmt::format("'{}' is not a number", word)};
    }
    return value;
  }
  std::uint16_t number16(std::string_view word, std::size_t offset = 0) {
    return static_cast<std::uint16_t>(number(word, offset));
  }

  [[nodiscard]] Mac mac(std::string_view word) const {
    const auto value = parse_mac(meaning(word));
    if (!value) throw TextError{fmt::format("'{}' is not a MAC", word)};
    return *value;
  }
  [[nodiscard]] IpAddress ip(std::string_view word) const {
    const auto value = parse_ip(meaning(word));
    if (!value) throw TextError{fmt::format("'{}' is not an address", word)};
    return *value;
  }

  // Words of the form "key=value", taken out of `words`; what remains stands by place.
  [[nodiscard]] static std::optional<std::string_view> take(Words& words, std::string_view key) {
    for (auto it = words.begin(); it != words.end(); ++it) {
      const bool is_pair = it->starts_with(key) && it->substr(key.size()).starts_with("=");
      if (!is_pair) continue;
      const std::string_view value = it->substr(key.size() + 1);
      words.erase(it);
      return value;
    }
    return std::nullopt;
  }
  [[nodiscard]] static bool take_flag(Words& words, std::string_view flag) {
    return std::erase(words, flag) != 0;
  }
  // "A > B".
  static std::pair<std::string_view, std::string_view> ends(Words& words, std::string_view layer) {
    if (words.size() < 3 || words[1] != ">") {
      throw TextError{fmt::format("'{}' is not like '{} A > B'", layer, layer)};
    }
    const auto pair = std::pair(words[0], words[2]);
    words.erase(words.begin(), words.begin() + 3);
    return pair;
  }
  static void expect_no_more(const Words& words) {
    if (!words.empty()) throw TextError{fmt::format("do not understand '{}'", words.front())};
  }

  void add_layer(std::string_view text) {
    if (quoted_) {
      *quoted_ += quoted_->empty() ? "" : " / ";
      *quoted_ += text;
      return;
    }
    Words words = words_of(text);
    if (words.empty()) throw TextError{"an empty layer"};
    const std::string_view name = words.front();
    words.erase(words.begin());
    for (const auto& [known, add] : kLayers) {
      if (known != name) continue;
      (this->*add)(words);
      return expect_no_more(words);
    }
    throw TextError{fmt::format("there is no layer '{}'", name)};
  }

  void add_eth(Words& words) {
    const auto type = take(words, "type");
    const auto [source, destination] = ends(words, "eth");
    if (type) {
      packet_.eth(mac(source), mac(destination), number16(*type));
    } else {
      packet_.eth(mac(source), mac(destination));
    }
    offset_ += 14;
  }

  void add_vlan(Words& words) {
    packet_.vlan(number16(words.at(0)));
    words.erase(words.begin());
    offset_ += 4;
  }

  // arp request SENDER_MAC SENDER_IP TARGET_MAC TARGET_IP
  void add_arp(Words& words) {
    if (words.size() != 5) throw TextError{"arp takes request|reply MAC IP MAC IP"};
    packet_.arp(words[0] == "request" ? 1 : 2, mac(words[1]), ip(words[2]).v4(), mac(words[3]),
                ip(words[4]).v4());
    words.clear();
    offset_ += 28;
  }

  void add_ip(Words& words) {
    IpFields fields;
    if (const auto v = take(words, "ttl")) fields.ttl = static_cast<std::uint8_t>(number(*v));
    if (const auto v = take(words, "tos")) fields.tos = static_cast<std::uint8_t>(number(*v));
    if (const auto v = take(words, "id")) fields.id = number16(*v, offset_ + 4);
    if (const auto v = take(words, "off")) fields.fragment_offset = number16(*v);
    if (const auto v = take(words, "proto"))
      fields.protocol = static_cast<std::uint8_t>(number(*v));
    if (const auto v = take(words, "options")) fields.options = from_hex(*v);
    fields.dont_fragment = take_flag(words, "df");
    fields.more_fragments = take_flag(words, "mf");
    const auto [source, destination] = ends(words, "ip");
    const IpAddress from = ip(source);
    packet_.ip(from, ip(destination), fields);
    offset_ += from.is_v4() ? 20 + fields.options.size() : 40;
  }

  void add_extension(Words& words) {
    const auto kind = static_cast<std::uint8_t>(number(words.at(0)));
    const Bytes body = words.size() > 1 ? from_hex(words[1]) : Bytes{};
    words.clear();
    packet_.extension(kind, body);
    offset_ += 8 + (body.size() > 6 ? (body.size() - 6 + 7) / 8 * 8 : 0);
  }

  void add_fragment(Words& words) {
    const bool has_more = take_flag(words, "mf");
    const std::uint32_t id = number(take(words, "id").value_or("0"));
    packet_.fragment_header(number16(words.at(0)), has_more, id);
    words.erase(words.begin());
    offset_ += 8;
  }

  void add_tcp(Words& words) {
    TcpFields fields;
    if (const auto v = take(words, "seq")) fields.sequence = number(*v);
    if (const auto v = take(words, "ack")) fields.acknowledgment = number(*v);
    if (const auto v = take(words, "win")) fields.window = number16(*v);
    if (const auto v = take(words, "options")) fields.options = from_hex(*v);
    const auto [source, destination] = ends(words, "tcp");
    fields.source_port = number16(source, offset_);
    fields.destination_port = number16(destination, offset_ + 2);
    if (words.empty()) throw TextError{"tcp needs its flags, like S, SA, A, PA, FA, R"};
    fields.flags = 0;
    for (const char c : words.front()) {
      const auto bit = std::string_view("FSRPAU").find(c);
      if (bit == std::string_view::npos && c != '-') {
        throw TextError{fmt::format("there is no TCP flag '{}'", c)};
      }
      if (c != '-') fields.flags = static_cast<std::uint8_t>(fields.flags | 1u << bit);
    }
    words.erase(words.begin());
    packet_.tcp(fields);
    offset_ += 20 + fields.options.size();
  }

  void add_udp(Words& words) {
    const bool has_no_checksum = take_flag(words, "nosum");
    const auto [source, destination] = ends(words, "udp");
    const std::uint16_t from = number16(source, offset_);
    const std::uint16_t to = number16(destination, offset_ + 2);
    if (has_no_checksum) {
      packet_.udp_without_checksum(from, to);
    } else {
      packet_.udp(from, to);
    }
    offset_ += 8;
  }

  // icmp TYPE/CODE [id=] [seq=]; of errors the two are the second word of the header.
  void add_icmp(Words& words) {
    const std::uint16_t id = number16(take(words, "id").value_or("0"), offset_ + 4);
    const std::uint16_t sequence = number16(take(words, "seq").value_or("0"), offset_ + 6);
    const auto type_code = split(words.at(0), "/");
    if (type_code.size() != 2) throw TextError{"icmp takes TYPE/CODE"};
    packet_.icmp(static_cast<std::uint8_t>(number(type_code[0])),
                 static_cast<std::uint8_t>(number(type_code[1])), id, sequence);
    words.erase(words.begin());
    offset_ += 8;
  }
  void add_echo(Words& words) { add_any_echo(words, &Packet::echo_request); }
  void add_echo_reply(Words& words) { add_any_echo(words, &Packet::echo_reply); }
  void add_any_echo(Words& words, Packet& (Packet::*add)(std::uint16_t, std::uint16_t)) {
    const std::uint16_t sequence = number16(take(words, "seq").value_or("1"), offset_ + 6);
    const std::uint16_t id = number16(words.at(0), offset_ + 4);
    words.erase(words.begin());
    (packet_.*add)(id, sequence);
    offset_ += 8;
  }

  void add_vxlan(Words& words) {
    const auto flags = take(words, "flags");
    packet_.vxlan(number(words.at(0)),
                  flags ? static_cast<std::uint8_t>(number(*flags)) : packet::kVxlanFlagVni);
    words.erase(words.begin());
    offset_ += 8;
  }

  // data N, or data hex:0102.
  void add_data(Words& words) {
    const std::string_view what = words.at(0);
    const Bytes before = packet_.bytes();
    if (what.starts_with("hex:")) {
      packet_.data(from_hex(what.substr(4)));
    } else {
      packet_.data(std::size_t{number(what)});
    }
    words.erase(words.begin());
    offset_ += packet_.bytes().size() - before.size();
  }

  void add_trailer(Words& words) {
    packet_.trailer(number(words.at(0)));
    words.erase(words.begin());
  }

  // quote [N]: the layers that follow are a packet of their own, of which N bytes are quoted.
  void add_quote(Words& words) {
    quoted_bytes_ = words.empty() ? ~std::size_t{0} : number(words.front());
    words.clear();
    quoted_.emplace();
  }

  // set OFFSET=HEX: these bytes, whatever the layers say. cut N: only the first N bytes.
  void add_set(Words& words) {
    for (const std::string_view word : words) {
      const auto pair = split(word, "=");
      if (pair.size() != 2) throw TextError{"set takes OFFSET=HEX"};
      const std::size_t offset = number(pair[0]);
      const Bytes value = from_hex(pair[1]);
      afterwards_.emplace_back([offset, value](Bytes& bytes) {
        if (offset + value.size() > bytes.size()) throw TextError{"set reaches beyond the frame"};
        std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
      });
    }
    words.clear();
  }
  void add_cut(Words& words) {
    const std::size_t size = number(words.at(0));
    words.erase(words.begin());
    afterwards_.emplace_back([size](Bytes& bytes) { bytes.resize(std::min(size, bytes.size())); });
  }

  using Adder = void (Builder::*)(Words&);
  static const std::vector<std::pair<std::string_view, Adder>> kLayers;

  const Vocabulary& vocabulary_;
  bool allows_unknown_;
  Packet packet_;
  std::size_t offset_ = 0;  // Of the layer that is being added.
  std::vector<Unknown> unknowns_;
  std::optional<std::string> quoted_;
  std::size_t quoted_bytes_ = 0;
  std::vector<std::function<void(Bytes&)>> afterwards_;
};

const std::vector<std::pair<std::string_view, Builder::Adder>> Builder::kLayers = {
    {"eth", &Builder::add_eth},
    {"vlan", &Builder::add_vlan},
    {"arp", &Builder::add_arp},
    {"ip", &Builder::add_ip},
    {"ext", &Builder::add_extension},
    {"frag", &Builder::add_fragment},
    {"tcp", &Builder::add_tcp},
    {"udp", &Builder::add_udp},
    {"icmp", &Builder::add_icmp},
    {"echo", &Builder::add_echo},
    {"echo-reply", &Builder::add_echo_reply},
    {"vxlan", &Builder::add_vxlan},
    {"data", &Builder::add_data},
    {"trailer", &Builder::add_trailer},
    {"quote", &Builder::add_quote},
    {"set", &Builder::add_set},
    {"cut", &Builder::add_cut},
};

std::string hex_dump(const Bytes& bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 16) {
    out += fmt::format("      {:04x} ", i);
    for (std::size_t j = i; j < std::min(i + 16, bytes.size()); ++j) {
      out += fmt::format(" {:02x}", bytes[j]);
    }
    out += '\n';
  }
  return out;
}

std::string difference(const Bytes& expected, const Bytes& actual) {
  std::vector<std::string> places;
  for (std::size_t i = 0; i < std::min(expected.size(), actual.size()); ++i) {
    if (expected[i] != actual[i]) {
      places.push_back(fmt::format("{}: {:02x} is {:02x}", i, expected[i], actual[i]));
    }
  }
  std::string text;
  if (expected.size() != actual.size()) {
    text = fmt::format("    {} bytes expected, {} came\n", expected.size(), actual.size());
  }
  if (places.size() > 12) places.resize(12);
  if (!places.empty()) text += fmt::format("    at byte {}\n", fmt::join(places, ", "));
  return text + "    expected\n" + hex_dump(expected) + "    came\n" + hex_dump(actual);
}

std::string describe_ip(const Bytes& frame, const packet::Parsed& p) {
  const bool is_v4 = p.l3 == packet::L3::kIpv4;
  const std::uint8_t* const ip = frame.data() + p.l3_offset;
  const IpAddress source = is_v4 ? IpAddress(packet::header_at<packet::Ipv4Header>(ip).source)
                                 : IpAddress(packet::header_at<packet::Ipv6Header>(ip).source);
  const IpAddress destination =
      is_v4 ? IpAddress(packet::header_at<packet::Ipv4Header>(ip).destination)
            : IpAddress(packet::header_at<packet::Ipv6Header>(ip).destination);
  return fmt::format("ip {} > {} ttl={} proto {} ports {} > {}", to_string(source),
                     to_string(destination), p.ttl, p.protocol, p.source_port, p.destination_port);
}

}  // namespace

Result<Bytes> build_packet(std::string_view text, const Vocabulary& vocabulary) {
  try {
    return Builder(vocabulary, false).build(text);
  } catch (const TextError& error) {
    return fail(error.message);
  } catch (const std::out_of_range&) {
    return fail("a layer lacks a word");
  }
}

Result<void> match_packet(std::string_view text, const Bytes& actual, Vocabulary& vocabulary) {
  try {
    Builder sketch(vocabulary, true);
    static_cast<void>(sketch.build(text));
    Vocabulary bound = vocabulary;
    for (const Unknown& unknown : sketch.unknowns()) {
      if (unknown.offset + 2 > actual.size()) continue;
      const std::uint32_t value = load<Be16>(actual.data() + unknown.offset).host();
      bound.numbers[unknown.name] = value;
    }
    const Bytes expected = Builder(bound, false).build(text);
    if (expected != actual) return fail(difference(expected, actual));
    std::erase_if(bound.numbers, [](const auto& entry) { return entry.first.starts_with("*"); });
    vocabulary = bound;
    return {};
  } catch (const TextError& error) {
    return fail("    " + error.message + "\n");
  } catch (const std::out_of_range&) {
    return fail("    a layer lacks a word\n");
  }
}

std::string describe_packet(const Bytes& frame) {
  packet::Parsed parsed;
  const auto error = packet::parse(frame.data(), frame.size(), parsed);
  if (error != packet::ParseError::kNone) return fmt::format("{} bytes", frame.size());
  const auto& ethernet = packet::header_at<packet::EthernetHeader>(frame.data());
  std::string text = fmt::format("{} bytes: eth {} > {}", frame.size(), to_string(ethernet.source),
                                 to_string(ethernet.destination));
  if (parsed.l3 == packet::L3::kArp) return text + " / arp";
  if (!parsed.is_ip()) return text + fmt::format(" type {:04x}", parsed.ether_type);
  text += " / " + describe_ip(frame, parsed);
  const bool is_tunnel = parsed.protocol == packet::kProtoUdp && parsed.destination_port == 4789 &&
                         parsed.l4_bytes() > 16;
  if (!is_tunnel) return text;
  const Bytes inner(frame.begin() + parsed.payload_offset + 8, frame.end());
  return text + " / vxlan / " + describe_packet(inner);
}

}  // namespace gannet::test
