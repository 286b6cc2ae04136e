// SPDX-License-Identifier: BSD-3-Clause
// Incremental updates against full recomputation by the word-by-word model.
#include "flows/packet/checksum.hpp"

#include "tests/support/checksum_model.hpp"
#include "tests/support/literals.hpp"
#include "tests/support/packet_builder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gannet::packet {
namespace {

using test::Bytes;
using test::model_sum;
using test::operator""_ip;

std::uint16_t host_sum(std::uint64_t sum) { return Be16::from_raw(fold(sum)).host(); }

// A checksum field's value for words that add up to `sum`, as a sender computes it.
std::uint16_t checksum_of(const Bytes& words) {
  return static_cast<std::uint16_t>(~model_sum(words));
}

RC_GTEST_PROP(Checksum, SumIsTheModelsSum, (const Bytes& bytes)) {
  RC_ASSERT(host_sum(sum_bytes(bytes.data(), bytes.size())) == model_sum(bytes));
}

TEST(Checksum, SumOfTheLargestPacketDoesNotOverflow) {
  const Bytes ones(65'535, 0xff);
  EXPECT_EQ(host_sum(sum_bytes(ones.data(), ones.size())), model_sum(ones));
}

TEST(Checksum, FoldTakesEveryCarry) {
  EXPECT_EQ(fold(0), 0);
  EXPECT_EQ(fold(0xffff), 0xffff);
  EXPECT_EQ(fold(0x1'0000), 1);
  EXPECT_EQ(fold(0xffff'ffff), 0xffff);
  EXPECT_EQ(fold(0x1'ffff'ffff), 1);
  EXPECT_EQ(fold(0xffff'ffff'0000'0001), 1);
  EXPECT_EQ(fold(~std::uint64_t{0}), 0xffff);
}

TEST(Checksum, PseudoHeaderIsThatOfTheRfcs) {
  const Bytes v4{10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0x12, 0x34};
  EXPECT_EQ(host_sum(pseudo_header_sum(Ip4(10, 0, 0, 1), Ip4(10, 0, 0, 2), 17, 0x1234)),
            model_sum(v4));
  const IpAddress a = "2001:db8::1"_ip;
  const IpAddress b = "2001:db8::ffff"_ip;
  Bytes v6(a.data(), a.data() + 16);
  v6.insert(v6.end(), b.data(), b.data() + 16);
  const Bytes tail{0, 1, 0x02, 0x03, 0, 0, 0, 58};
  v6.insert(v6.end(), tail.begin(), tail.end());
  EXPECT_EQ(host_sum(pseudo_header_sum(a.v6(), b.v6(), 58, 0x1'0203)), model_sum(v6));
}

// N52: whatever words change, the updated field verifies.
RC_GTEST_PROP(Checksum, UpdateIsRightForAnyChange,
              (Bytes words, std::uint16_t first, std::uint32_t second, const Bytes& address)) {
  words.resize(2 * (words.size() / 2) + 24, 1);
  const Be16 before = Be16(checksum_of(words));
  ChecksumDelta delta;
  delta.replace(load<Be16>(&words[0]), Be16(first));
  store(&words[0], Be16(first));
  delta.replace(load<Be32>(&words[2]), Be32(second));
  store(&words[2], Be32(second));
  Ip6 ip{};
  for (std::size_t i = 0; i < 16 && i < address.size(); ++i) ip.bytes[i] = address[i];
  delta.replace(load<Ip6>(&words[6]), ip);
  store(&words[6], ip);
  const Be16 after = update(before, delta.folded());
  RC_ASSERT(model_sum(words, after.host()) == 0xffff || model_sum(words) == 0);
}

// N53: equation 2 of RFC 1624 gives 0xffff here, which verifies nowhere; equation 3 gives 0x0000.
TEST(Checksum, N53ExampleOfRfc1624) {
  ChecksumDelta delta;
  delta.replace(Be16(0x5555), Be16(0x3285));
  EXPECT_EQ(update(Be16(0xdd2f), delta.folded()).host(), 0x0000);
}

// N53: both zeros of one's complement, as the old checksum and as the change.
TEST(Checksum, N53BothZerosVerifyAfterTheUpdate) {
  for (const std::uint16_t word : {0x0000, 0x0001, 0x7fff, 0xfffe, 0xffff}) {
    for (const std::uint16_t to : {0x0000, 0x0001, 0x8000, 0xfffe, 0xffff}) {
      Bytes words{0x45, 0x00, static_cast<std::uint8_t>(word >> 8),
                  static_cast<std::uint8_t>(word)};
      for (const bool is_other_zero : {false, true}) {
        std::uint16_t before = checksum_of(words);
        if (is_other_zero && before == 0x0000) before = 0xffff;
        ChecksumDelta delta;
        delta.replace(Be16(word), Be16(to));
        Bytes changed = words;
        store(&changed[2], Be16(to));
        const Be16 after = update(Be16(before), delta.folded());
        EXPECT_EQ(model_sum(changed, after.host()), 0xffff) << word << " -> " << to;
      }
    }
  }
}

// A rewrite that changes nothing leaves the field alone, whichever zero it holds: hardware, which
// does nothing then, must give the same bytes.
RC_GTEST_PROP(Checksum, NoChangeLeavesEveryValueAlone,
              (std::uint16_t checksum, std::uint32_t word)) {
  ChecksumDelta delta;
  delta.replace(Be32(word), Be32(word));
  delta.replace(Be16(static_cast<std::uint16_t>(word)), Be16(static_cast<std::uint16_t>(word)));
  RC_ASSERT(update(Be16(checksum), delta.folded()).host() == checksum);
}
TEST(Checksum, NoChangeLeavesBothZerosAlone) {
  ChecksumDelta delta;
  delta.replace(Be32(0x0a00'0001), Be32(0x0a00'0001));
  EXPECT_EQ(update(Be16(0xffff), delta.folded()).host(), 0xffff);
  EXPECT_EQ(update(Be16(0x0000), delta.folded()).host(), 0x0000);
}

// N52
TEST(Checksum, N52UdpZeroStaysZero) { EXPECT_EQ(update_udp(Be16(0), 0x1234).host(), 0); }

// N52: RFC 768, a computed zero is sent as all ones.
TEST(Checksum, N52UdpNeverBecomesZero) {
  ChecksumDelta delta;
  delta.replace(Be16(0x5555), Be16(0x3285));
  EXPECT_EQ(update_udp(Be16(0xdd2f), delta.folded()).host(), 0xffff);
}
RC_GTEST_PROP(Checksum, N52UdpNeverBecomesZeroBecauseOfAnyChange,
              (std::uint16_t checksum, std::uint16_t delta)) {
  RC_PRE(checksum != 0);
  RC_ASSERT(update_udp(Be16(checksum), delta).raw() != 0);
}

}  // namespace
}  // namespace gannet::packet
