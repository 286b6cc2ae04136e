// SPDX-License-Identifier: BSD-3-Clause
// The driver's log type, "pmd.net.emudpu".
#pragma once

#include <rte_log.h>

namespace gannet::emudpu {
extern int g_log_type;
}

#define EMUDPU_LOG(level, format, ...)                   \
  rte_log(RTE_LOG_##level, ::gannet::emudpu::g_log_type, \
          "emudpu: " format "\n" __VA_OPT__(, ) __VA_ARGS__)
