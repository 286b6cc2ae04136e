// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/script.hpp"
#include "tests/packet/words.hpp"

#include <filesystem>
#include <fstream>
#include <map>

#include <fmt/format.h>

namespace gannet::test {
namespace {

struct Line {
  unsigned number;
  std::string text;
};

// Where packets come in, and as what they come out.
struct Path {
  std::string in_port;
  std::string in_text;
  std::string out_port;
  std::string out_text;
};

// With `include FILE` replaced by that file's lines; its place is relative to the including one's.
Result<std::vector<Line>> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(path + ": cannot be read");
  std::vector<Line> lines;
  std::string whole;
  unsigned first = 1;
  std::string line;
  for (unsigned number = 1; std::getline(file, line); ++number) {
    if (whole.empty()) first = number;
    if (line.ends_with('\\')) {
      whole += line.substr(0, line.size() - 1);
      continue;
    }
    whole += line;
    const std::string text(trim(std::string_view(whole).substr(0, whole.find('#'))));
    whole.clear();
    if (text.starts_with("include ")) {
      const auto folder = std::filesystem::path(path).parent_path();
      const auto more = read_lines(folder / trim(std::string_view(text).substr(8)));
      if (!more) return tl::unexpected(more.error());
      lines.insert(lines.end(), more->begin(), more->end());
    } else if (!text.empty()) {
      lines.push_back({first, text});
    }
  }
  return lines;
}

// Splits "word rest"; the word may be followed by a colon.
std::pair<std::string, std::string> first_word(std::string_view line) {
  const auto end = line.find_first_of(" :");
  const std::string word(line.substr(0, end));
  if (end == std::string_view::npos) return {word, ""};
  const bool is_colon = line[end] == ':';
  return {word, std::string(trim(line.substr(end + (is_colon ? 1 : 0))))};
}

// Splits "HEAD: REST" at the first colon that a blank follows: addresses have others.
std::pair<std::string_view, std::string_view> at_colon(std::string_view text) {
  const auto colon = text.find(": ");
  if (colon == std::string_view::npos) throw TextError{"no ': ' in '" + std::string(text) + "'"};
  return {trim(text.substr(0, colon)), trim(text.substr(colon + 2))};
}

std::uint64_t count_of(std::string_view text) {
  const auto value = read_number(text);
  if (!value) throw TextError{"'" + std::string(text) + "' is not a number"};
  return *value;
}

class Reader {
 public:
  explicit Reader(std::string path) : file_(std::move(path)) {}

  Result<std::vector<Script>> read() {
    const auto lines = read_lines(file_);
    if (!lines) return tl::unexpected(lines.error());
    try {
      take_lines(*lines, 0, lines->size());
    } catch (const TextError& error) {
      return fail(fmt::format("{}:{}: {}", file_, line_, error.message));
    }
    if (scripts_.empty()) return fail(file_ + ": has no title");
    return scripts_;
  }

 private:
  void take_lines(const std::vector<Line>& lines, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      line_ = lines[i].number;
      const std::string text = expand(lines[i].text, values_);
      const auto [word, rest] = first_word(text);
      if (word == "repeat" || word == "define") {
        const std::size_t end = end_of_block(lines, i + 1, to);
        if (word == "repeat") {
          repeat(lines, rest, i + 1, end);
        } else {
          blocks_[rest].assign(lines.begin() + static_cast<std::ptrdiff_t>(i + 1),
                               lines.begin() + static_cast<std::ptrdiff_t>(end));
        }
        i = end;
      } else if (word == "run") {
        run(rest);
      } else {
        take_line(word, rest);
      }
    }
  }

  // The lines of a block, as if they stood here.
  void run(const std::string& name) {
    const auto found = blocks_.find(name);
    if (found == blocks_.end()) throw TextError{"there is no block '" + name + "'"};
    const std::vector<Line> lines = found->second;
    take_lines(lines, 0, lines.size());
  }

