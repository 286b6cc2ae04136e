// SPDX-License-Identifier: BSD-3-Clause
#include "flows/packet/checksum.hpp"

namespace gannet::packet {

std::uint64_t sum_bytes(const std::uint8_t* bytes, std::size_t size) {
  std::uint64_t sum = 0;
  // 32-bit words into a 64-bit accumulator: 2^32 words fit before it could overflow.
  for (; size >= 4; bytes += 4, size -= 4) sum += load<std::uint32_t>(bytes);
  if (size >= 2) {
    sum += load<std::uint16_t>(bytes);
    bytes += 2;
    size -= 2;
  }
  if (size == 1) sum += *bytes;
  return sum;
}

namespace {

std::uint64_t tail_sum(std::uint8_t protocol, std::uint32_t l4_bytes) {
  return std::uint64_t{Be32(l4_bytes).raw()} + Be16(protocol).raw();
}

}  // namespace

std::uint64_t pseudo_header_sum(Ip4 source, Ip4 destination, std::uint8_t protocol,
                                std::uint32_t l4_bytes) {
  return std::uint64_t{source.raw()} + destination.raw() + tail_sum(protocol, l4_bytes);
}

std::uint64_t pseudo_header_sum(const Ip6& source, const Ip6& destination, std::uint8_t protocol,
                                std::uint32_t l4_bytes) {
  return sum_bytes(source.bytes.data(), 16) + sum_bytes(destination.bytes.data(), 16) +
         tail_sum(protocol, l4_bytes);
}

}  // namespace gannet::packet
