// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/control/policy/marked_text.hpp"

#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gannet::control {
namespace {

constexpr std::string_view kOpen = "«";
constexpr std::string_view kClose = "»";

std::string describe_one(std::string_view severity, std::string_view slug,
                         SourceFile::Position position, std::size_t length) {
  return fmt::format("{} {} {}:{}+{}", severity, slug, position.line, position.column, length);
}

void add_findings(MarkedText& out, std::string_view slugs, std::size_t offset, std::size_t length) {
  const SourceFile file("marked", out.text);
  const auto position = file.position(static_cast<std::uint32_t>(offset));
  while (!slugs.empty()) {
    const auto plus = std::min(slugs.find('+'), slugs.size());
    auto slug = slugs.substr(0, plus);
    const bool is_warning = slug.starts_with('~');
    if (is_warning) slug.remove_prefix(1);
    out.findings.push_back(describe_one(is_warning ? "warning" : "error", slug, position, length));
    slugs.remove_prefix(std::min(plus + 1, slugs.size()));
  }
}

}  // namespace

MarkedText take_marks(std::string_view marked) {
  MarkedText out;
  while (!marked.empty()) {
    const auto open = std::min(marked.find(kOpen), marked.size());
    out.text += marked.substr(0, open);
    if (open == marked.size()) break;
    marked.remove_prefix(open + kOpen.size());
    const auto bar = marked.find('|');
    const auto close = marked.find(kClose);
    if (bar > close || close == std::string_view::npos) {
      ADD_FAILURE() << "a mark is «slug|text»: " << marked;
      break;
    }
    const auto offset = out.text.size();
    out.text += marked.substr(bar + 1, close - bar - 1);
    add_findings(out, marked.substr(0, bar), offset, out.text.size() - offset);
    marked.remove_prefix(close + kClose.size());
  }
  std::sort(out.findings.begin(), out.findings.end());
  return out;
}

std::vector<std::string> describe(const Diagnostics& diagnostics) {
  std::vector<std::string> out;
  for (const Diagnostic& d : diagnostics.found()) {
    if (d.place.has_position()) {
      out.push_back(describe_one(to_string(d.severity), to_string(d.slug),
                                 d.place.file->position(d.place.offset), d.place.length));
    } else {
      out.push_back(fmt::format("{} {} {}", to_string(d.severity), to_string(d.slug),
                                d.place.is_known() ? d.place.file->name() : ""));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  if (at == std::string_view::npos || text.find(from, at + 1) != std::string_view::npos) {
    ADD_FAILURE() << "'" << from << "' is not there exactly once";
    return std::string(text);
  }
  return fmt::format("{}{}{}", text.substr(0, at), to, text.substr(at + from.size()));
}

std::unique_ptr<Checked> check_text_of(std::string_view text, std::string name) {
  auto checked = std::make_unique<Checked>();
  Diagnostics& diagnostics = checked->diagnostics;
  const Source source{std::make_shared<const SourceFile>(name, std::string(text))};
  if (const auto loaded = load_any({&source, 1}, diagnostics)) {
    const HostConfig* const host = loaded->host ? &*loaded->host : nullptr;
    if (host != nullptr) validate(*host, diagnostics);
    const Policy policy = loaded->policy.value_or(Policy{});
    if (loaded->policy) validate(policy, host, diagnostics);
    for (const PolicyTest& test : loaded->tests) validate(test, policy, diagnostics);
    if (loaded->policy && !diagnostics.has_errors()) lint(policy, diagnostics);
  }
  checked->rendered = render(Format::kText, diagnostics, name);
  return checked;
}

}  // namespace gannet::control
