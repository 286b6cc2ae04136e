// SPDX-License-Identifier: BSD-3-Clause
// Programmer's errors: check and abort. Never for anything that a peer, a user or a NIC can cause.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace gannet {

[[noreturn]] inline void check_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "gannet: internal error: %s is false at %s:%d\n", what, file, line);
  std::abort();
}

}  // namespace gannet

/// Aborts with place and expression if `condition` is false, in every build.
#define GANNET_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::gannet::check_failed(#condition, __FILE__, __LINE__))

/// The same in debug builds only: for the packet path.
#ifdef NDEBUG
#define GANNET_DCHECK(condition) static_cast<void>(0)
#else
#define GANNET_DCHECK(condition) GANNET_CHECK(condition)
#endif
