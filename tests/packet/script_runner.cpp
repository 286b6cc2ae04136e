// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/units.hpp"
#include "tests/packet/bench_switch.hpp"
#include "tests/packet/noise.hpp"
#include "tests/packet/packet_text.hpp"
#include "tests/packet/policy_text.hpp"
#include "tests/packet/script.hpp"
#include "tests/packet/words.hpp"

#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gannet::test {
namespace {

// Whether a step makes something happen; the others look at what has.
bool is_act(Step::Kind kind) {
  switch (kind) {
    case Step::Kind::kSend:
    case Step::Kind::kNoise:
    case Step::Kind::kAdvance:
    case Step::Kind::kApply:
    case Step::Kind::kChange:
    case Step::Kind::kChangeUnswept:
    case Step::Kind::kRefuse:
    case Step::Kind::kBackend: return true;
    default: return false;
  }
}

class Runner {
 public:
  Runner(const Script& script, std::string policies, const ScriptBench& on)
      : script_(script), policies_(std::move(policies)), on_(on) {}

  Result<void> run() {
    if (const auto ready = prepare(); !ready) return ready;
    bool is_settled = true;  // Nothing has happened since the last look.
    for (const Step& step : script_.steps) {
      const bool acts = is_act(step.kind);
      const bool starts = acts && !(step.kind == Step::Kind::kSend && last_ == Step::Kind::kSend);
      if (starts && !is_settled) {
        if (const auto settled = settle(step.line); !settled) return settled;
      }
      if (!acts) bench_->run();
      if (const auto done = try_take(step); !done) return at(step.line, done.error().message);
      is_settled = false;
      last_ = step.kind;
    }
    bench_->run();
    if (const auto settled = settle(0); !settled) return settled;
    const std::string wrong = bench_->unbalanced();
    if (!wrong.empty()) return at(0, "packets in are not packets out and drops\n" + wrong);
    const std::string missed = bench_->miscounted();
    if (!missed.empty())
      return at(0, "the wires carried something else than was counted\n" + missed);
    const unsigned lost = bench_->close();
    return lost == 0 ? Result<void>{} : at(0, fmt::format("{} packet buffers are lost", lost));
  }

 private:
  [[nodiscard]] tl::unexpected<Error> at(unsigned line, const std::string& what) const {
    return fail(line == 0 ? fmt::format("{}: at the end: {}", script_.file, what)
                          : fmt::format("{}:{}: {}", script_.file, line, what));
  }

  Result<void> prepare() {
    auto policy = read_file(policies_ + "/" + script_.policy + ".yaml");
    for (const std::string& change : script_.changes) {
      if (policy) policy = changed(*policy, change);
    }
    if (!policy) return at(0, policy.error().message);
    policy_ = *policy;
    BenchConfig config;
    config.worker_count = std::max(on_.worker_count, script_.least_workers);
    config.card = on_.card;
    config.vm_ports = ports_of(policy_);
    config.host_yaml = script_.host_yaml;
    if (!on_.card.empty()) config.host_yaml += script_.card_host_yaml;
    config.underlay = script_.underlay;
    config.mtu = static_cast<std::uint16_t>(script_.mtu);
    config.connections = script_.connections * config.worker_count;
    auto bench = BenchSwitch::create(config);
    if (!bench) return at(0, bench.error().message);
    bench_ = std::move(*bench);
    if (on_.failing_inserts_percent != 0) {
      bench_->set_card_fault("insert_percent", std::to_string(on_.failing_inserts_percent));
    }
    vocabulary_.words = {{"gw", "02:67:6e:74:00:01"},
                         {"any", "ff:ff:ff:ff:ff:ff"},
                         {"none", "00:00:00:00:00:00"},
                         {"up", to_string(bench_->uplink_mac())}};
    for (const auto& [name, value] : script_.words) vocabulary_.words[name] = value;
    for (const auto& [ip, mac] : script_.neighbors) {
      const auto address = parse_ip4(ip);
      const auto value = parse_mac(mac);
      if (!address || !value) return at(0, "neighbor " + ip + " " + mac + ": no address and MAC");
      bench_->set_neighbor(*address, *value);
    }
    if (const auto applied = bench_->apply(script_.policy, policy_); !applied) {
      return at(0, applied.error().message);
    }
    return {};
  }

