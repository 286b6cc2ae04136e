// SPDX-License-Identifier: BSD-3-Clause
// What is wrong with a text that a person wrote: each finding with its place, a sentence and a slug
// that never changes. Findings are collected, never thrown, so that one run shows all of them.
// Control thread and command line.
#pragma once

#include "control/policy/source.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gannet::control {

enum class Severity : std::uint8_t { kError, kWarning };

/// The kind of a finding (slugs.def). Scripts and searches depend on the words.
enum class Slug : std::uint8_t {
#define SLUG(id, text, sentence) id,
#include "control/policy/slugs.def"
#undef SLUG
};

struct SlugText {
  std::string_view text;
  std::string_view sentence;
};
/// All of them, in the order of Slug.
[[nodiscard]] std::span<const SlugText> slug_texts();
[[nodiscard]] std::string_view to_string(Slug slug);
[[nodiscard]] std::string_view to_string(Severity severity);

/// Another place that explains a finding.
struct Note {
  Place place;
  std::string message;
};

struct Diagnostic {
  Severity severity = Severity::kError;
  Slug slug{};
  Place place;
  std::string message;
  std::vector<Note> notes;

  Diagnostic& note(const Place& where, std::string what);
};

/// The findings of one run. Of a flood only the first are kept; all are counted.
class Diagnostics {
 public:
  /// Beyond this number findings are only counted: a file of a million wrong lines must not fill
  /// the memory with sentences that nobody reads.
  static constexpr std::size_t kMaxKept = 1000;

  /// \return the finding, to which notes may be added until the next one is made.
  Diagnostic& error(Slug slug, const Place& place, std::string message);
  Diagnostic& warning(Slug slug, const Place& place, std::string message);

  /// Keeps a file alive for as long as there are places in it to be shown.
  void keep(std::shared_ptr<const SourceFile> file) { files_.push_back(std::move(file)); }

  [[nodiscard]] std::size_t error_count() const { return error_count_; }
  [[nodiscard]] std::size_t warning_count() const { return warning_count_; }
  [[nodiscard]] bool has_errors() const { return error_count_ != 0; }
  /// Whether a search for a helpful note is still worth its time.
  [[nodiscard]] bool wants_notes() const { return kept_.size() < kMaxNoted; }
  /// In the order in which they were found.
  [[nodiscard]] std::span<const Diagnostic> found() const { return kept_; }
  /// In the order of the files and of the text in them: how people work through them.
  [[nodiscard]] std::vector<const Diagnostic*> sorted() const;

 private:
  static constexpr std::size_t kMaxNoted = 100;

  Diagnostic& add(Diagnostic diagnostic);

  std::vector<Diagnostic> kept_;
  Diagnostic beyond_;  // Takes the notes of findings that are not kept.
  std::vector<std::shared_ptr<const SourceFile>> files_;
  std::size_t error_count_ = 0;
  std::size_t warning_count_ = 0;
};

}  // namespace gannet::control
