// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/diagnostic.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

namespace gannet::control {
namespace {

constexpr auto kSlugs = std::to_array<SlugText>({
#define SLUG(id, text, sentence) {text, sentence},
#include "control/policy/slugs.def"
#undef SLUG
});

}  // namespace

std::span<const SlugText> slug_texts() { return kSlugs; }

std::string_view to_string(Slug slug) { return kSlugs[static_cast<std::size_t>(slug)].text; }

std::string_view to_string(Severity severity) {
  return severity == Severity::kError ? "error" : "warning";
}

Diagnostic& Diagnostic::note(const Place& where, std::string what) {
  notes.push_back({where, std::move(what)});
  return *this;
}

Diagnostic& Diagnostics::error(Slug slug, const Place& place, std::string message) {
  ++error_count_;
  return add({Severity::kError, slug, place, std::move(message), {}});
}

Diagnostic& Diagnostics::warning(Slug slug, const Place& place, std::string message) {
  ++warning_count_;
  return add({Severity::kWarning, slug, place, std::move(message), {}});
}

Diagnostic& Diagnostics::add(Diagnostic diagnostic) {
  if (kept_.size() == kMaxKept) return beyond_ = std::move(diagnostic);
  return kept_.emplace_back(std::move(diagnostic));
}

std::vector<const Diagnostic*> Diagnostics::sorted() const {
  std::unordered_map<const SourceFile*, std::size_t> ranks;
  for (const auto& file : files_) ranks.emplace(file.get(), ranks.size());
  const auto rank = [&ranks](const Diagnostic* d) {
    const auto found = ranks.find(d->place.file);
    // What is about a file as a whole comes before what is in it.
    return std::pair{found == ranks.end() ? ranks.size() : found->second,
                     d->place.has_position() ? std::uint64_t{d->place.offset} + 1 : 0};
  };
  std::vector<const Diagnostic*> all;
  all.reserve(kept_.size());
  for (const auto& diagnostic : kept_) all.push_back(&diagnostic);
  std::stable_sort(all.begin(), all.end(),
                   [&rank](const auto* a, const auto* b) { return rank(a) < rank(b); });
  return all;
}

}  // namespace gannet::control
