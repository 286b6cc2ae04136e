// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/render.hpp"

#include "control/policy/json_value.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

// Longest part of a source line that is shown, in bytes: a whole policy may stand in one line.
constexpr std::size_t kMaxExcerpt = 200;

std::string_view file_name(const Place& place) {
  return place.is_known() ? std::string_view(place.file->name()) : std::string_view("gannet");
}

std::size_t shown_count(const Diagnostics& diagnostics) {
  return std::min(diagnostics.found().size(), kMaxShown);
}

std::size_t hidden_count(const Diagnostics& diagnostics) {
  return diagnostics.error_count() + diagnostics.warning_count() - shown_count(diagnostics);
}

// "shop.yaml:41:85", or only the name where there is no more to say.
std::string where(const Place& place) {
  if (!place.has_position()) return std::string(file_name(place));
  const auto [line, column] = place.file->position(place.offset);
  return fmt::format("{}:{}:{}", file_name(place), line, column);
}

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

// The part of a line that is shown and what of it is underlined, in bytes.
struct Excerpt {
  std::string text;
  std::size_t first;
  std::size_t length;
};

Excerpt cut_excerpt(const Place& place, std::uint32_t line_number) {
  const auto line = place.file->line(line_number);
  const auto line_offset = static_cast<std::size_t>(line.data() - place.file->text().data());
  const std::size_t first = std::min<std::size_t>(place.offset - line_offset, line.size());
  std::size_t begin =
      first > kMaxExcerpt / 2 && line.size() > kMaxExcerpt ? first - kMaxExcerpt / 2 : 0;
  while (begin < first && !starts_character(line[begin])) ++begin;
  std::size_t end = std::min(line.size(), begin + kMaxExcerpt);
  while (end > first && end < line.size() && !starts_character(line[end])) --end;
  const auto length = std::min<std::size_t>(place.length, end - first);
  std::string text(line.substr(begin, end - begin));
  // What a terminal would take for a command is not shown to it.
  for (char& c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = '?';
  }
  return {std::move(text), first - begin, length};
}

std::string excerpt_lines(const Place& place) {
  const auto line = place.file->position(place.offset).line;
  const auto [text, first, length] = cut_excerpt(place, line);
  // Tabs are repeated below, so that the mark stands under the text however wide they are.
  std::string pad;
  for (const char c : std::string_view(text).substr(0, first)) {
    if (starts_character(c)) pad += c == '\t' ? '\t' : ' ';
  }
  const auto width = count_characters(std::string_view(text).substr(first, length));
  return fmt::format("{:>5} | {}\n{:>5} | {}^{:~<{}}\n", line, text, "", pad, "",
                     width > 1 ? width - 1 : 0);
}

std::string summary(const Diagnostics& diagnostics) {
  std::string text;
  if (diagnostics.has_errors()) text = plural(diagnostics.error_count(), "error");
  if (diagnostics.warning_count() != 0) {
    if (!text.empty()) text += ", ";
    text += plural(diagnostics.warning_count(), "warning");
  }
  if (diagnostics.has_errors()) text += "; nothing was applied";
  return text;
}

std::string render_text(const Diagnostics& diagnostics, std::string_view subject) {
  std::string out;
  const auto all = diagnostics.sorted();
  for (std::size_t i = 0; i < shown_count(diagnostics); ++i) {
    const auto& d = *all[i];
    out += fmt::format("{}: {}: {} [{}]\n", where(d.place), to_string(d.severity), d.message,
                       to_string(d.slug));
    if (d.place.has_position()) out += excerpt_lines(d.place);
    for (const auto& note : d.notes) {
      out += fmt::format("{}: note: {}\n", where(note.place), note.message);
    }
  }
  if (all.empty()) return out;
  if (const auto hidden = hidden_count(diagnostics); hidden != 0) {
    out += fmt::format("{}: {} more not shown\n", subject, hidden);
  }
  return out + fmt::format("{}: {}\n", subject, summary(diagnostics));
}

Json place_json(const Place& place) {
  Json out{{"file", file_name(place)}};
  if (!place.has_position()) return out;
  const auto [line, column] = place.file->position(place.offset);
  out["line"] = line;
  out["column"] = column;
  out["length"] =
      std::max(1U, count_characters(place.file->text().substr(place.offset, place.length)));
  return out;
}

