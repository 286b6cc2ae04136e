// SPDX-License-Identifier: BSD-3-Clause
// The TCP state machine, row by row, and the checks of sequence numbers.
#include "flows/tcp.hpp"

#include <cctype>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace gannet::flows {
namespace {

using packet::kTcpAck;
using packet::kTcpFin;
using packet::kTcpRst;
using packet::kTcpSyn;
constexpr std::uint8_t kSynAck = kTcpSyn | kTcpAck;
constexpr std::uint8_t kFinAck = kTcpFin | kTcpAck;
constexpr auto kF = Direction::kForward;
constexpr auto kR = Direction::kReverse;

// First sequence numbers: near the wrap-around for one side.
constexpr std::uint32_t kIsn[2] = {0xffff'fff0, 70'000};

// A conversation. Sequence and acknowledgment are counted from each side's SYN.
class Talk {
 public:
  TcpVerdict say(Direction d, std::uint8_t flags, std::uint32_t sequence, std::uint32_t ack,
                 std::uint32_t bytes = 0, std::uint16_t window = 10'000) {
    TcpSegment s{};
    s.sequence = kIsn[static_cast<int>(d)] + sequence;
    s.acknowledgment = kIsn[static_cast<int>(opposite(d))] + ack;
    s.payload_bytes = bytes;
    s.window = window;
    s.flags = flags;
    if (state == TcpState::kNone) {
      state = start_tcp(track, s);
      return TcpVerdict::kPass;
    }
    return track_tcp(track, state, d, s);
  }

  Talk& syn_sent() {
    (void)say(kF, kTcpSyn, 0, 0);
    return *this;
  }
  Talk& syn_received() {
    (void)syn_sent().say(kR, kSynAck, 0, 1);
    return *this;
  }
  Talk& established() {
    (void)syn_received().say(kF, kTcpAck, 1, 1);
    return *this;
  }
  Talk& half_closed() {
    (void)established().say(kF, kFinAck, 1, 1);
    return *this;
  }
  Talk& closing() {
    (void)half_closed().say(kR, kFinAck, 1, 2);
    return *this;
  }
  Talk& closed() {
    (void)established().say(kF, kTcpRst, 1, 0);
    return *this;
  }
  Talk& simultaneous() {
    (void)syn_sent().say(kR, kTcpSyn, 0, 0);
    return *this;
  }

