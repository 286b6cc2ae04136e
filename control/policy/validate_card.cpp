// SPDX-License-Identifier: BSD-3-Clause
// Arguments of the emulated card's driver, which people find out about here and not when the driver
// refuses them at start. It shares nothing with Gannet (docs/emudpu.md): a test compares the names.
#include "control/policy/check.hpp"
#include "control/policy/nearest.hpp"
#include "control/policy/validate.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace gannet::control {
namespace {

enum class Shape : std::uint8_t { kNumber, kFlag, kIdle, kErrno, kGiven, kTests };

struct Argument {
  std::string_view name;
  Shape shape;
  std::uint64_t least = 0;
  std::uint64_t most = UINT64_MAX;
};

constexpr std::uint64_t kMaxWord = UINT32_MAX;
constexpr auto kArguments = std::to_array<Argument>({
    {"uplink", Shape::kGiven},
    {"vf", Shape::kGiven},
    {"representor", Shape::kGiven},
    {"profile", Shape::kGiven},
    {"core", Shape::kNumber, 0, 1'023},
    {"idle", Shape::kIdle},
    {"manual", Shape::kTests},
    {"slots", Shape::kNumber},
    {"counters", Shape::kNumber},
    {"ages", Shape::kNumber},
    {"flow_queues", Shape::kNumber},
    {"buffers", Shape::kNumber, 0, kMaxWord},
    {"insert_rate", Shape::kNumber},
    {"insert_delay_us", Shape::kNumber},
    {"duplicates", Shape::kFlag},
    {"fault_full", Shape::kNumber, 0, 1},
    {"fault_insert_every", Shape::kNumber, 0, kMaxWord},
    {"fault_insert_percent", Shape::kNumber, 0, 100},
    {"fault_errno", Shape::kErrno},
    {"fault_slow_us", Shape::kNumber, 0, 60'000'000},
    {"fault_destroy_every", Shape::kNumber, 0, kMaxWord},
    {"fault_destroy_percent", Shape::kNumber, 0, 100},
    {"fault_lost_aged_percent", Shape::kNumber, 0, 100},
    {"fault_wrong", Shape::kNumber, 0, kMaxWord},
    {"fault_wrong_after", Shape::kNumber, 0, kMaxWord},
    {"fault_seed", Shape::kNumber, 1, kMaxWord},
});
constexpr std::uint64_t kMaxErrno = 4'095;
constexpr auto kErrnos = std::to_array<std::string_view>(
    {"EAGAIN", "EBUSY", "EINVAL", "EIO", "ENOMEM", "ENOSPC", "ENOTSUP", "ETIMEDOUT"});

bool is_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  return status == std::errc{} && end == text.data() + text.size() && !text.empty() &&
         number >= least && number <= most;
}

// What is wrong with one argument; empty: nothing.
std::string flaw_of(const Argument& argument, std::string_view value) {
  switch (argument.shape) {
    case Shape::kGiven: return "follows from the other fields of nic, and cannot be given here";
    case Shape::kTests:
      return value == "0" ? "" : "is for tests, which turn the card by hand: it would stand still";
    case Shape::kFlag: return value == "0" || value == "1" ? "" : "is 0 or 1";
    case Shape::kIdle: return value == "spin" || value == "adaptive" ? "" : "is spin or adaptive";
    case Shape::kErrno:
      if (std::find(kErrnos.begin(), kErrnos.end(), value) != kErrnos.end()) return "";
      return is_number(value, 0, kMaxErrno)
                 ? ""
                 : fmt::format("is a number or one of {}", fmt::join(kErrnos, ", "));
    case Shape::kNumber: break;
  }
  if (is_number(value, argument.least, argument.most)) return "";
  if (argument.most == UINT64_MAX) return "is a number";
  return fmt::format("is a number of {} to {}", argument.least, argument.most);
}

std::string unknown(std::string_view name) {
  NearestName nearest(name);
  for (const Argument& argument : kArguments) {
    if (argument.shape != Shape::kGiven) nearest.offer(argument.name);
  }
  const auto best = nearest.best();
  return best ? fmt::format("is not known; did you mean '{}'?", *best)
              : "is not known; docs/emudpu.md has all of them";
}

// "slots=40,idle=spin". As for DPDK, what is empty between commas is nothing.
template <typename Visit>
void for_each_argument(std::string_view rest, Visit&& visit) {
  while (true) {
    const std::string_view one = rest.substr(0, rest.find(','));
    const std::string_view name = one.substr(0, one.find('='));
    if (!one.empty()) visit(name, one.substr(std::min(one.size(), name.size() + 1)));
    if (one.size() == rest.size()) return;
    rest.remove_prefix(one.size() + 1);
  }
}

}  // namespace

void validate_card_arguments(const Located<std::string>& arguments, Diagnostics& diagnostics) {
  if (!arguments.is_given) return;
  for_each_argument(*arguments, [&](std::string_view name, std::string_view value) {
    const auto known = std::find_if(kArguments.begin(), kArguments.end(),
                                    [name](const Argument& a) { return a.name == name; });
    const std::string flaw = known == kArguments.end() ? unknown(name) : flaw_of(*known, value);
    if (flaw.empty()) return;
    diagnostics.error(Slug::invalid_value, arguments.place,
                      fmt::format("argument '{}' of the emulated card {}", name, flaw));
  });
}

std::optional<std::uint64_t> card_argument(const Nic& nic, std::string_view wanted) {
  std::optional<std::uint64_t> found;
  if (!nic.arguments.is_given) return found;
  for_each_argument(*nic.arguments, [&](std::string_view name, std::string_view value) {
    std::uint64_t number = 0;
    const bool is_read =
        std::from_chars(value.data(), value.data() + value.size(), number).ec == std::errc{};
    if (name == wanted && is_read) found = number;
  });
  return found;
}

}  // namespace gannet::control
