// SPDX-License-Identifier: BSD-3-Clause
// gannetctl: the command line. Judges files by itself; asks and tells the daemon over its socket.
#include "control/cli/capture.hpp"
#include "control/cli/doctor.hpp"
#include "control/cli/offline.hpp"
#include "control/cli/online.hpp"
#include "control/cli/top.hpp"
#include "control/policy/schema.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace {

using namespace gannet::control;

constexpr int kUsage = 64;

struct CommandLine {
  CLI::App app{"gannetctl: checks policies and talks to gannetd"};
  OnlineOptions online;
  OfflineOptions offline;
  ApplyOptions apply;
  std::string output = "table";
  std::vector<std::string> words;
  std::string word;
  unsigned revision = 0;
  std::size_t limit = 1'000;
  TopOptions top;
  CaptureOptions capture;
  std::function<int()> run;
};

int print_json(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(2));
  return 0;
}

int print_schema(const std::string& word) {
  for (const Kind kind : {Kind::kHostConfig, Kind::kPolicyTest}) {
    if (word == to_string(kind)) return print_json(json_schema(kind));
  }
  return print_json(json_schema(Kind::kPolicy));
}

void add_offline(CommandLine& line) {
  const auto add = [&line](const char* name, const char* help,
                           int (*command)(const OfflineOptions&)) {
    CLI::App* const sub = line.app.add_subcommand(name, help);
    sub->add_option("files", line.offline.files, "files or directories; - is the standard input")
        ->required();
    sub->add_option("--config", line.offline.host, "host configuration to check against");
    sub->callback(
        [&line, command] { line.run = [&line, command] { return command(line.offline); }; });
  };
  add("validate", "is the policy right?", &validate_files);
  add("lint", "is it what was meant? Also warns of what is right but strange", &lint_files);
  add("test", "run PolicyTest documents", &test_files);
  CLI::App* const sub = line.app.add_subcommand("schema", "print a JSON schema, for editors");
  sub->add_option("kind", line.word, "Policy, HostConfig or PolicyTest")
      ->check(CLI::IsMember({"Policy", "HostConfig", "PolicyTest"}));
  sub->callback([&line] { line.run = [&line] { return print_schema(line.word); }; });
}

void add_queries(CommandLine& line) {
  CLI::App* sub = line.app.add_subcommand("show",
                                          "vpc, eni, sg, route, mapping, nat, lb, port, "
                                          "worker, offload or drops");
  sub->add_option("what", line.word)->required();
  sub->callback([&line] { line.run = [&line] { return show(line.online, line.word); }; });

  sub = line.app.add_subcommand("drops", "drops by reason and port: the same as show drops");
  sub->callback([&line] { line.run = [&line] { return show(line.online, "drops"); }; });

  sub = line.app.add_subcommand("flows", "connections, by proto=tcp ip=10.0.0.1 port=443 eni=vm1");
  sub->add_option("filter", line.words, "conditions that must all hold");
  sub->add_option("--limit", line.limit, "how many to show");
  sub->callback(
      [&line] { line.run = [&line] { return list_flows(line.online, line.words, line.limit); }; });

  sub = line.app.add_subcommand("flush", "ends connections, by proto=tcp ip=10.0.0.1 ..., or all");
  sub->add_option("filter", line.words, "conditions that must all hold, or all")->required();
  sub->callback([&line] { line.run = [&line] { return flush_flows(line.online, line.words); }; });

  sub = line.app.add_subcommand("explain", "one flow, and what the policy makes of it");
  sub->add_option("flow", line.word, "its id, as flows shows it")->required();
  sub->callback([&line] { line.run = [&line] { return explain_flow(line.online, line.word); }; });

  sub = line.app.add_subcommand(
      "trace", "what would become of a packet: eni=vm1 proto=tcp from=8.8.8.8 port=443");
  sub->add_option("packet", line.words,
                  "to= instead of from= for one that leaves; direction=, source_port= too")
      ->required();
  sub->callback([&line] { line.run = [&line] { return trace_packet(line.online, line.words); }; });

  sub = line.app.add_subcommand("events", "the last drops: when, why, by which rule");
  sub->callback([&line] { line.run = [&line] { return list_events(line.online); }; });

  sub = line.app.add_subcommand("log", "what rules with `log` have matched, oldest first");
  sub->callback([&line] { line.run = [&line] { return list_rule_log(line.online); }; });

  sub = line.app.add_subcommand("offload", "switch offload to the card: auto or disabled");
  sub->add_option("mode", line.word)->required()->check(CLI::IsMember({"auto", "disabled"}));
  sub->callback([&line] { line.run = [&line] { return set_offload(line.online, line.word); }; });
}

