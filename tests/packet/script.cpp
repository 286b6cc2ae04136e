// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packet/script.hpp"

#include "control/policy/units.hpp"
#include "tests/packet/bench_switch.hpp"
#include "tests/packet/packet_text.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

namespace gannet::test {
namespace {

std::string trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

// Splits "word rest"; the word may be followed by a colon.
std::pair<std::string, std::string> first_word(const std::string& line) {
  const auto end = line.find_first_of(" :");
  const std::string word = line.substr(0, end);
  if (end == std::string::npos) return {word, ""};
  const bool is_colon = line[end] == ':';
  return {word, trim(std::string_view(line).substr(end + (is_colon ? 1 : 0)))};
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

bool parse_count(const std::string& text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

class Reader {
 public:
  explicit Reader(std::string path) { script_.file = std::move(path); }

  Result<Script> read() {
    std::ifstream file(script_.file);
    if (!file) return fail(script_.file + ": cannot be read");
    std::string line;
    std::string whole;
    for (unsigned number = 1; std::getline(file, line); ++number) {
      if (whole.empty()) line_ = number;
      if (line.ends_with('\\')) {
        whole += line.substr(0, line.size() - 1);
        continue;
      }
      whole += line;
      const std::string text = trim(whole.substr(0, whole.find('#')));
      whole.clear();
      if (text.empty()) continue;
      if (const std::string wrong = add(text); !wrong.empty()) {
        return fail(fmt::format("{}:{}: {}", script_.file, line_, wrong));
      }
    }
    if (script_.title.empty()) return fail(script_.file + ": has no title");
    return script_;
  }

 private:
  std::string add(const std::string& text) {
    const auto [word, rest] = first_word(text);
    if (word == "title")
      script_.title = rest;
    else if (word == "covers")
      script_.covers = words_of(rest);
    else if (word == "policy")
      script_.policy = rest;
    else if (word == "host")
      script_.host_yaml += rest + "\n";
    else if (word == "mtu")
      return parse_limit(rest, script_.mtu);
    else if (word == "capacity")
      return parse_limit(rest, script_.connections);
    else if (word == "let")
      return add_word(rest);
    else if (word == "neighbor")
      return add_neighbor(rest);
    else
      return add_step(word, rest);
    return {};
  }

  static std::string parse_limit(const std::string& text, unsigned& out) {
    std::uint64_t value = 0;
    if (!parse_count(text, value)) return "'" + text + "' is not a number";
    out = static_cast<unsigned>(value);
    return {};
  }

  std::string add_word(const std::string& rest) {
    const auto equals = rest.find('=');
    if (equals == std::string::npos) return "let takes NAME = VALUE";
    script_.words.emplace_back(trim(rest.substr(0, equals)), trim(rest.substr(equals + 1)));
    return {};
  }

  std::string add_neighbor(const std::string& rest) {
    const auto words = words_of(rest);
    if (words.size() != 2) return "neighbor takes ADDRESS MAC";
    script_.neighbors.emplace_back(words[0], words[1]);
    return {};
  }

  std::string add_step(const std::string& word, const std::string& rest) {
    Step step;
    step.line = line_;
    if (word == "send" || word == "expect") {
      step.kind = word == "send" ? Step::Kind::kSend : Step::Kind::kExpect;
      const auto colon = rest.find(':');
      if (colon == std::string::npos) return word + " takes PORT: PACKET";
      const auto head = words_of(rest.substr(0, colon));
      if (head.empty() || head.size() > 2) return word + " takes PORT: PACKET";
      step.port = head[0];
      const bool has_count = head.size() == 2;
      if (has_count && (!head[1].starts_with("x") || !parse_count(head[1].substr(1), step.count))) {
        return "'" + head[1] + "' is not like x5";
      }
      step.text = trim(std::string_view(rest).substr(colon + 1));
    } else if (word == "drop") {
      step.kind = Step::Kind::kDrop;
      const auto words = words_of(rest);
      if (words.empty() || (words.size() > 1 && !parse_count(words[1], step.count))) {
        return "drop takes REASON [COUNT]";
      }
      step.text = words[0];
    } else if (word == "connections" || word == "fast") {
      step.kind = word == "fast" ? Step::Kind::kFast : Step::Kind::kConnections;
      if (!parse_count(rest, step.count)) return word + " takes a number";
    } else if (word == "advance" || word == "apply") {
      step.kind = word == "advance" ? Step::Kind::kAdvance : Step::Kind::kApply;
      step.text = rest;
    } else {
      return "do not understand '" + word + "'";
    }
    script_.steps.push_back(std::move(step));
    return {};
  }

  Script script_;
  unsigned line_ = 0;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(path + ": cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The ports that a policy's ENIs name, in order.
std::vector<std::string> ports_of(const std::string& policy) {
  std::vector<std::string> ports;
  const std::string_view key = "port: ";
  std::istringstream stream(policy);
  for (std::string line; std::getline(stream, line);) {
    // Both ways to write an ENI: "port: vm1" on a line of its own, or inside braces.
    const auto at = line.find(key);
    const bool is_word = at != std::string::npos && (at == 0 || line[at - 1] == ' ');
    if (!is_word) continue;
    const std::string name =
        line.substr(at + key.size(), line.find_first_of(",}", at) - at - key.size());
    const bool is_port = !name.empty() && std::isalpha(static_cast<unsigned char>(name[0])) != 0;
    if (is_port && std::find(ports.begin(), ports.end(), name) == ports.end())
      ports.push_back(name);
  }
  return ports;
}

class Runner {
 public:
  Runner(const Script& script, std::string policies)
      : script_(script), policies_(std::move(policies)) {}

  Result<void> run(unsigned worker_count) {
    if (const auto ready = prepare(worker_count); !ready) return ready;
    bool is_settled = true;  // Nothing has happened since the last look.
    for (const Step& step : script_.steps) {
      const bool acts = step.kind == Step::Kind::kSend || step.kind == Step::Kind::kAdvance ||
                        step.kind == Step::Kind::kApply;
      const bool starts = acts && !(step.kind == Step::Kind::kSend && last_ == Step::Kind::kSend);
      if (starts && !is_settled) {
        if (const auto settled = settle(step.line); !settled) return settled;
      }
      if (!acts) bench_->run();
      if (const auto done = take(step); !done) return at(step.line, done.error().message);
      is_settled = false;
      last_ = step.kind;
    }
    bench_->run();
    if (const auto settled = settle(0); !settled) return settled;
    const std::string wrong = bench_->unbalanced();
    return wrong.empty() ? Result<void>{}
                         : at(0, "packets in are not packets out and drops\n" + wrong);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> at(unsigned line, const std::string& what) const {
    return fail(line == 0 ? fmt::format("{}: at the end: {}", script_.file, what)
                          : fmt::format("{}:{}: {}", script_.file, line, what));
  }

  Result<void> prepare(unsigned worker_count) {
    const auto policy = read_file(policies_ + "/" + script_.policy + ".yaml");
    if (!policy) return tl::unexpected(policy.error());
    BenchConfig config;
    config.worker_count = worker_count;
    config.vm_ports = ports_of(*policy);
    config.host_yaml = script_.host_yaml;
    config.mtu = static_cast<std::uint16_t>(script_.mtu);
    config.connections = script_.connections;
    auto bench = BenchSwitch::create(config);
    if (!bench) return at(0, bench.error().message);
    bench_ = std::move(*bench);
    vocabulary_.words = {{"gw", "02:67:6e:74:00:01"},
                         {"any", "ff:ff:ff:ff:ff:ff"},
                         {"up", to_string(bench_->uplink_mac())}};
    for (const auto& [name, value] : script_.words) vocabulary_.words[name] = value;
    for (const auto& [ip, mac] : script_.neighbors) {
      const auto address = parse_ip4(ip);
      const auto value = parse_mac(mac);
      if (!address || !value) return at(0, "neighbor " + ip + " " + mac + ": no address and MAC");
      bench_->set_neighbor(*address, *value);
    }
    if (const auto applied = bench_->apply(script_.policy, *policy); !applied) {
      return at(0, applied.error().message);
    }
    return {};
  }

  Result<void> take(const Step& step) {
    switch (step.kind) {
      case Step::Kind::kSend: return send(step);
      case Step::Kind::kExpect: return expect(step);
      case Step::Kind::kDrop: expected_drops_[step.text] += step.count; return {};
      case Step::Kind::kConnections:
        return compare("connections", bench_->connection_count(), step.count);
      case Step::Kind::kFast: {
        const std::uint64_t now = bench_->fast_count();
        return compare("packets by the flow table", now - std::exchange(fast_before_, now),
                       step.count);
      }
      case Step::Kind::kAdvance: {
        const auto duration = control::parse_duration(step.text);
        if (!duration) return fail("'" + step.text + "' is no duration");
        bench_->advance(static_cast<Nanos>(duration->count()));
        return {};
      }
      case Step::Kind::kApply: {
        const auto policy = read_file(policies_ + "/" + step.text + ".yaml");
        if (!policy) return tl::unexpected(policy.error());
        return bench_->apply(step.text, *policy);
      }
    }
    return {};
  }

  static Result<void> compare(const char* what, std::uint64_t actual, std::uint64_t expected) {
    if (actual == expected) return {};
    return fail(fmt::format("{} {}, expected {}", actual, what, expected));
  }

  Result<void> send(const Step& step) {
    for (std::uint64_t i = 0; i < step.count; ++i) {
      const auto frame = build_packet(step.text, vocabulary_);
      if (!frame) return tl::unexpected(frame.error());
      bench_->send(step.port, *frame);
    }
    return {};
  }

  // The next frame out of the port, which must be this one.
  Result<void> expect(const Step& step) {
    collect();
    for (std::uint64_t i = 0; i < step.count; ++i) {
      auto& frames = output_[step.port];
      if (frames.empty()) return fail("nothing came out of " + step.port + drops_text());
      const Bytes frame = std::move(frames.front());
      frames.erase(frames.begin());
      const auto matched = match_packet(step.text, frame, vocabulary_);
      if (!matched) {
        return fail(fmt::format("{}: another packet came: {}\n{}", step.port,
                                describe_packet(frame), matched.error().message));
      }
    }
    return {};
  }

  void collect() {
    for (auto& [port, frames] : bench_->take_output()) {
      auto& kept = output_[port];
      kept.insert(kept.end(), frames.begin(), frames.end());
    }
  }

  // Whether all that came out was expected, and all drops were named.
  Result<void> settle(unsigned line) {
    bench_->run();
    collect();
    for (const auto& [port, frames] : output_) {
      if (frames.empty()) continue;
      return at(line, fmt::format("{}: {} packets more than expected, the first: {}{}", port,
                                  frames.size(), describe_packet(frames.front()), drops_text()));
    }
    const auto drops = bench_->drops();
    if (drops != expected_drops_) return at(line, "drops differ" + drops_text());
    return {};
  }

  [[nodiscard]] std::string drops_text() const {
    std::string text = "\n    drops counted:";
    for (const auto& [reason, count] : bench_->drops())
      text += fmt::format(" {} {}", reason, count);
    text += "\n    drops named:  ";
    for (const auto& [reason, count] : expected_drops_)
      text += fmt::format(" {} {}", reason, count);
    return text + "\n";
  }

  const Script& script_;
  std::string policies_;
  std::unique_ptr<BenchSwitch> bench_;
  Vocabulary vocabulary_;
  std::map<std::string, std::vector<Bytes>> output_;
  std::map<std::string, std::uint64_t> expected_drops_;
  std::uint64_t fast_before_ = 0;
  Step::Kind last_ = Step::Kind::kExpect;
};

}  // namespace

Result<Script> read_script(const std::string& path) { return Reader(path).read(); }

Result<void> run_script(const Script& script, const std::string& policies, unsigned worker_count) {
  return Runner(script, policies).run(worker_count);
}

}  // namespace gannet::test