std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string render_json(const Diagnostics& diagnostics, std::string_view subject) {
  Json list = Json::array();
  const auto all = diagnostics.sorted();
  for (std::size_t i = 0; i < shown_count(diagnostics); ++i) {
    Json d = place_json(all[i]->place);
    d["severity"] = to_string(all[i]->severity);
    d["slug"] = to_string(all[i]->slug);
    d["message"] = all[i]->message;
    d["notes"] = Json::array();
    for (const auto& note : all[i]->notes) {
      Json n = place_json(note.place);
      n["message"] = note.message;
      d["notes"].push_back(std::move(n));
    }
    list.push_back(std::move(d));
  }
  return dump(Json{{"subject", subject},
                   {"errors", diagnostics.error_count()},
                   {"warnings", diagnostics.warning_count()},
                   {"not_shown", hidden_count(diagnostics)},
                   {"diagnostics", std::move(list)}});
}

Json sarif_location(const Place& place) {
  Json physical{{"artifactLocation", {{"uri", file_name(place)}}}};
  if (place.has_position()) {
    const auto [line, column] = place.file->position(place.offset);
    const auto width =
        std::max(1U, count_characters(place.file->text().substr(place.offset, place.length)));
    physical["region"] = {
        {"startLine", line}, {"startColumn", column}, {"endColumn", column + width}};
  }
  return Json{{"physicalLocation", std::move(physical)}};
}

// SARIF 2.1.0 (OASIS): 3.27 result, 3.49 reportingDescriptor.
std::string render_sarif(const Diagnostics& diagnostics) {
  Json results = Json::array();
  std::set<Slug> used;
  const auto all = diagnostics.sorted();
  for (std::size_t i = 0; i < shown_count(diagnostics); ++i) {
    const auto& d = *all[i];
    used.insert(d.slug);
    Json result{{"ruleId", to_string(d.slug)},
                {"level", to_string(d.severity)},
                {"message", {{"text", d.message}}},
                {"locations", Json::array({sarif_location(d.place)})}};
    for (const auto& note : d.notes) {
      Json related = sarif_location(note.place);
      related["message"] = {{"text", note.message}};
      result["relatedLocations"].push_back(std::move(related));
    }
    results.push_back(std::move(result));
  }
  Json rules = Json::array();
  for (const Slug slug : used) {
    const auto& text = slug_texts()[static_cast<std::size_t>(slug)];
    rules.push_back({{"id", text.text}, {"shortDescription", {{"text", text.sentence}}}});
  }
  Json run{{"tool", {{"driver", {{"name", "gannet"}, {"rules", std::move(rules)}}}}},
           {"columnKind", "unicodeCodePoints"},
           {"results", std::move(results)}};
  return dump(Json{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                   {"version", "2.1.0"},
                   {"runs", Json::array({std::move(run)})}});
}

// Workflow commands end at a line end, and their properties at ',' and ':'.
std::string github_escape(std::string_view text, bool is_property) {
  std::string out;
  for (const char c : text) {
    const bool is_special = c == '%' || c == '\r' || c == '\n';
    if (is_special || (is_property && (c == ',' || c == ':'))) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string render_github(const Diagnostics& diagnostics, std::string_view subject) {
  std::string out;
  const auto all = diagnostics.sorted();
  for (std::size_t i = 0; i < shown_count(diagnostics); ++i) {
    const auto& d = *all[i];
    std::string message = fmt::format("{} [{}]", d.message, to_string(d.slug));
    for (const auto& note : d.notes) {
      message += fmt::format("\n{}: {}", where(note.place), note.message);
    }
    out +=
        fmt::format("::{} file={}", to_string(d.severity), github_escape(file_name(d.place), true));
    if (d.place.has_position()) {
      const auto [line, column] = d.place.file->position(d.place.offset);
      out += fmt::format(",line={},col={}", line, column);
    }
    out += fmt::format("::{}\n", github_escape(message, false));
  }
  if (const auto hidden = hidden_count(diagnostics); hidden != 0) {
    out += fmt::format("::notice::{}: {} more not shown\n", github_escape(subject, false), hidden);
  }
  return out;
}

}  // namespace

std::string plural(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::optional<Format> parse_format(std::string_view word) {
  constexpr std::array<std::string_view, 4> kWords{"text", "json", "sarif", "github"};
  const auto found = std::find(kWords.begin(), kWords.end(), word);
  if (found == kWords.end()) return std::nullopt;
  return static_cast<Format>(found - kWords.begin());
}

std::string render(Format format, const Diagnostics& diagnostics, std::string_view subject) {
  switch (format) {
    case Format::kText: return render_text(diagnostics, subject);
    case Format::kJson: return render_json(diagnostics, subject);
    case Format::kSarif: return render_sarif(diagnostics);
    case Format::kGithub: return render_github(diagnostics, subject);
  }
  return {};
}

}  // namespace gannet::control
