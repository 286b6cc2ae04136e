// SPDX-License-Identifier: BSD-3-Clause
// The tables of fields for others to read: JSON Schema for editors, Markdown for people. Generated,
// so that they cannot say anything else than what the decoder does. Command line and build.
#pragma once

#include "control/policy/decode.hpp"

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace gannet::control {

/// JSON Schema, draft 2020-12, of a kind of document.
[[nodiscard]] nlohmann::ordered_json json_schema(Kind kind);

/// The reference of all kinds, fields and diagnostics: docs/policy.md.
[[nodiscard]] std::string reference_markdown();

}  // namespace gannet::control
