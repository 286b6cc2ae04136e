// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mss.hpp"

#include "flows/packet/checksum.hpp"
#include "flows/packet/headers.hpp"

namespace gannet::dataplane {
namespace {

constexpr std::uint8_t kMssOption = 2;
constexpr unsigned kMssOptionBytes = 4;

// Where the option's value lies in the header, or 0.
unsigned find_mss(const std::uint8_t* tcp, unsigned header_bytes) {
  for (unsigned i = sizeof(packet::TcpHeader); i < header_bytes;) {
    if (tcp[i] == packet::kTcpOptionEnd) return 0;
    if (tcp[i] == packet::kTcpOptionNop) {
      ++i;
      continue;
    }
    if (i + 1 >= header_bytes) return 0;
    const unsigned length = tcp[i + 1];
    if (length < 2 || i + length > header_bytes) return 0;
    if (tcp[i] == kMssOption) return length == kMssOptionBytes ? i + 2 : 0;
    i += length;
  }
  return 0;
}

}  // namespace

void clamp_mss(std::uint8_t* tcp, unsigned header_bytes, std::uint16_t most) {
  auto& header = packet::header_at<packet::TcpHeader>(tcp);
  if ((header.flags & packet::kTcpSyn) == 0) return;
  const unsigned at = find_mss(tcp, header_bytes);
  if (at == 0 || load<Be16>(tcp + at).host() <= most) return;
  packet::ChecksumDelta delta;
  if (at % 2 == 0) {
    delta.replace(load<Be16>(tcp + at), Be16(most));
    store(tcp + at, Be16(most));
  } else {
    // In two of the words that the checksum adds up, both of the header: its length is even.
    const Be32 before = load<Be32>(tcp + at - 1);
    store(tcp + at, Be16(most));
    delta.replace(before, load<Be32>(tcp + at - 1));
  }
  header.checksum = packet::update(header.checksum, delta.folded());
}

}  // namespace gannet::dataplane