void add_observers(CommandLine& line) {
  CLI::App* sub = line.app.add_subcommand("top", "the busiest ENIs and flows, again and again");
  sub->add_option("--interval", line.top.interval_seconds, "seconds")
      ->check(CLI::Range(0.1, 3600.0));
  sub->add_option("--rounds", line.top.rounds, "how often; 0: until interrupted");
  sub->add_option("--limit", line.top.flows, "how many flows to show");
  sub->callback([&line] { line.run = [&line] { return top(line.online, line.top); }; });

  sub = line.app.add_subcommand("capture", "packets of a port as pcapng, into a file or a pipe");
  auto* const port =
      sub->add_option("--port", line.capture.port, "a port of the host configuration");
  sub->add_option("--eni", line.capture.eni, "or the port of an ENI; neither: all ports")
      ->excludes(port);
  sub->add_option("filter", line.words, "as for tcpdump: 'tcp port 443'");
  sub->add_option("-w,--write", line.capture.file, "file; -: the standard output");
  sub->add_option("-c,--count", line.capture.count, "stop after so many packets");
  sub->add_option("--seconds", line.capture.seconds, "stop after so long")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--snap", line.capture.snap_bytes, "keep so many bytes of each packet");
  sub->callback([&line] {
    line.capture.filter = fmt::format("{}", fmt::join(line.words, " "));
    line.run = [&line] { return capture_packets(line.online, line.capture); };
  });

  sub = line.app.add_subcommand("doctor", "is this machine fit for gannetd? Exit status 2 if not");
  sub->add_option("--config", line.word, "host configuration to check it for");
  sub->callback([&line] { line.run = [&line] { return examine(line.online, line.word); }; });
}

void add_policy_commands(CommandLine& line) {
  for (const char* const name : {"plan", "diff"}) {
    CLI::App* const sub =
        line.app.add_subcommand(name, "what a policy would change: exit status 2 if anything");
    sub->add_option("files", line.apply.files, "files or directories")->required();
    sub->callback(
        [&line] { line.run = [&line] { return plan_policy(line.online, line.apply.files); }; });
  }
  CLI::App* sub = line.app.add_subcommand("apply", "put a policy in force, all of it or nothing");
  sub->add_option("files", line.apply.files, "files or directories")->required();
  sub->add_option("--wait", line.apply.wait,
                  "until every connection conforms, in software or "
                  "hardware too")
      ->check(CLI::IsMember({"sw", "hw"}));
  sub->add_option("--confirm", line.apply.confirm, "take it back unless confirmed within, say, 2m");
  sub->add_option("--expect", line.apply.expect, "only if this revision is in force");
  sub->callback([&line] { line.run = [&line] { return apply_policy(line.online, line.apply); }; });

  sub = line.app.add_subcommand("confirm", "keep the policy that apply --confirm put in force");
  sub->callback([&line] { line.run = [&line] { return confirm_policy(line.online); }; });

  sub = line.app.add_subcommand("rollback", "put an earlier revision in force again");
  sub->add_option("revision", line.revision)->required();
  sub->callback(
      [&line] { line.run = [&line] { return rollback_policy(line.online, line.revision); }; });

  sub = line.app.add_subcommand("history", "the revisions that were in force");
  sub->callback([&line] { line.run = [&line] { return list_history(line.online); }; });
}

// Help is a result; a mistake is a diagnostic that names the word.
int report(const CLI::App& app, const CLI::ParseError& error) {
  const auto unknown = app.remaining(true);
  if (error.get_exit_code() != 0 && !unknown.empty()) {
    fmt::print(stderr, "gannetctl: '{}' is not understood here; see gannetctl --help\n",
               unknown.front());
    return kUsage;
  }
  return app.exit(error) == 0 ? 0 : kUsage;
}

// What could not be written was not done, for whoever reads it.
int finish(int status) {
  const bool is_written = std::cout.flush().good() && std::fflush(stdout) == 0;
  if (is_written && std::ferror(stdout) == 0) return status;
  fmt::print(stderr, "gannetctl: cannot write the output: {}\n",
             errno != 0 ? std::strerror(errno) : "it was cut off");
  return EXIT_FAILURE;
}

int run(const CommandLine& line) {
  try {
    return finish(line.run());
  } catch (const std::system_error& error) {  // From fmt::print().
    return finish(EXIT_FAILURE);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine line;
  const char* const from_environment = std::getenv("GANNET_SOCKET");
  line.online.socket = from_environment != nullptr ? from_environment : "/run/gannet/api.sock";
  line.app.require_subcommand(1);
  line.app.fallthrough();
  line.app.set_version_flag("--version", "gannetctl " GANNET_VERSION, "which version this is");
  line.app
      .add_option("--timeout", line.online.timeout_seconds,
                  "seconds that the daemon has for an answer (30)")
      ->check(CLI::Range(0.1, 86'400.0));
  line.app.add_option("--socket", line.online.socket, "the daemon's socket; also GANNET_SOCKET");
  line.app.add_option("-o,--output", line.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  line.app
      .add_option("--format", line.online.format, "of diagnostics: text, json, sarif or github")
      ->check(CLI::IsMember({"text", "json", "sarif", "github"}));
  add_offline(line);
  add_queries(line);
  add_observers(line);
  add_policy_commands(line);
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return finish(report(line.app, error));
  }
  line.online.is_json = line.offline.is_json = line.output == "json";
  // Of a command that judges files the diagnostics are the result.
  const bool wants_json = line.online.is_json && line.online.format == "text";
  line.offline.format = *parse_format(wants_json ? "json" : line.online.format);
  return run(line);
}
