// SPDX-License-Identifier: BSD-3-Clause
// Policies at random, as a heap of choices of which a change makes a few anew.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace gannet::control {

/// VPCs a and c have the same networks; a and b may be routed to each other.
class RandomPolicy {
 public:
  explicit RandomPolicy(std::uint32_t seed) : random_(seed) {
    for (std::uint32_t& choice : choices_) choice = random_();
  }

  void change(unsigned count) {
    for (; count != 0; --count) choices_[below(kChoices)] = random_();
  }
  unsigned below(unsigned limit) { return random_() % limit; }
  bool one_in(unsigned count) { return below(count) == 0; }

  static constexpr unsigned kEniCount = 6;

  [[nodiscard]] std::string text();

 private:
  static constexpr unsigned kChoices = 400;

  unsigned pick(unsigned limit) { return choices_[next_++ % kChoices] % limit; }
  bool rarely() { return pick(8) == 0; }
  std::string some(std::vector<std::string> words);
  std::string vpc(const std::string& name, unsigned vni, const std::string& net,
                  const std::string& v6);
  std::string route_tables();
  std::string rules(const char* side);
  std::string group(unsigned number);
  std::string enis();
  std::string backends();
  std::string balancers();

  std::mt19937 random_;
  std::array<std::uint32_t, kChoices> choices_{};
  unsigned next_ = 0;
};

}  // namespace gannet::control
