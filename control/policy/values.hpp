// SPDX-License-Identifier: BSD-3-Clause
// The smallest things that a policy is made of: how each is written, read, printed and described to
// an editor, in one place each. Control thread and command line.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/host_config.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/model.hpp"
#include "control/policy/units.hpp"
#include "flows/base/result.hpp"

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace gannet::control {

/// A scalar as it was written.
struct Scalar {
  std::string_view text;
  bool is_plain;  // Without quotes.
};

/// Why a scalar is not the value that is due.
struct ValueError {
  Slug slug;
  std::string message;
};
template <typename T>
using ValueResult = Result<T, ValueError>;

struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint32_t>::max();
};

/// "an integer from 1 to 65535"
[[nodiscard]] std::string describe_range(const Range& range);
/// Decimal, without quotes and leading zeros.
[[nodiscard]] ValueResult<std::uint64_t> read_integer(const Scalar& scalar, const Range& range);

/// What can be told of a type of scalars:
///   kExpected  what people read that it is
///   kIsText    whether it is a text to YAML, which quotes never hurt
///   read       makes a value of a scalar, or says why not
///   json       the value as it may stand in a policy written as JSON
///   schema     JSON Schema of its texts
template <typename T>
struct Leaf;

template <typename T>
concept LeafType = requires {
  Leaf<T>::kExpected;
};

#define GANNET_LEAF(Type, expected, is_text)                \
  template <>                                               \
  struct Leaf<Type> {                                       \
    static constexpr std::string_view kExpected = expected; \
    static constexpr bool kIsText = is_text;                \
    static ValueResult<Type> read(const Scalar& scalar);    \
    static Json json(const Type& value);                    \
    static Json schema();                                   \
  }

GANNET_LEAF(std::string, "a text", true);
GANNET_LEAF(bool, "true or false", false);
GANNET_LEAF(IpAddress, "an IP address such as 10.10.1.11", true);
GANNET_LEAF(Prefix, "an address block such as 10.10.0.0/16", true);
GANNET_LEAF(InterfaceAddress, "an address with the length of its network such as 192.0.2.11/24",
            true);
GANNET_LEAF(SocketAddress, "an address and a port such as '127.0.0.1:9462'", true);
GANNET_LEAF(Mac, "a MAC address such as \"02:00:0a:0a:01:0b\"", true);
GANNET_LEAF(Vni, "an integer from 0 to 16777215", false);
GANNET_LEAF(Protocol, "tcp, udp, icmp, icmp6, any or an integer from 0 to 255", false);
GANNET_LEAF(PortRange, "a port from 1 to 65535 or a range such as \"1000-2000\"", false);
GANNET_LEAF(ListenerPort, "a port from 1 to 65535 or 'any'", false);
GANNET_LEAF(Duration, "a duration with its unit such as '2s'", true);
GANNET_LEAF(Bandwidth, "a bandwidth with its unit such as '10Gbps'", true);
GANNET_LEAF(ByteSize, "a size with its unit such as '512MiB'", true);
#undef GANNET_LEAF

/// The words of an enumeration, in the order of its values.
template <typename E>
inline constexpr auto kWords = nullptr;

template <>
inline constexpr auto kWords<Action> = std::to_array<std::string_view>({"deny", "allow", "reject"});
template <>
inline constexpr auto kWords<Direction> = std::to_array<std::string_view>({"ingress", "egress"});
template <>
inline constexpr auto kWords<GroupMode> = std::to_array<std::string_view>({"enforce", "audit"});
template <>
inline constexpr auto kWords<AdminState> = std::to_array<std::string_view>({"up", "down"});
template <>
inline constexpr auto kWords<Affinity> = std::to_array<std::string_view>({"five_tuple",
                                                                          "source_ip"});
template <>
inline constexpr auto kWords<HealthCheckType> = std::to_array<std::string_view>({"tcp"});
template <>
inline constexpr auto kWords<IdleBehaviour> = std::to_array<std::string_view>({"adaptive", "spin"});
template <>
inline constexpr auto kWords<HugePages> = std::to_array<std::string_view>({"auto", "required",
                                                                           "none"});
template <>
inline constexpr auto kWords<PortType> = std::to_array<std::string_view>(
    {"af_packet", "tap", "vhost-user", "pci", "representor", "af_xdp", "memif", "vdev"});
template <>
inline constexpr auto kWords<SocketMode> = std::to_array<std::string_view>({"client", "server"});
template <>
inline constexpr auto kWords<NicType> = std::to_array<std::string_view>({"emulated", "pci"});
template <>
inline constexpr auto kWords<CardProfile> =
    std::to_array<std::string_view>({"unlimited", "connectx6dx", "e810", "tiny"});
template <>
inline constexpr auto kWords<OffloadMode> = std::to_array<std::string_view>({"auto", "disabled"});
template <>
inline constexpr auto kWords<StrictTcp> = std::to_array<std::string_view>({"auto", "true"});

template <typename E>
concept WordType = std::is_enum_v<E>;

template <WordType E>
[[nodiscard]] constexpr std::string_view to_string(E value) {
  return kWords<E>[static_cast<std::size_t>(value)];
}

/// Finds one of `words`; its place among them.
[[nodiscard]] ValueResult<std::size_t> read_word(const Scalar& scalar,
                                                 std::span<const std::string_view> words);
/// "'allow' or 'deny'"
[[nodiscard]] std::string describe_words(std::span<const std::string_view> words);

}  // namespace gannet::control
