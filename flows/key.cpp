// SPDX-License-Identifier: BSD-3-Clause
#include "flows/key.hpp"

namespace gannet::flows {

Be16 answered_echo(std::uint8_t protocol, Be16 type_and_code) {
  const auto type = static_cast<std::uint8_t>(type_and_code.host() >> 8);
  const int answer = packet::icmp_answer_type(protocol, type);
  const int counterpart = answer < 0 ? packet::icmp_question_type(protocol, type) : answer;
  return counterpart < 0 ? type_and_code : Be16(static_cast<std::uint16_t>(counterpart << 8));
}

}  // namespace gannet::flows
