// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/faults.hpp"

#include <cerrno>
#include <charconv>
#include <iterator>

namespace gannet::emudpu {
namespace {

struct ErrnoName {
  std::string_view name;
  unsigned number;
};
constexpr ErrnoName kErrnos[] = {{"EAGAIN", EAGAIN},   {"EBUSY", EBUSY},        {"EINVAL", EINVAL},
                                 {"EIO", EIO},         {"ENOMEM", ENOMEM},      {"ENOSPC", ENOSPC},
                                 {"ENOTSUP", ENOTSUP}, {"ETIMEDOUT", ETIMEDOUT}};

bool parse_number(std::string_view text, unsigned& out) {
  for (const ErrnoName& known : kErrnos) {
    if (known.name == text) {
      out = known.number;
      return true;
    }
  }
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out);
  return status == std::errc{} && end == text.data() + text.size() && !text.empty();
}

}  // namespace

bool Faults::set(std::string_view name, std::string_view value) {
  unsigned number = 0;
  if (!parse_number(value, number)) return false;
  const struct {
    std::string_view name;
    unsigned* field;
    unsigned max;
  } fields[] = {{"full", &full_, 1},
                {"insert_every", &insert_every_, ~0u},
                {"insert_percent", &insert_percent_, 100},
                {"errno", &errno_, 4095},
                {"slow_us", &slow_us_, 60'000'000},
                {"destroy_every", &destroy_every_, ~0u},
                {"destroy_percent", &destroy_percent_, 100},
                {"wrong", &wrong_, ~0u},
                {"wrong_after", &wrong_after_, ~0u}};
  for (const auto& field : fields) {
    if (field.name != name || number > field.max) continue;
    *field.field = number;
    return true;
  }
  if (name == "lost_aged_percent" && number <= 100) {
    lost_aged_percent_.store(number, std::memory_order_relaxed);
    return true;
  }
  if (name != "seed" || number == 0) return false;
  random_ = number;
  return true;
}

void Faults::clear() {
  full_ = insert_every_ = insert_percent_ = errno_ = slow_us_ = 0;
  destroy_every_ = destroy_percent_ = wrong_ = wrong_after_ = 0;
  lost_aged_percent_.store(0, std::memory_order_relaxed);
}

bool Faults::draw(std::uint64_t& state, unsigned percent) {
  if (percent == 0) return false;
  // Xorshift64* (Vigna 2016): the same seed gives the same faults.
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (state * 0x2545'f491'4f6c'dd1d >> 32) % 100 < percent;
}

int Faults::insertion() {
  int code = 0;
  ++inserts_;
  if (full_ != 0) {
    code = ENOSPC;
  } else if ((insert_every_ != 0 && inserts_ % insert_every_ == 0) ||
             draw(random_, insert_percent_)) {
    code = errno_ != 0 ? static_cast<int>(errno_) : EIO;
  }
  if (code != 0) injected_.fetch_add(1, std::memory_order_relaxed);
  return code;
}

int Faults::destruction() {
  ++destroys_;
  const bool fails =
      (destroy_every_ != 0 && destroys_ % destroy_every_ == 0) || draw(random_, destroy_percent_);
  if (!fails) return 0;
  injected_.fetch_add(1, std::memory_order_relaxed);
  return errno_ != 0 ? static_cast<int>(errno_) : EIO;
}

bool Faults::is_next_rule_wrong() {
  if (wrong_ == 0) return false;
  if (wrong_after_ != 0) {
    --wrong_after_;
    return false;
  }
  --wrong_;
  injected_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool Faults::loses_aged() {
  const bool is_lost = draw(asic_random_, lost_aged_percent_.load(std::memory_order_relaxed));
  if (is_lost) injected_.fetch_add(1, std::memory_order_relaxed);
  return is_lost;
}

}  // namespace gannet::emudpu
