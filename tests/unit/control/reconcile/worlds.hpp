// SPDX-License-Identifier: BSD-3-Clause
// Two worlds that see the same policies and packets: in the first one connections are brought up to
// a policy by what it changes, in the second one all are judged again.
#pragma once

#include "control/compile/compiler.hpp"
#include "control/policy/load.hpp"
#include "control/reconcile/compare.hpp"
#include "dataplane/connections.hpp"
#include "tests/unit/control/reconcile/random_policy.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace gannet::control {

struct World {
  Identities identities;
  CompiledPolicy compiled;
  std::unique_ptr<dataplane::Connections> connections;
};

class Reconcile : public testing::Test {
 protected:
  static constexpr unsigned kPortCount = 100;

  [[nodiscard]] static std::optional<Policy> load(const std::string& text);
  void SetUp() override { make(4'096); }
  void make(std::uint32_t capacity);
  /// Both worlds have the policy; the first knows what it changes.
  void publish(const Policy& policy, std::uint32_t generation);

  [[nodiscard]] static dataplane::Ingress ingress_of(const dataplane::Snapshot& policy,
                                                     flows::Zone zone, Ip4 tunnel_source, Mac to);
  /// A packet comes; answered at once if it opens a connection that may be.
  template <typename Key>
  static void receive(World& world, const dataplane::Ingress& in, const dataplane::IpTuple& tuple,
                      bool is_answered, Mac answer_to);
  /// A packet from anywhere to anywhere, told by random numbers so that both worlds see the same.
  void send(RandomPolicy& random);
  /// One of a connection that there is, in either direction.
  template <typename Key>
  void send_again(RandomPolicy& random);
  /// Looks at so many records, the same in both worlds.
  void sweep_some(unsigned records);
  void sweep();
  template <typename Key>
  void expect_same();

  std::array<World, 2> worlds_;
  static inline std::string last_error_;

 private:
  template <typename Flow>
  [[nodiscard]] std::string difference(const Flow& a, const Flow& b) const;
  [[nodiscard]] std::string rule_name(std::uint32_t rule) const;
};

}  // namespace gannet::control