  Result<void> try_take(const Step& step) {
    try {
      return take(step);
    } catch (const TextError& error) {
      return fail(error.message);
    }
  }

  Result<void> take(const Step& step) {
    switch (step.kind) {
      case Step::Kind::kSend: return send(step);
      case Step::Kind::kNoise: return make_noise(step);
      case Step::Kind::kExpect: return expect(step);
      case Step::Kind::kDrop: expected_drops_[step.text] += step.count; return {};
      case Step::Kind::kConnections:
        return compare("connections", bench_->connection_count(), step.count);
      case Step::Kind::kMappings: return compare("mappings", bench_->mapping_count(), step.count);
      case Step::Kind::kFast: {
        if (bench_->has_card()) return {};
        const std::uint64_t now = bench_->fast_count();
        return compare("packets by the flow table", now - std::exchange(fast_before_, now),
                       step.count);
      }
      case Step::Kind::kDistinct:
      case Step::Kind::kBetween:
      case Step::Kind::kSpread: return check_numbers(step);
      case Step::Kind::kAdvance: {
        const auto duration = control::parse_duration(step.text);
        if (!duration) return fail("'" + step.text + "' is no duration");
        bench_->advance(static_cast<Nanos>(duration->count()));
        return {};
      }
      case Step::Kind::kApply: return apply(read_file(policies_ + "/" + step.text + ".yaml"));
      case Step::Kind::kChange: return apply(changed(policy_, step.text));
      case Step::Kind::kChangeUnswept: return apply(changed(policy_, step.text), false);
      case Step::Kind::kRefuse: return refuse(step);
      case Step::Kind::kBackend: return report_backend(step);
    }
    return {};
  }

  Result<void> apply(const Result<std::string>& policy, bool sweeps = true) {
    if (!policy) return tl::unexpected(policy.error());
    policy_ = *policy;
    return bench_->apply(script_.policy, policy_, sweeps);
  }

  Result<void> refuse(const Step& step) {
    const auto policy = changed(policy_, step.text);
    if (!policy) return tl::unexpected(policy.error());
    const auto applied = bench_->apply(script_.policy, *policy);
    if (applied) return fail("the change was accepted");
    const bool is_it = applied.error().message.find("[" + step.port + "]") != std::string::npos;
    return is_it ? Result<void>{} : fail("refused, but with\n" + applied.error().message);
  }

  // NAME [LEAST MOST | LEAST]: of the numbers whose name begins so.
  Result<void> check_numbers(const Step& step) const {
    Words words = words_of(step.text);
    const std::string name(take_first(words, "a name"));
    std::vector<std::uint32_t> values;
    for (const auto& [known, value] : vocabulary_.numbers) {
      if (known.starts_with(name)) values.push_back(value);
    }
    std::sort(values.begin(), values.end());
    const std::set<std::uint32_t> different(values.begin(), values.end());
    const std::string list = fmt::format("{}: {}", name, fmt::join(values, " "));
    if (values.empty()) return fail("there is no number " + name);
    if (step.kind == Step::Kind::kDistinct) {
      return different.size() == values.size() ? Result<void>{} : fail("some are equal, " + list);
    }
    const auto least = read_number(take_first(words, "a number"));
    if (!least) return fail("not a number");
    if (step.kind == Step::Kind::kSpread) {
      return different.size() >= *least ? Result<void>{} : fail("too few differ, " + list);
    }
    const auto most = read_number(take_first(words, "a number"));
    if (!most) return fail("not a number");
    const bool fits = values.front() >= *least && values.back() <= *most;
    return fits ? Result<void>{} : fail("out of range, " + list);
  }

