// SPDX-License-Identifier: BSD-3-Clause
// The name that was probably meant. Control thread and command line; costs the product of both
// lengths for each candidate of a similar length.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace gannet::control {

/// Finds the candidate with the fewest slips of the pen (a letter wrong, missing, too many, or two
/// swapped; Damerau 1964), if those are few enough for the length of the name to be a slip at all.
/// Of equals the first one offered wins.
class NearestName {
 public:
  explicit NearestName(std::string_view wanted);

  void offer(std::string_view candidate);
  [[nodiscard]] std::optional<std::string_view> best() const;

 private:
  std::string_view wanted_;
  std::string_view best_;
  std::size_t best_distance_;  // One more than what is acceptable while there is none.
};

/// Number of such slips between two texts, at most `limit`.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);

}  // namespace gannet::control