  static std::size_t end_of_block(const std::vector<Line>& lines, std::size_t from,
                                  std::size_t to) {
    unsigned depth = 0;
    for (std::size_t i = from; i < to; ++i) {
      const bool opens =
          lines[i].text.starts_with("repeat ") || lines[i].text.starts_with("define ");
      if (opens) ++depth;
      if (lines[i].text != "end") continue;
      if (depth == 0) return i;
      --depth;
    }
    throw TextError{"the block has no 'end'"};
  }

  // NAME = FIRST .. LAST, or NAME = VALUE VALUE ...
  void repeat(const std::vector<Line>& lines, const std::string& head, std::size_t from,
              std::size_t to) {
    Words words = words_of(head);
    const std::string name(take_first(words, "a name"));
    if (take_first(words, "'='") != "=") throw TextError{"repeat takes NAME = VALUES"};
    std::vector<std::string> values(words.begin(), words.end());
    if (words.size() == 3 && words[1] == "..") {
      values.clear();
      for (std::uint64_t n = count_of(words[0]); n <= count_of(words[2]); ++n) {
        values.push_back(std::to_string(n));
      }
    }
    for (const std::string& value : values) {
      values_[name] = value;
      take_lines(lines, from, to);
    }
    values_.erase(name);
  }

  void take_line(const std::string& word, const std::string& rest) {
    Script& script = scripts_.empty() ? common_ : scripts_.back();
    if (word == "title") {
      if (scripts_.empty()) {
        common_.file = file_;
        common_values_ = values_;
        common_paths_ = paths_;
      }
      scripts_.push_back(common_);
      scripts_.back().title = rest;
      values_ = common_values_;
      paths_ = common_paths_;
    } else if (word == "covers") {
      for (const std::string_view id : words_of(rest)) script.covers.emplace_back(id);
    } else if (word == "policy") {
      script.policy = rest;
    } else if (word == "with") {
      script.changes.push_back(rest);
    } else if (word == "host") {
      script.host_yaml += rest + "\n";
    } else if (word == "card") {
      set_card(script, rest);
    } else if (word == "underlay") {
      script.underlay += ", " + rest;
    } else if (word == "mtu") {
      script.mtu = static_cast<unsigned>(count_of(rest));
    } else if (word == "workers") {
      script.least_workers = static_cast<unsigned>(count_of(rest));
    } else if (word == "capacity") {
      script.connections = static_cast<unsigned>(count_of(rest));
    } else if (word == "let") {
      add_word(script, rest);
    } else if (word == "neighbor") {
      const Words words = words_of(rest);
      if (words.size() != 2) throw TextError{"neighbor takes ADDRESS MAC"};
      script.neighbors.emplace_back(words[0], words[1]);
    } else if (word == "path") {
      add_path(rest);
    } else if (word == "pass" || word == "stop") {
      add_path_steps(script, word == "pass", rest);
    } else {
      add_step(script, word, rest);
    }
  }

  // How the case is run where there is a card: windows are checked in software alone (R27).
  static void set_card(Script& script, const std::string& rest) {
    if (rest == "strict-tcp") {
      script.card_host_yaml += "tracking: {strict_tcp: true}\n";
    } else if (rest == "none") {
      script.is_for_card = false;
    } else {
      throw TextError{"card takes strict-tcp or none"};
    }
  }

  void add_word(Script& script, const std::string& rest) {
    const auto equals = rest.find('=');
    if (equals == std::string::npos) throw TextError{"let takes NAME = VALUE"};
    const std::string name(trim(std::string_view(rest).substr(0, equals)));
    const std::string value(trim(std::string_view(rest).substr(equals + 1)));
    script.words.emplace_back(name, value);
    values_[name] = value;
  }

  // NAME: PORT: TEXT => PORT: TEXT
  void add_path(const std::string& rest) {
    const auto [name, ways] = at_colon(rest);
    const auto sides = split(ways, " => ");
    if (sides.size() != 2) throw TextError{"path takes NAME: PORT: TEXT => PORT: TEXT"};
    const auto [in_port, in_text] = at_colon(sides[0]);
    const auto [out_port, out_text] = at_colon(sides[1]);
    paths_[std::string(name)] = {std::string(in_port), std::string(in_text), std::string(out_port),
                                 std::string(out_text)};
  }

