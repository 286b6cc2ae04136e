// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/values.hpp"

#include "control/policy/encoding.hpp"
#include "control/policy/nearest.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

constexpr Range kPorts{1, 65535};

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string quoted(const Scalar& scalar) {
  return fmt::format("{}'{}'", scalar.is_plain ? "" : "the text ", scalar.text);
}

template <typename T>
tl::unexpected<ValueError> unreadable(Slug slug, const Scalar& scalar) {
  return tl::unexpected(
      ValueError{slug, fmt::format("expected {}, found {}", Leaf<T>::kExpected, quoted(scalar))});
}

tl::unexpected<ValueError> invalid(Slug slug, std::string message) {
  return tl::unexpected(ValueError{slug, std::move(message)});
}

std::optional<std::uint64_t> to_number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

tl::unexpected<ValueError> leading_zero(std::string_view text) {
  const auto first = std::min(text.find_first_not_of('0'), text.size() - 1);
  return invalid(Slug::leading_zero,
                 fmt::format("'{}' begins with a zero, which some readers take for octal; write {}",
                             text, text.substr(first)));
}

}  // namespace

std::string describe_range(const Range& range) {
  return fmt::format("an integer from {} to {}", range.min, range.max);
}

ValueResult<std::uint64_t> read_integer(const Scalar& scalar, const Range& range) {
  const auto text = scalar.text;
  const bool is_negative = text.starts_with('-') && is_digits(text.substr(1));
  if (!scalar.is_plain || (!is_digits(text) && !is_negative)) {
    const bool only_quoted = !scalar.is_plain && is_digits(text);
    return invalid(Slug::wrong_type,
                   fmt::format("expected {}, found {}{}", describe_range(range), quoted(scalar),
                               only_quoted ? "; remove the quotes" : ""));
  }
  if (!is_negative && text.size() > 1 && text[0] == '0') return leading_zero(text);
  const auto value = to_number(text);
  if (!value || *value < range.min || *value > range.max) {
    return invalid(Slug::out_of_range,
                   fmt::format("expected {}, found {}", describe_range(range), text));
  }
  return *value;
}

std::string describe_words(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) text += i + 1 == words.size() ? " or " : ", ";
    text += fmt::format("'{}'", words[i]);
  }
  return text;
}

