// SPDX-License-Identifier: BSD-3-Clause
// What people write, from the text to the compiled policy: no text crashes anything, every finding
// has its place in the text, and a policy that is accepted reads back equal (P1, P4, P21).
#include "control/compile/compiler.hpp"
#include "control/policy/json.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"
#include "control/rehearsal.hpp"
#include "flows/base/check.hpp"
#include "tests/fuzz/entry.hpp"

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace {

using namespace gannet;
using namespace gannet::control;

std::optional<Loaded> load(const std::string& text, Diagnostics& diagnostics) {
  const Source source{std::make_shared<const SourceFile>("fuzz.yaml", text)};
  return load_any({&source, 1}, diagnostics);
}

void check_places(const Diagnostics& diagnostics) {
  for (const Diagnostic& d : diagnostics.found()) {
    GANNET_CHECK(!d.message.empty() && d.place.is_known());
    if (!d.place.has_position()) continue;
    const auto [line, column] = d.place.file->position(d.place.offset);
    GANNET_CHECK(line >= 1 && column >= 1);
    GANNET_CHECK(d.place.offset <= d.place.file->text().size());
  }
  for (const Format format : {Format::kText, Format::kGithub}) {
    (void)render(format, diagnostics, "fuzz");
  }
  for (const Format format : {Format::kJson, Format::kSarif}) {
    GANNET_CHECK(nlohmann::json::accept(render(format, diagnostics, "fuzz")));
  }
}

// A policy without errors compiles, whatever the host, or says why not.
void check_good(const Policy& policy) {
  Diagnostics diagnostics;
  const auto again = load(to_json(policy).dump(), diagnostics);
  GANNET_CHECK(again && again->policy && !diagnostics.has_errors());
  GANNET_CHECK(*again->policy == policy);
  lint(policy, diagnostics);
  check_places(diagnostics);
  Identities identities;
  const auto compiled = compile(policy, imagined_host(policy), {}, 1, 0, identities);
  GANNET_CHECK(compiled || !compiled.error().message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Diagnostics diagnostics;
  const auto loaded = load(std::string(reinterpret_cast<const char*>(data), size), diagnostics);
  GANNET_CHECK(loaded || diagnostics.has_errors());
  if (loaded) {
    const HostConfig* const host = loaded->host ? &*loaded->host : nullptr;
    if (host != nullptr) validate(*host, diagnostics);
    const Policy policy = loaded->policy.value_or(Policy{});
    if (loaded->policy) validate(policy, host, diagnostics);
    for (const PolicyTest& test : loaded->tests) validate(test, policy, diagnostics);
    if (loaded->policy && !diagnostics.has_errors()) check_good(policy);
  }
  check_places(diagnostics);
  return 0;
}