  TcpTrack track{};
  TcpState state = TcpState::kNone;
};

struct Row {
  const char* name;
  Talk& (Talk::*before)();
  Direction direction;
  std::uint8_t flags;
  std::uint32_t sequence;
  std::uint32_t ack;
  TcpVerdict verdict;
  TcpState after;
};
void PrintTo(const Row& row, std::ostream* out);
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

constexpr auto kPass = TcpVerdict::kPass;
constexpr auto kUntracked = TcpVerdict::kPassUntracked;
constexpr auto kInvalid = TcpVerdict::kInvalidFlags;
constexpr auto kOutside = TcpVerdict::kOutOfWindow;
constexpr auto kRestart = TcpVerdict::kRestart;
using T = TcpState;

const Row kRows[] = {
    {"SYN again", &Talk::syn_sent, kF, kTcpSyn, 0, 0, kPass, T::kSynSent},
    {"F34 SYN with a new number", &Talk::syn_sent, kF, kTcpSyn, 900, 0, kPass, T::kSynSent},
    {"originator answers itself", &Talk::syn_sent, kF, kSynAck, 0, 1, kInvalid, T::kSynSent},
    {"originator ACK too early", &Talk::syn_sent, kF, kTcpAck, 1, 1, kInvalid, T::kSynSent},
    {"originator gives up", &Talk::syn_sent, kF, kTcpRst, 1, 0, kPass, T::kClosed},
    {"SYN ACK", &Talk::syn_sent, kR, kSynAck, 0, 1, kPass, T::kSynReceived},
    {"F21 SYN ACK of something else", &Talk::syn_sent, kR, kSynAck, 0, 77, kUntracked, T::kSynSent},
    {"F20 challenge ACK", &Talk::syn_sent, kR, kTcpAck, 5, 77, kUntracked, T::kSynSent},
    {"refused", &Talk::syn_sent, kR, kTcpRst | kTcpAck, 0, 1, kPass, T::kClosed},
    {"refusal that is forged", &Talk::syn_sent, kR, kTcpRst | kTcpAck, 0, 77, kOutside,
     T::kSynSent},
    {"refusal without ACK", &Talk::syn_sent, kR, kTcpRst, 0, 1, kOutside, T::kSynSent},
    {"FIN of the responder too early", &Talk::syn_sent, kR, kFinAck, 0, 1, kInvalid, T::kSynSent},
    {"SYN from both", &Talk::syn_sent, kR, kTcpSyn, 0, 0, kPass, T::kSimultaneousOpen},
    {"SYN ACK of both", &Talk::simultaneous, kF, kSynAck, 0, 1, kPass, T::kEstablished},
    {"ACK", &Talk::syn_received, kF, kTcpAck, 1, 1, kPass, T::kEstablished},
    {"SYN ACK again", &Talk::syn_received, kR, kSynAck, 0, 1, kPass, T::kSynReceived},
    {"FIN at once", &Talk::syn_received, kF, kFinAck, 1, 1, kPass, T::kHalfClosed},
    {"reset before the ACK", &Talk::syn_received, kF, kTcpRst, 1, 0, kPass, T::kClosed},
    {"data", &Talk::established, kR, kTcpAck, 1, 1, kPass, T::kEstablished},
    {"R8 SYN of the originator", &Talk::established, kF, kTcpSyn, 500, 0, kUntracked,
     T::kEstablished},
    {"F19 SYN of the responder", &Talk::established, kR, kTcpSyn, 500, 0, kInvalid,
     T::kEstablished},
    {"exact reset", &Talk::established, kR, kTcpRst, 1, 0, kPass, T::kClosed},
    {"R5 inexact reset", &Talk::established, kR, kTcpRst, 50, 0, kUntracked, T::kEstablished},
    {"reset outside", &Talk::established, kR, kTcpRst, 50'000, 0, kOutside, T::kEstablished},
    {"FIN", &Talk::established, kR, kFinAck, 1, 1, kPass, T::kHalfClosed},
    {"F35 no flags", &Talk::established, kF, 0, 1, 1, kInvalid, T::kEstablished},
    {"F35 SYN FIN", &Talk::established, kF, kTcpSyn | kTcpFin, 1, 1, kInvalid, T::kEstablished},
    {"F35 FIN alone", &Talk::established, kF, kTcpFin, 1, 1, kInvalid, T::kEstablished},
    {"F35 everything", &Talk::established, kF, kSynAck | kFinAck | kTcpRst, 1, 1, kInvalid,
     T::kEstablished},
    {"same FIN again", &Talk::half_closed, kF, kFinAck, 1, 1, kPass, T::kHalfClosed},
    {"data of the side that is open", &Talk::half_closed, kR, kTcpAck, 1, 2, kPass, T::kHalfClosed},
    {"second FIN", &Talk::half_closed, kR, kFinAck, 1, 2, kPass, T::kClosing},
    {"last ACK", &Talk::closing, kF, kTcpAck, 2, 2, kPass, T::kClosing},
    {"F32 SYN on a finished connection", &Talk::closing, kF, kTcpSyn, 5'000, 0, kRestart,
     T::kClosing},
    {"F33 SYN of the past", &Talk::closing, kF, kTcpSyn, 0, 0, kUntracked, T::kClosing},
    {"SYN behind a reset", &Talk::closed, kF, kTcpSyn, 5'000, 0, kRestart, T::kClosed},
    {"data behind a reset", &Talk::closed, kR, kTcpAck, 1, 1, kUntracked, T::kClosed},
    {"nonsense behind a reset", &Talk::closed, kR, kTcpAck, 500'000, 1, kOutside, T::kClosed},
    {"reset again", &Talk::closed, kF, kTcpRst, 1, 0, kUntracked, T::kClosed},
};

class TcpRow : public testing::TestWithParam<Row> {};
TEST_P(TcpRow, Holds) {
  const Row& row = GetParam();
  Talk talk;
  (talk.*row.before)();
  EXPECT_EQ(talk.say(row.direction, row.flags, row.sequence, row.ack), row.verdict);
  EXPECT_EQ(talk.state, row.after);
}
INSTANTIATE_TEST_SUITE_P(Tcp, TcpRow, testing::ValuesIn(kRows), [](const auto& row) {
  std::string name = row.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
});

TEST(Tcp, DataMayGoAsFarAsTheWindow) {
  Talk talk;
  talk.established();
  EXPECT_EQ(talk.say(kF, kTcpAck, 1, 1, 1000), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 10'001, 1, 100), kPass);     // Begins where the window ends.
  EXPECT_EQ(talk.say(kF, kTcpAck, 10'002, 1, 100), kOutside);  // One beyond.
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 10'101), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 20'101, 1, 1), kPass);
}

TEST(Tcp, WhatWasNeverSentCannotBeAcknowledged) {
  Talk talk;
  talk.established();
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 2), kOutside);
  EXPECT_EQ(talk.say(kF, kTcpAck, 1, 1, 100), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 101), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 102), kOutside);
}

TEST(Tcp, AnOldRetransmissionPassesWithoutEffect) {
  Talk talk;
  talk.established();
  for (std::uint32_t at = 1; at < 100'001; at += 10'000) {
    ASSERT_EQ(talk.say(kF, kTcpAck, at, 1, 10'000), kPass);
    ASSERT_EQ(talk.say(kR, kTcpAck, 1, at + 10'000), kPass);
  }
  EXPECT_EQ(talk.say(kF, kTcpAck, 1, 1, 1000), kUntracked);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 1000), kOutside);  // An acknowledgment that old is none.
}

TEST(Tcp, WindowsAreScaledIfBothSidesAgree) {
  for (const bool both : {true, false}) {
    TcpTrack track;
    TcpSegment syn{};
    syn.sequence = 100;
    syn.window = 1000;
    syn.flags = kTcpSyn;
    syn.has_scale = true;
    syn.scale = 7;
    TcpState state = start_tcp(track, syn);
    TcpSegment answer = syn;
    answer.sequence = 500;
    answer.acknowledgment = 101;
    answer.flags = kSynAck;
    answer.has_scale = both;
    ASSERT_EQ(track_tcp(track, state, kR, answer), kPass);
    TcpSegment ack{101, 501, 0, 1000, kTcpAck, false, 0};
    ASSERT_EQ(track_tcp(track, state, kF, ack), kPass);
    // 1000 << 7 is what the responder may send now, or 1000.
    const TcpSegment far{501 + 1000 * 100, 101, 10, 1000, kTcpAck, false, 0};
    EXPECT_EQ(track_tcp(track, state, kR, far), both ? kPass : kOutside);
  }
}

TEST(Tcp, R27WindowsAreLearnedAnew) {
  Talk talk;
  talk.established();
  forget_windows(talk.track);
  EXPECT_EQ(talk.say(kF, kTcpAck, 5'000'000, 9'000'000, 100), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 9'000'000, 5'000'100, 100), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 1, 9'000'100, 100), kUntracked);
  EXPECT_EQ(talk.say(kF, kTcpAck, 9'000'000, 9'000'100, 100), kOutside);
}

// R27: the first acknowledgment that is seen may be one that others have overtaken.
TEST(Tcp, R27AnOldAcknowledgmentDoesNotNarrowTheWindow) {
  Talk talk;
  talk.established();
  forget_windows(talk.track);
  EXPECT_EQ(talk.say(kF, kTcpAck, 100'000, 1, 1000), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 95'000), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 106'000, 1, 1000), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 111'001, 1, 1000), kOutside);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 107'000), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 96'000), kPass);  // Another one that comes late.
  EXPECT_EQ(talk.say(kF, kTcpAck, 117'000, 1, 1000), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 117'001, 1, 1000), kOutside);
}