ValueResult<std::size_t> read_word(const Scalar& scalar, std::span<const std::string_view> words) {
  const auto found = std::find(words.begin(), words.end(), scalar.text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  NearestName nearest(scalar.text);
  for (const auto word : words) nearest.offer(word);
  const auto best = nearest.best();
  return invalid(Slug::invalid_value,
                 fmt::format("expected {}, found '{}'{}", describe_words(words), scalar.text,
                             best ? fmt::format("; did you mean '{}'?", *best) : ""));
}

ValueResult<std::string> Leaf<std::string>::read(const Scalar& scalar) {
  // Escapes may stand for what could not be written.
  if (const auto flaw = find_flaw(scalar.text)) {
    return invalid(Slug::invalid_text, fmt::format("the text contains {}", flaw->what));
  }
  return std::string(scalar.text);
}
Json Leaf<std::string>::json(const std::string& value) { return value; }
Json Leaf<std::string>::schema() { return {{"type", "string"}}; }

ValueResult<bool> Leaf<bool>::read(const Scalar& scalar) {
  if (scalar.is_plain && scalar.text == "true") return true;
  if (scalar.is_plain && scalar.text == "false") return false;
  std::string lower(scalar.text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool is_yes = lower == "true" || lower == "yes" || lower == "on" || lower == "y";
  const bool is_no = lower == "false" || lower == "no" || lower == "off" || lower == "n";
  if (!is_yes && !is_no) return unreadable<bool>(Slug::wrong_type, scalar);
  return invalid(Slug::ambiguous_boolean, fmt::format("expected true or false, found {}; write {}",
                                                      quoted(scalar), is_yes ? "true" : "false"));
}
Json Leaf<bool>::json(const bool& value) { return value; }
Json Leaf<bool>::schema() { return {{"type", "boolean"}}; }

ValueResult<IpAddress> Leaf<IpAddress>::read(const Scalar& scalar) {
  if (const auto ip = parse_ip(scalar.text)) return *ip;
  if (const auto prefix = scalar.text.find('/'); parse_ip(scalar.text.substr(0, prefix))) {
    return invalid(Slug::invalid_address,
                   fmt::format("expected an address, found the block '{}'; remove '{}'",
                               scalar.text, scalar.text.substr(prefix)));
  }
  return unreadable<IpAddress>(Slug::invalid_address, scalar);
}
Json Leaf<IpAddress>::json(const IpAddress& value) { return gannet::to_string(value); }
Json Leaf<IpAddress>::schema() {
  return {{"type", "string"}, {"anyOf", {{{"format", "ipv4"}}, {{"format", "ipv6"}}}}};
}

ValueResult<Prefix> Leaf<Prefix>::read(const Scalar& scalar) {
  PrefixError error{};
  if (const auto prefix = parse_prefix(scalar.text, &error)) return *prefix;
  if (error == PrefixError::kAddress) return unreadable<Prefix>(Slug::invalid_prefix, scalar);
  const auto slash = scalar.text.find('/');
  const auto ip = *parse_ip(scalar.text.substr(0, slash));
  if (error == PrefixError::kLength) {
    return invalid(Slug::invalid_prefix,
                   fmt::format("the length of '{}' is not an integer from 0 to {}", scalar.text,
                               bit_count(ip.family())));
  }
  const auto length = *to_number(scalar.text.substr(slash + 1));
  const auto network = Prefix::of(ip, static_cast<unsigned>(length));
  return invalid(Slug::host_bits, fmt::format("'{}' has bits set beyond its length; write {}",
                                              scalar.text, gannet::to_string(network)));
}
Json Leaf<Prefix>::json(const Prefix& value) { return gannet::to_string(value); }
Json Leaf<Prefix>::schema() {
  return {{"type", "string"}, {"pattern", "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"}};
}

ValueResult<InterfaceAddress> Leaf<InterfaceAddress>::read(const Scalar& scalar) {
  const auto slash = scalar.text.find('/');
  const auto ip = parse_ip(scalar.text.substr(0, slash));
  if (!ip || slash == std::string_view::npos) {
    return unreadable<InterfaceAddress>(Slug::invalid_prefix, scalar);
  }
  const auto digits = scalar.text.substr(slash + 1);
  const auto length = is_digits(digits) ? to_number(digits) : std::nullopt;
  if (!length || *length > bit_count(ip->family()) || (digits.size() > 1 && digits[0] == '0')) {
    return unreadable<InterfaceAddress>(Slug::invalid_prefix, scalar);
  }
  return InterfaceAddress{*ip, static_cast<std::uint8_t>(*length)};
}
Json Leaf<InterfaceAddress>::json(const InterfaceAddress& value) {
  return fmt::format("{}/{}", gannet::to_string(value.address), value.length);
}
Json Leaf<InterfaceAddress>::schema() {
  return {{"type", "string"}, {"pattern", "^[0-9a-fA-F:.]+/[0-9]{1,3}$"}};
}

ValueResult<SocketAddress> Leaf<SocketAddress>::read(const Scalar& scalar) {
  const auto colon = scalar.text.rfind(':');
  if (colon == std::string_view::npos)
    return unreadable<SocketAddress>(Slug::invalid_address, scalar);
  auto host = scalar.text.substr(0, colon);
  const bool is_bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = parse_ip(host);
  if (!ip || ip->is_v6() != is_bracketed) {
    return unreadable<SocketAddress>(Slug::invalid_address, scalar);
  }
  return read_integer({scalar.text.substr(colon + 1), true}, kPorts).map([&ip](std::uint64_t port) {
    return SocketAddress{*ip, static_cast<std::uint16_t>(port)};
  });
}
Json Leaf<SocketAddress>::json(const SocketAddress& value) {
  const auto ip = gannet::to_string(value.ip);
  return value.ip.is_v6() ? fmt::format("[{}]:{}", ip, value.port)
                          : fmt::format("{}:{}", ip, value.port);
}
Json Leaf<SocketAddress>::schema() { return {{"type", "string"}, {"pattern", "^.+:[0-9]{1,5}$"}}; }

ValueResult<Mac> Leaf<Mac>::read(const Scalar& scalar) {
  if (const auto mac = parse_mac(scalar.text)) return *mac;
  return unreadable<Mac>(Slug::invalid_mac, scalar);
}
Json Leaf<Mac>::json(const Mac& value) { return gannet::to_string(value); }
Json Leaf<Mac>::schema() {
  return {{"type", "string"}, {"pattern", "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$"}};
}

ValueResult<Vni> Leaf<Vni>::read(const Scalar& scalar) {
  return read_integer(scalar, {0, Vni::kMax}).map([](std::uint64_t value) {
    return Vni{static_cast<std::uint32_t>(value)};
  });
}
Json Leaf<Vni>::json(const Vni& value) { return value.value; }
Json Leaf<Vni>::schema() { return {{"type", "integer"}, {"minimum", 0}, {"maximum", Vni::kMax}}; }

namespace {

struct ProtocolName {
  std::string_view name;
  Protocol protocol;
};
// The first name of a number is the one that is printed.
constexpr auto kProtocolNames = std::to_array<ProtocolName>({{"tcp", kProtocolTcp},
                                                             {"udp", kProtocolUdp},
                                                             {"icmp", kProtocolIcmp},
                                                             {"icmp6", kProtocolIcmp6},
                                                             {"icmpv6", kProtocolIcmp6},
                                                             {"any", Protocol{}}});

}  // namespace

ValueResult<Protocol> Leaf<Protocol>::read(const Scalar& scalar) {
  for (const auto& [name, protocol] : kProtocolNames) {
    if (scalar.text == name) return protocol;
  }
  const bool is_word = !scalar.text.empty() && !is_digits(scalar.text) && scalar.text[0] != '-';
  if (is_word) return unreadable<Protocol>(Slug::invalid_value, scalar);
  return read_integer(scalar, {0, 255}).map([](std::uint64_t number) {
    return Protocol{static_cast<std::uint16_t>(number)};
  });
}
Json Leaf<Protocol>::json(const Protocol& value) {
  for (const auto& [name, protocol] : kProtocolNames) {
    if (value == protocol) return name;
  }
  return value.number;
}
Json Leaf<Protocol>::schema() {
  Json words = Json::array();
  for (const auto& entry : kProtocolNames) words.push_back(entry.name);
  return {{"oneOf", {{{"enum", words}}, {{"type", "integer"}, {"minimum", 0}, {"maximum", 255}}}}};
}

ValueResult<PortRange> Leaf<PortRange>::read(const Scalar& scalar) {
  const auto dash = scalar.text.find('-', 1);
  if (dash == std::string_view::npos) {
    return read_integer(scalar, kPorts).map([](std::uint64_t port) {
      return PortRange{static_cast<std::uint16_t>(port), static_cast<std::uint16_t>(port)};
    });
  }
  const std::string_view ends[] = {scalar.text.substr(0, dash), scalar.text.substr(dash + 1)};
  if (!is_digits(ends[0]) || !is_digits(ends[1]))
    return unreadable<PortRange>(Slug::invalid_value, scalar);
  std::uint16_t ports[2];
  for (int i = 0; i < 2; ++i) {
    const auto port = read_integer({ends[i], true}, kPorts);
    if (!port) return tl::unexpected(port.error());
    ports[i] = static_cast<std::uint16_t>(*port);
  }
  if (ports[0] > ports[1]) {
    return invalid(Slug::reversed_range, fmt::format("the range '{}' ends before it begins; write "
                                                     "\"{}-{}\"",
                                                     scalar.text, ports[1], ports[0]));
  }
  return PortRange{ports[0], ports[1]};
}
Json Leaf<PortRange>::json(const PortRange& value) {
  if (value.first == value.last) return value.first;
  return fmt::format("{}-{}", value.first, value.last);
}
Json Leaf<PortRange>::schema() {
  return {{"oneOf",
           {{{"type", "integer"}, {"minimum", kPorts.min}, {"maximum", kPorts.max}},
            {{"type", "string"}, {"pattern", "^[0-9]{1,5}-[0-9]{1,5}$"}}}}};
}

ValueResult<ListenerPort> Leaf<ListenerPort>::read(const Scalar& scalar) {
  if (scalar.text == "any") return ListenerPort{};
  return read_integer(scalar, kPorts).map([](std::uint64_t port) {
    return ListenerPort{static_cast<std::uint16_t>(port)};
  });
}
Json Leaf<ListenerPort>::json(const ListenerPort& value) {
  if (value.number == ListenerPort::kAny) return "any";
  return value.number;
}
Json Leaf<ListenerPort>::schema() {
  return {{"oneOf",
           {{{"const", "any"}},
            {{"type", "integer"}, {"minimum", kPorts.min}, {"maximum", kPorts.max}}}}};
}

namespace {

template <typename T>
ValueResult<T> read_quantity(const Scalar& scalar,
                             Result<T, QuantityError> (*parse)(std::string_view),
                             std::string_view units, std::string_view example_unit) {
  const auto quantity = parse(scalar.text);
  if (quantity) return *quantity;
  switch (quantity.error()) {
    case QuantityError::kNoUnit:
      return invalid(Slug::missing_unit, fmt::format("'{0}' has no unit; write for instance {0}{1}",
                                                     scalar.text, example_unit));
    case QuantityError::kTooLarge:
      return invalid(Slug::out_of_range, fmt::format("'{}' is too large", scalar.text));
    case QuantityError::kTooFine:
      return invalid(Slug::out_of_range,
                     fmt::format("'{}' is a fraction of the smallest unit", scalar.text));
    case QuantityError::kUnknownUnit:
    case QuantityError::kNotAQuantity: break;
  }
  return invalid(Slug::invalid_quantity, fmt::format("expected {}, found '{}'; units are {}",
                                                     Leaf<T>::kExpected, scalar.text, units));
}

}  // namespace

ValueResult<Duration> Leaf<Duration>::read(const Scalar& scalar) {
  return read_quantity(scalar, parse_duration, "ns, us, ms, s, m and h", "s");
}
Json Leaf<Duration>::json(const Duration& value) { return to_string(value); }
Json Leaf<Duration>::schema() {
  return {{"type", "string"}, {"pattern", "^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$"}};
}

ValueResult<Bandwidth> Leaf<Bandwidth>::read(const Scalar& scalar) {
  return read_quantity(scalar, parse_bandwidth, "bps, kbps, Mbps and Gbps", "Mbps");
}
Json Leaf<Bandwidth>::json(const Bandwidth& value) { return to_string(value); }
Json Leaf<Bandwidth>::schema() {
  return {{"type", "string"}, {"pattern", "^[0-9]+([.][0-9]+)?(bps|kbps|Mbps|Gbps)$"}};
}

ValueResult<ByteSize> Leaf<ByteSize>::read(const Scalar& scalar) {
  return read_quantity(scalar, parse_byte_size, "B, KiB, MiB, GiB, kB, MB and GB", "MiB");
}
Json Leaf<ByteSize>::json(const ByteSize& value) { return to_string(value); }
Json Leaf<ByteSize>::schema() {
  return {{"type", "string"}, {"pattern", "^[0-9]+([.][0-9]+)?(B|KiB|MiB|GiB|kB|MB|GB)$"}};
}

}  // namespace gannet::control
