// SPDX-License-Identifier: BSD-3-Clause
// What a compiled policy changes of the one before, in the form in which workers ask it of each
// connection. Numbers of a snapshot are matched by what they are called and what they say, so a
// new rule at the top of a list, or a mapping in the middle, is no change of all that follow.
// Anything that cannot be told apart counts as changed. Control thread only; nearly linear in the
// size of both (docs/decisions/reconcile.md).
#pragma once

#include "control/compile/names.hpp"
#include "dataplane/changes.hpp"

#include <memory>

namespace gannet::control {

struct NamedSnapshot {
  const dataplane::Snapshot& snapshot;
  const SnapshotNames& names;
};

/// \return null if everything may have changed: every connection is to be judged again.
[[nodiscard]] std::shared_ptr<const dataplane::Changes> compare(const NamedSnapshot& before,
                                                                const NamedSnapshot& after);

}  // namespace gannet::control
