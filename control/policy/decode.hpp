// SPDX-License-Identifier: BSD-3-Clause
// From the tree of a document to the model: strictly by the tables of fields. A key that is not in
// them, a value of another type, a field that is missing: each is reported, and decoding goes on.
// An object with a bad field still has its name, so that one mistake does not bring up others.
// Control thread and command line.
#pragma once

#include "control/policy/diagnostic.hpp"
#include "control/policy/document.hpp"
#include "control/policy/host_config.hpp"
#include "control/policy/model.hpp"
#include "control/policy/policy_test.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace gannet::control {

inline constexpr std::string_view kApiVersion = "gannet/v1";
enum class Kind : std::uint8_t { kHostConfig, kPolicy, kPolicyTest };
[[nodiscard]] std::string_view to_string(Kind kind);

/// What a document says that it is.
struct Header {
  Kind kind;
  Place place;  // Of the kind's name.
};

/// Reads `apiVersion` and `kind`. Nothing, and a diagnostic, if they are not ones that we know:
/// then no field of the document has a meaning.
[[nodiscard]] std::optional<Header> decode_header(const SourceFile& file, const Node& root,
                                                  Diagnostics& diagnostics);

/// Adds what a document of kind Policy holds to `policy`. A name that is there already is reported
/// with both places; metadata may be repeated, but not contradicted.
void decode(const SourceFile& file, const Node& root, Policy& policy, Diagnostics& diagnostics);
void decode(const SourceFile& file, const Node& root, HostConfig& host, Diagnostics& diagnostics);
void decode(const SourceFile& file, const Node& root, PolicyTest& test, Diagnostics& diagnostics);

}  // namespace gannet::control
