// SPDX-License-Identifier: BSD-3-Clause
// Compiles MODIFY_FIELD: whole fields of the outermost headers, set to a value, copied from another
// field of the same width, or added to. Control threads.
#pragma once

#include "flows/emudpu/program.hpp"

#include <rte_flow.h>

namespace gannet::emudpu {

/// \return 0, or -1 with a reason.
[[nodiscard]] int compile_modify_field(const rte_flow_action_modify_field& action,
                                       ProgramBuffer& program, const char** why);

}  // namespace gannet::emudpu
