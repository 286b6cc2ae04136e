// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/nearest.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>
#include <vector>

namespace gannet::control {
namespace {

// Names are short; a long one is not compared letter by letter.
constexpr std::size_t kMaxLength = 64;

bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

// A third of the letters may be wrong, at least one, but never all.
std::size_t acceptable_distance(std::string_view name) {
  return name.size() < 2 ? 0 : std::max<std::size_t>(1, name.size() / 3);
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  const std::size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap >= limit || a.size() > kMaxLength || b.size() > kMaxLength) return limit;
  // Rows of the usual table: the one in work, the one above and the one above that.
  std::vector<std::size_t> row(b.size() + 1), above(b.size() + 1), above2(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(above2, above);
    std::swap(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool is_same = same_letter(a[i - 1], b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (is_same ? 0 : 1)});
      if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1])) {
        row[j] = std::min(row[j], above2[j - 2] + 1);
      }
    }
  }
  return std::min(row[b.size()], limit);
}

NearestName::NearestName(std::string_view wanted)
    : wanted_(wanted), best_distance_(acceptable_distance(wanted) + 1) {}

void NearestName::offer(std::string_view candidate) {
  const std::size_t distance = edit_distance(wanted_, candidate, best_distance_);
  if (distance >= best_distance_) return;
  best_distance_ = distance;
  best_ = candidate;
}

std::optional<std::string_view> NearestName::best() const {
  if (best_.empty()) return std::nullopt;
  return best_;
}

}  // namespace gannet::control
