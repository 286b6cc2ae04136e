// SPDX-License-Identifier: BSD-3-Clause
// What a rule does to a packet, compiled: a row of operations of varying length, fate last. Built
// by control threads (actions.cpp), run by the ASIC thread (executor.cpp), immutable in between.
#pragma once

#include <cstdint>
#include <cstring>

namespace gannet::emudpu {

enum class OpCode : std::uint8_t {
  kMark,  // number: for the mbuf
  kFlag,
  kSet,       // field, number; SetData for fields of more than four bytes
  kAdd,       // field, number: added modulo the field's size
  kCopy,      // field, number: the field to copy from
  kPushVlan,  // number: EtherType
  kPopVlan,
  kVxlanDecap,
  kRemoveHead,  // number: bytes
  kAddHead,     // HeadData, then the bytes
  kMeter,       // PointerData: Meter
  kSample,      // SampleData, then a program
  // Fates.
  kDrop,
  kToWire,     // number: index of the port
  kToProgram,  // number: index of the port whose representor receives it
  kJump,       // PointerData: GroupTable
  kQueue,      // number
  kRss,        // number: of queues; then their numbers, 16 bits each
  kDefault,    // The table decides nothing: the packet goes on as if it had missed.
};

/// A header field that can be written.
enum class FieldId : std::uint8_t {
  kMacDestination,
  kMacSource,
  kVlanId,
  kVlanPriority,
  kIpv4Source,
  kIpv4Destination,
  kIpv6Source,
  kIpv6Destination,
  kTtl,  // Of either IP version, like the next two.
  kDscp,
  kEcn,
  kSourcePort,  // TCP or UDP.
  kDestinationPort,
  kTcpSequence,
  kTcpAcknowledgment,
  kTcpFlags,
};
inline constexpr unsigned kFieldCount = 16;

struct Op {
  OpCode code;
  FieldId field;
  std::uint16_t bytes;  // Of the whole operation, a multiple of eight.
  std::uint32_t number;

  template <typename T>
  [[nodiscard]] const T& data() const {
    return *reinterpret_cast<const T*>(this + 1);
  }
  template <typename T>
  [[nodiscard]] T& data() {
    return *reinterpret_cast<T*>(this + 1);
  }
};
static_assert(sizeof(Op) == 8);

/// The new value of a wide field, in network order.
struct SetData {
  std::uint8_t value[16];
};

/// Headers to put in front, with what has to be worked out for each packet.
struct HeadData {
  static constexpr std::uint16_t kNone = 0xffff;
  std::uint16_t bytes;
  std::uint16_t ipv4 = kNone;  // Offsets of the headers whose length is set.
  std::uint16_t ipv6 = kNone;
  std::uint16_t udp = kNone;
  std::uint64_t ipv4_sum;  // Of the IPv4 header with length and checksum as zero.
};

struct PointerData {
  void* pointer;
};

struct SampleData {
  std::uint32_t ratio;
  std::uint32_t seen;  // ASIC thread only.
  std::uint32_t program_bytes;
  std::uint32_t reserved;
};

/// A program in the making.
class ProgramBuffer {
 public:
  static constexpr std::uint16_t kMaxBytes = 2048;

  ProgramBuffer() {}  // NOLINT: leaves the bytes alone, also where it is value-initialised

  /// Adds an operation with `data_bytes` behind it; null if the program gets too long.
  [[nodiscard]] Op* add(OpCode code, std::uint32_t number = 0, std::size_t data_bytes = 0,
                        FieldId field = FieldId{}) {
    const std::size_t bytes = sizeof(Op) + (data_bytes + 7) / 8 * 8;
    if (size_ + bytes > kMaxBytes) return nullptr;
    auto* const op = reinterpret_cast<Op*>(bytes_ + size_);
    *op = Op{code, field, static_cast<std::uint16_t>(bytes), number};
    size_ = static_cast<std::uint16_t>(size_ + bytes);
    return op;
  }
  /// False if it does not fit.
  [[nodiscard]] bool append(const ProgramBuffer& other) {
    if (size_ + other.size_ > kMaxBytes) return false;
    std::memcpy(bytes_ + size_, other.bytes_, other.size_);
    size_ = static_cast<std::uint16_t>(size_ + other.size_);
    return true;
  }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_; }
  [[nodiscard]] std::uint8_t* data() { return bytes_; }
  [[nodiscard]] std::uint16_t size() const { return size_; }

 private:
  std::uint16_t size_ = 0;
  alignas(8) std::uint8_t bytes_[kMaxBytes];
};

}  // namespace gannet::emudpu
