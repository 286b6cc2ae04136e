// SPDX-License-Identifier: BSD-3-Clause
// A card without wires in the hands of a test: rules go in by the card's own functions, packets go
// straight to an executor, and what comes out is kept.
#pragma once

#include "flows/emudpu/asic.hpp"
#include "flows/emudpu/card.hpp"
#include "flows/emudpu/executor.hpp"
#include "flows/emudpu/templates.hpp"
#include "tests/support/packet_builder.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gannet::emudpu {

using test::Bytes;
using test::Packet;

/// Where a packet went.
struct Outcome {
  enum Kind { kNothing, kWire, kProgram, kDropped };
  Kind kind = kNothing;
  unsigned port = 0;
  Bytes bytes;
  DropCause cause{};
};

/// A pattern or list of actions whose parts the test keeps alive.
class Items {
 public:
  template <typename T>
  Items& item(rte_flow_item_type type, const T& spec, const T& mask) {
    items_.push_back({type, keep(spec), nullptr, keep(mask)});
    return *this;
  }
  template <typename T>
  Items& range(rte_flow_item_type type, const T& spec, const T& last, const T& mask) {
    items_.push_back({type, keep(spec), keep(last), keep(mask)});
    return *this;
  }
  Items& item(rte_flow_item_type type) {
    items_.push_back({type, nullptr, nullptr, nullptr});
    return *this;
  }
  Items& from_port(unsigned index);
  [[nodiscard]] const rte_flow_item* end() {
    items_.push_back({RTE_FLOW_ITEM_TYPE_END, nullptr, nullptr, nullptr});
    return items_.data();
  }

 private:
  template <typename T>
  const void* keep(const T& value) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&value);
    kept_.emplace_back(bytes, bytes + sizeof value);
    return kept_.back().data();
  }
  std::vector<rte_flow_item> items_;
  std::deque<Bytes> kept_;
};

class Actions {
 public:
  template <typename T>
  Actions& action(rte_flow_action_type type, const T& conf) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&conf);
    kept_.emplace_back(bytes, bytes + sizeof conf);
    actions_.push_back({type, kept_.back().data()});
    return *this;
  }
  Actions& action(rte_flow_action_type type) {
    actions_.push_back({type, nullptr});
    return *this;
  }
  Actions& indirect(const IndirectAction* handle) {
    actions_.push_back({RTE_FLOW_ACTION_TYPE_INDIRECT, handle});
    return *this;
  }
  Actions& to_port(unsigned index);
  [[nodiscard]] const rte_flow_action* end() {
    actions_.push_back({RTE_FLOW_ACTION_TYPE_END, nullptr});
    return actions_.data();
  }

 private:
  std::vector<rte_flow_action> actions_;
  std::deque<Bytes> kept_;
};

/// Ethdev numbers that stand for the card's ports, as no real ones exist.
inline constexpr std::uint16_t kFirstPortId = 20;

class CardTest : public ::testing::Test, public Outputs {
 protected:
  CardTest() { use("unlimited"); }
  ~CardTest() override;

  /// Starts over with a card of that profile; `change` may alter its configuration.
  void use(const char* profile, void (*change)(CardConfig&) = nullptr);

  /// A transfer rule on the proxy; null with `error_` filled in.
  Rule* create(Items items, Actions actions, std::uint32_t group = 0, std::uint32_t priority = 0);
  int destroy(Rule* rule) { return card_->destroy(rule, &error_); }
  /// Hits and bytes of a rule's counter.
  std::pair<std::uint64_t, std::uint64_t> count(Rule* rule);

  /// Sends a frame into the switch.
  Outcome send(const Bytes& frame, Source source = 1);

  void to_wire(std::uint16_t port, rte_mbuf* packet) override {
    keep(Outcome::kWire, port, packet);
  }
  void to_program(std::uint16_t port, int, rte_mbuf* packet, const ParsedPacket&) override {
    keep(Outcome::kProgram, port, packet);
  }
  void drop(std::uint16_t port, DropCause cause, rte_mbuf* packet) override {
    keep(Outcome::kDropped, port, packet);
    outcomes_.back().cause = cause;
  }

  Port& proxy() { return *card_->ports()[0]; }

  std::unique_ptr<Card> card_;
  std::unique_ptr<Executor> executor_;
  rte_mempool* pool_ = nullptr;
  std::vector<Outcome> outcomes_;
  rte_flow_error error_{};
  Nanos now_ = kNanosPerSecond;

 private:
  void keep(Outcome::Kind kind, std::uint16_t port, rte_mbuf* packet);
};

/// The stack of headers of a UDP packet from 10.0.0.1:1000 to 10.0.0.2:2000.
[[nodiscard]] Packet udp_packet();
[[nodiscard]] Items udp_pattern(std::uint16_t destination_port = 2000);

}  // namespace gannet::emudpu