  // POOL IP PORT up|down
  Result<void> report_backend(const Step& step) {
    const Words words = words_of(step.text);
    if (words.size() != 4) return fail("backend takes POOL IP PORT up|down");
    const auto ip = parse_ip(words[1]);
    const auto port = read_number(words[2]);
    if (!ip || !port) return fail("backend takes POOL IP PORT up|down");
    return bench_->report_backend({std::string(words[0]), *ip, static_cast<std::uint16_t>(*port)},
                                  words[3] == "up");
  }

  static Result<void> compare(const char* what, std::uint64_t actual, std::uint64_t expected) {
    if (actual == expected) return {};
    return fail(fmt::format("{} {}, expected {}", actual, what, expected));
  }

  Result<void> send(const Step& step) {
    FrameForm form;
    Words words = words_of(step.how);
    if (const auto bytes = take_word(words, "segments")) {
      form.segment_bytes = static_cast<unsigned>(*bytes);
    }
    form.has_bad_l4_checksum = take_flag(words, "bad-l4");
    form.has_bad_ip_checksum = take_flag(words, "bad-ip");
    form.has_bad_outer_ip_checksum = take_flag(words, "bad-outer-ip");
    if (!words.empty()) return fail(fmt::format("send: what is '{}'?", words.front()));
    for (std::uint64_t i = 0; i < step.count; ++i) {
      const auto frame = build_packet(step.text, vocabulary_);
      if (!frame) return tl::unexpected(frame.error());
      if (!bench_->send(step.port, *frame, form))
        return fail("no port " + step.port + " for such a frame");
    }
    return {};
  }
  // Damaged copies of a packet. What becomes of each is not asked, only that all are accounted for.
  Result<void> make_noise(const Step& step) {
    Noise noise(step.line);
    for (std::uint64_t i = 0; i < step.count; ++i) {
      auto frame = build_packet(step.text, vocabulary_);
      if (!frame) return tl::unexpected(frame.error());
      noise.damage(*frame);
      if (!bench_->send(step.port, *frame)) return fail("no port " + step.port);
      if (i % 64 == 63) bench_->run();
    }
    bench_->run();
    bench_->advance(10 * kNanosPerSecond);  // What waits for the rest of its packet gives up.
    static_cast<void>(bench_->take_output());
    expected_drops_ = bench_->drops();
    fast_before_ = bench_->fast_count();
    return {};
  }

  static std::optional<std::uint64_t> take_word(Words& words, std::string_view key) {
    const auto text = test::take(words, key);
    return text ? read_number(*text) : std::nullopt;
  }

  Result<void> expect(const Step& step) {
    collect();
    auto& frames = output_[step.port];
    for (std::uint64_t i = 0; i < step.count; ++i) {
      if (frames.empty()) {
        return fail(fmt::format("{}: {} of {} packets came{}", step.port, i, step.count,
                                others_text() + drops_text()));
      }
      const Bytes frame = frames.front();
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

  [[nodiscard]] std::string others_text() const {
    std::string text;
    for (const auto& [port, frames] : output_) {
      for (const Bytes& frame : frames) {
        text += fmt::format("\n    came out of {}: {}", port, describe_packet(frame));
      }
    }
    return text;
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
  const ScriptBench& on_;
  std::string policy_;  // In force.
  std::unique_ptr<BenchSwitch> bench_;
  Vocabulary vocabulary_;
  std::map<std::string, std::vector<Bytes>> output_;
  std::map<std::string, std::uint64_t> expected_drops_;
  std::uint64_t fast_before_ = 0;
  Step::Kind last_ = Step::Kind::kExpect;
};

}  // namespace

Result<void> run_script(const Script& script, const std::string& policies, const ScriptBench& on) {
  return Runner(script, policies, on).run();
}

}  // namespace gannet::test