// R27: what the card carried last is acknowledged in software, where only a retransmission was
// seen.
TEST(Tcp, R27WhatWasSentBeforeMayBeAcknowledged) {
  Talk talk;
  talk.established();
  forget_windows(talk.track);
  EXPECT_EQ(talk.say(kF, kTcpAck, 1000, 1, 100), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 1100), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 11'101), kOutside);  // More than it may have sent.
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 5000), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 15'000, 1, 100), kPass);
  EXPECT_EQ(talk.say(kF, kTcpAck, 15'001, 1, 100), kOutside);
}

// F37: a receiver that lags by a large window is no stranger.
TEST(Tcp, F37TheFirstAcknowledgmentMayLagByAWindow) {
  Talk talk;
  EXPECT_EQ(talk.say(kF, kTcpAck, 1'000'000, 1, 1000, 10), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 900'000, 0, 10), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 905'000, 0, 10), kPass);
  EXPECT_EQ(talk.say(kR, kTcpAck, 1, 800'000, 0, 10), kOutside);  // 10 << 14 is not that much.
}

// F15: an application that closes with data unread resets right behind its last data, before that
// is acknowledged.
TEST(Tcp, F15AResetBehindDataOnItsWayIsExact) {
  Talk talk;
  talk.established();
  EXPECT_EQ(talk.say(kF, kTcpAck, 1, 1, 100), kPass);
  EXPECT_EQ(talk.say(kF, kTcpRst | kTcpAck, 101, 1), kPass);
  EXPECT_EQ(talk.state, T::kClosed);
}

// R27: the reset of a flow that was in hardware may be forged; who goes on revives it.
TEST(Tcp, R27AResetOfAnUnknownWindowIsTakenBackByData) {
  Talk talk;
  talk.established();
  forget_windows(talk.track);
  EXPECT_EQ(talk.say(kR, kTcpRst, 123'456, 0), kPass);
  EXPECT_EQ(talk.state, T::kClosed);
  EXPECT_EQ(talk.say(kF, kTcpAck, 5'000, 9'000, 10), kPass);
  EXPECT_EQ(talk.state, T::kEstablished);
}

TEST(Tcp, OptionsAreReadWithinTheirBounds) {
  const auto read = [](std::vector<std::uint8_t> options, std::uint8_t flags) {
    std::vector<std::uint8_t> header(20);
    header[13] = flags;
    header.insert(header.end(), options.begin(), options.end());
    header.shrink_to_fit();
    return read_segment(header.data(), static_cast<unsigned>(header.size()), 0);
  };
  EXPECT_EQ(read({1, 3, 3, 9}, kTcpSyn).scale, 9);
  EXPECT_FALSE(read({1, 3, 3, 9}, kTcpAck).has_scale);
  EXPECT_FALSE(read({0, 3, 3, 9}, kTcpSyn).has_scale);  // Behind the end of options.
  EXPECT_FALSE(read({3, 4, 9, 9}, kTcpSyn).has_scale);  // Of another length.
  EXPECT_FALSE(read({2, 0, 3, 3}, kTcpSyn).has_scale);  // A length that leads nowhere.
  EXPECT_FALSE(read({1, 1, 1, 3}, kTcpSyn).has_scale);  // Cut off.
  EXPECT_FALSE(read({1, 1, 3, 3}, kTcpSyn).has_scale);
}

// Whatever comes, in whatever order: a state is always one of those that there are, and a segment
// that is dropped changes nothing.
RC_GTEST_PROP(Tcp, WhatIsDroppedChangesNothing, ()) {
  Talk talk;
  talk.syn_sent();
  const auto count = *rc::gen::inRange(0, 40);
  for (int i = 0; i < count; ++i) {
    const auto d = *rc::gen::element(kF, kR);
    const auto flags = *rc::gen::elementOf(std::vector<std::uint8_t>{
        kTcpSyn, kSynAck, kTcpAck, kFinAck, kTcpRst, kTcpAck, kTcpSyn | kTcpFin, 0});
    const auto near = rc::gen::elementOf(std::vector<std::uint32_t>{0, 1, 2, 100, 10'001, 100'000});
    const TcpState before = talk.state;
    const TcpTrack track = talk.track;
    const auto verdict = talk.say(d, flags, *near, *near, *rc::gen::inRange(0U, 3U));
    RC_ASSERT(talk.state >= T::kSynSent && talk.state <= T::kClosed);
    if (verdict == kPass) continue;
    RC_ASSERT(talk.state == before);
    for (int side = 0; side < 2; ++side) {
      RC_ASSERT(talk.track.peers[side].end == track.peers[side].end);
      RC_ASSERT(talk.track.peers[side].max_end == track.peers[side].max_end);
    }
  }
}

}  // namespace
}  // namespace gannet::flows
