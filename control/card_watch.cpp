// SPDX-License-Identifier: BSD-3-Clause
#include "control/card_watch.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace gannet::control {

std::vector<std::string> CardWatch::news(const OffloadManager::Status& status, Nanos now) {
  const offload::EngineStats& stats = status.stats;
  struct Thing {
    std::uint64_t count;
    const char* what;
  };
  const std::array<Thing, kThings> things{{
      {stats.resets, "reset: all rules are gone, flows go on in software and come back"},
      {stats.wrong, "rule did something else than it should, and was removed"},
      {status.wrong_guards, "guard did not do what it should; guards are put anew"},
      {stats.start_overs, "flush of all rules, as one could not be removed"},
      {status.flush_failures, "flush failed: the card is not in use until it succeeds"},
      {stats.orphans, "rule that no connection had, and was removed"},
      {stats.lost, "flow took a rule for its own that was not there"},
  }};
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < kThings; ++i) {
    Told& told = told_[i];
    if (things[i].count == told.count || now < told.may_tell) continue;
    lines.push_back(fmt::format("card: {} x {} ({} since the start)", things[i].count - told.count,
                                things[i].what, things[i].count));
    told = {things[i].count, now + kPause};
  }
  return lines;
}

void CardWatch::run(OffloadManager& offload, Nanos now) {
  for (const std::string& line : news(offload.status(), now)) {
    fmt::print(stderr, "gannetd: {}\n", line);
  }
}

}  // namespace gannet::control
