// SPDX-License-Identifier: BSD-3-Clause
#include "control/upkeep.hpp"

#include <array>

namespace gannet::control {
namespace {

constexpr std::size_t kNewsAtOnce = 64;

}  // namespace

void Upkeep::run() {
  read_news();
  controller_.expire_path_mtus(controller_.dataplane().clock().now());
  health_.run();
}

void Upkeep::read_news() {
  dataplane::Dataplane& dataplane = controller_.dataplane();
  for (unsigned w = 0; w < dataplane.worker_count(); ++w) {
    std::array<dataplane::News, kNewsAtOnce> news;
    unsigned count = 0;
    do {
      count = dataplane.worker(w).read_news(news);
      for (unsigned i = 0; i < count; ++i) {
        switch (news[i].kind) {
          case dataplane::NewsKind::kProbeAnswer: health_.read(news[i]); break;
          case dataplane::NewsKind::kRuleMatch: controller_.log_rule(news[i]); break;
          case dataplane::NewsKind::kPathMtu:
            controller_.note_path_mtu(news[i].tuple.destination.v4(), news[i].mtu, news[i].when);
            break;
        }
      }
    } while (count == news.size());
  }
}

}  // namespace gannet::control