  // pass NAME [x5]: TEXT, or stop NAME REASON [x5]: TEXT; the text may be empty.
  void add_path_steps(Script& script, bool passes, const std::string& rest) {
    const auto colon = rest.find(':');
    Words head = words_of(std::string_view(rest).substr(0, colon));
    const std::string text(
        colon == std::string::npos ? "" : trim(std::string_view(rest).substr(colon + 1)));
    const auto found = paths_.find(take_first(head, "a path"));
    if (found == paths_.end()) throw TextError{"there is no such path"};
    const Path& path = found->second;
    const std::string reason(passes ? "" : take_first(head, "a reason"));
    const std::uint64_t count = times(head);
    const auto whole = [&text](const std::string& prefix) {
      return text.empty() ? prefix : prefix + " " + text;
    };
    script.steps.push_back(
        {Step::Kind::kSend, line_, path.in_port, whole(path.in_text), "", count});
    if (passes) {
      script.steps.push_back(
          {Step::Kind::kExpect, line_, path.out_port, whole(path.out_text), "", count});
    } else {
      script.steps.push_back({Step::Kind::kDrop, line_, "", reason, "", count});
    }
  }

  // "x5" among the words, or 1.
  static std::uint64_t times(Words& words) {
    for (auto it = words.begin(); it != words.end(); ++it) {
      if (!it->starts_with("x") || !read_number(it->substr(1))) continue;
      const std::uint64_t count = count_of(it->substr(1));
      words.erase(it);
      return count;
    }
    return 1;
  }

  void add_step(Script& script, const std::string& word, const std::string& rest) {
    using Kind = Step::Kind;
    static const std::map<std::string, Kind> kKinds{{"send", Kind::kSend},
                                                    {"noise", Kind::kNoise},
                                                    {"expect", Kind::kExpect},
                                                    {"drop", Kind::kDrop},
                                                    {"connections", Kind::kConnections},
                                                    {"mappings", Kind::kMappings},
                                                    {"fast", Kind::kFast},
                                                    {"distinct", Kind::kDistinct},
                                                    {"between", Kind::kBetween},
                                                    {"spread", Kind::kSpread},
                                                    {"advance", Kind::kAdvance},
                                                    {"apply", Kind::kApply},
                                                    {"change", Kind::kChange},
                                                    {"change-unswept", Kind::kChangeUnswept},
                                                    {"refuse", Kind::kRefuse},
                                                    {"backend", Kind::kBackend}};
    const auto kind = kKinds.find(word);
    if (kind == kKinds.end()) throw TextError{"do not understand '" + word + "'"};
    Step step{kind->second, line_, "", rest, "", 1};
    Words words = words_of(rest);
    switch (step.kind) {
      case Kind::kSend:
      case Kind::kNoise:
      case Kind::kExpect: {
        const auto [head, text] = at_colon(rest);
        words = words_of(head);
        step.port = take_first(words, "a port");
        step.count = times(words);
        for (const std::string_view how : words) step.how += std::string(how) + " ";
        step.text = text;
        break;
      }
      case Kind::kDrop:
        step.text = take_first(words, "a reason");
        if (!words.empty()) step.count = count_of(words.front());
        break;
      case Kind::kConnections:
      case Kind::kMappings:
      case Kind::kFast: step.count = count_of(rest); break;
      case Kind::kRefuse: {
        const auto [slug, change] = at_colon(rest);
        step.port = slug;
        step.text = change;
        break;
      }
      default: break;
    }
    script.steps.push_back(std::move(step));
  }

  std::string file_;
  unsigned line_ = 0;
  Script common_;
  std::vector<Script> scripts_;
  std::map<std::string, std::string, std::less<>> values_;  // Of `{name}`.
  std::map<std::string, std::string, std::less<>> common_values_;
  std::map<std::string, std::vector<Line>, std::less<>> blocks_;
  std::map<std::string, Path, std::less<>> paths_;
  std::map<std::string, Path, std::less<>> common_paths_;
};

}  // namespace

Result<std::vector<Script>> read_scripts(const std::string& path) { return Reader(path).read(); }

}  // namespace gannet::test
