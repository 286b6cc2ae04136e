// SPDX-License-Identifier: BSD-3-Clause
// A small world for tests with a card: two VMs of one VPC on this host, one behind a tunnel, the
// internet; and the frames that they send each other.
#pragma once

#include "tests/packet/bench_switch.hpp"
#include "tests/support/packet_builder.hpp"

#include <memory>
#include <string>

namespace gannet::test {

/// A card without limits.
inline constexpr const char* kUnlimited = "profile=unlimited";
/// The same without flow queues: rules are inserted one by one.
inline constexpr const char* kOneByOne = "profile=unlimited,flow_queues=0";

inline constexpr Mac kVm1Mac{{2, 0, 0, 10, 1, 11}};
inline constexpr Mac kVm2Mac{{2, 0, 0, 10, 2, 12}};
inline constexpr Mac kRemoteMac{{2, 0, 0, 10, 2, 20}};
inline constexpr Mac kHostMac{{2, 0, 0, 0, 0, 0x12}};
inline constexpr Mac kOtherHostMac{{2, 0, 0, 0, 0, 0x13}};
inline constexpr Mac kRouterMac{{2, 0, 0, 0, 0, 1}};
inline constexpr Ip4 kVm1{10, 10, 1, 11};
inline constexpr Ip4 kVm2{10, 10, 2, 12};
inline constexpr Ip4 kRemote{10, 10, 2, 20};
inline constexpr Ip4 kInternet{198, 51, 100, 1};
inline constexpr Ip4 kPublic1{203, 0, 113, 11};
inline constexpr Ip4 kHost{192, 0, 2, 11};
inline constexpr Ip4 kPeer{192, 0, 2, 12};
inline constexpr Ip4 kOtherPeer{192, 0, 2, 13};
inline constexpr std::uint32_t kVni = 5'001;
inline constexpr std::uint32_t kOtherVni = 5'002;

/// The policy; `locked` is true once nothing may come in on UDP port 53 any more.
[[nodiscard]] std::string world_policy(bool locked = false);

/// A switch with that policy in force. \param card devargs of the card; empty: none.
[[nodiscard]] std::unique_ptr<BenchSwitch> make_world(
    const std::string& card, const std::string& host_yaml = {}, unsigned worker_count = 1,
    bool is_live = false, Nanos look_round = 0,
    std::chrono::milliseconds card_patience = std::chrono::seconds(5));

/// Frames as the VMs send them, to their gateway.
[[nodiscard]] Packet from_vm1(const IpAddress& to, IpFields fields = {});
[[nodiscard]] Packet from_vm2(const IpAddress& to, IpFields fields = {});
/// From the remote VM, through its tunnel, routed already.
[[nodiscard]] Packet from_remote(const BenchSwitch& bench, const Mac& to_mac, const IpAddress& to,
                                 IpFields fields = {}, Ip4 peer = kPeer, std::uint32_t vni = kVni,
                                 std::uint8_t outer_tos = 0);
[[nodiscard]] Packet from_internet(const BenchSwitch& bench, const IpAddress& to,
                                   IpFields fields = {});

/// A flow of vm1 to the internet, told by its source port.
[[nodiscard]] Bytes frame_of_flow(unsigned flow);
/// Sends so many of them, one packet of each in turn; each must come out of the uplink.
void send_flows(BenchSwitch& bench, unsigned count, unsigned rounds);

/// Packets that workers have received.
[[nodiscard]] std::uint64_t software_packets(BenchSwitch& bench);
/// Rules of flows on the card.
[[nodiscard]] std::uint64_t rules(BenchSwitch& bench);
/// Sends a frame and returns what came out, which must be one frame of the port.
Bytes pass(BenchSwitch& bench, const std::string& from, const Bytes& frame, const std::string& to);
/// Sends a frame. \return whether it came to a worker.
[[nodiscard]] bool comes_to_software(BenchSwitch& bench, const std::string& from,
                                     const Bytes& frame);

}  // namespace gannet::test
