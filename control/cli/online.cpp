// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/online.hpp"

#include "control/api/client.hpp"
#include "control/cli/exit_status.hpp"
#include "control/cli/table.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

constexpr double kConformanceSeconds = 30;

void print_rows(const OnlineOptions& options, const Json& rows) {
  fmt::print("{}{}", options.is_json ? rows.dump(2) : format_table(rows),
             options.is_json ? "\n" : "");
}

int print_answer(const OnlineOptions& options, const std::string& target) {
  const auto rows = ask(options, target, "");
  if (!rows) return kFailed;
  print_rows(options, *rows);
  return kDone;
}

// {"files": [...]} of what the paths hold; nothing, with diagnostics printed, if they cannot be
// read.
std::optional<std::string> body_of(const std::vector<std::string>& paths) {
  Diagnostics diagnostics;
  const auto sources = open_sources(paths, diagnostics);
  if (!sources) {
    fmt::print(stderr, "{}", render(Format::kText, diagnostics, paths.front()));
    return std::nullopt;
  }
  Json files = Json::array();
  for (const Source& source : *sources) {
    files.push_back({{"name", source.file->name()}, {"text", std::string(source.file->text())}});
  }
  return Json{{"files", std::move(files)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string subject_of(const std::vector<std::string>& files) {
  return files.size() == 1 ? files.front() : fmt::format("{} files", files.size());
}

void print_changes(const Json& changes) {
  for (const Json& change : changes) {
    const auto kind = change["change"].get<std::string>();
    const char mark = kind == "added" ? '+' : kind == "removed" ? '-' : '~';
    fmt::print("{} {} {}\n", mark, change["kind"].get<std::string>(),
               change["name"].get<std::string>());
    for (const Json& field : change["fields"]) {
      const auto before = field["before"].get<std::string>();
      const auto after = field["after"].get<std::string>();
      fmt::print("    {}: {} -> {}\n", field["field"].get<std::string>(),
                 before.empty() ? "(none)" : before, after.empty() ? "(none)" : after);
    }
  }
}

void print_diagnostics(const Json& answer) {
  const auto text = answer["diagnostics"]["rendered"].get<std::string>();
  if (!text.empty()) fmt::print(stderr, "{}", text);
}

// A number with a zero before it stays a text, which a policy would not take for a number either.
Json number_or_text(const std::string& value) {
  const bool is_number = !value.empty() && value.size() < 10 &&
                         value.find_first_not_of("0123456789") == value.npos &&
                         (value == "0" || value[0] != '0');
  return is_number ? Json(std::stoul(value)) : Json(value);
}

// As with Junos' `commit confirmed`: whatever is committed next confirms.
void print_ended_guard(const Json& answer) {
  const auto ended = answer.find("ended_guard");
  if (ended == answer.end()) return;
  const auto guarded = (*ended)["revision"].get<unsigned>();
  const auto back_to = (*ended)["went_back_to"].get<unsigned>();
  if (guarded == answer["revision"].get<unsigned>()) {
    fmt::print("it is confirmed by this: it does not go back to revision {} any more\n", back_to);
  } else {
    fmt::print(
        "revision {} was not confirmed yet; now nothing goes back to revision {} by itself\n",
        guarded, back_to);
  }
}

int print_apply(const OnlineOptions& options, const std::string& wait, const Json& answer) {
  print_diagnostics(answer);
  const bool is_applied = answer["ok"].get<bool>();
  const bool conforms = !answer.contains("conforming") || answer["conforming"].get<bool>();
  if (options.is_json) {
    fmt::print("{}\n", answer.dump(2));
  } else if (is_applied) {
    print_changes(answer["changes"]);
    fmt::print("revision {} is in force ({})", answer["revision"].get<unsigned>(),
               plural(answer["changes"].size(), "change"));
    if (answer.contains("waited_ms")) {
      fmt::print("; {} after {:.1f} ms",
                 !conforms      ? "some connections still do not conform"
                 : wait == "hw" ? "every connection conforms, on the card too,"
                                : "every connection conforms",
                 answer["waited_ms"].get<double>());
    }
    fmt::print("\n");
    for (const Json& rule : answer.value("not_conforming", Json::array())) {
      fmt::print("  the card still has the rule of {}\n", rule.get<std::string>());
    }
    if (const auto back_to = answer.find("unconfirmed_goes_back_to"); back_to != answer.end()) {
      fmt::print("it goes back to revision {} in time unless 'gannetctl confirm' is said\n",
                 back_to->get<unsigned>());
    }
    print_ended_guard(answer);
  }
  return is_applied && conforms ? kDone : kFailed;
}

}  // namespace

std::optional<nlohmann::ordered_json> ask(const OnlineOptions& options, const std::string& target,
                                          const std::string& body) {
  const auto answer = call_daemon(options.socket, target, body, Patience(options.timeout_seconds));
  if (!answer) {
    fmt::print(stderr, "gannetctl: {}\n", answer.error().message);
    return std::nullopt;
  }
  Json json = Json::parse(answer->body, nullptr, false);
  // The one answer that is not of the daemon's making: libevent's, before it has read the request.
  if (answer->status == 413) {
    fmt::print(stderr, "gannetctl: the files are larger than the 128 MiB that the daemon takes\n");
    return std::nullopt;
  }
  if (json.is_discarded()) {
    fmt::print(stderr, "gannetctl: the daemon's answer is not JSON\n");
    return std::nullopt;
  }
  if (json.is_object() && json.contains("error")) {
    fmt::print(stderr, "gannetctl: {}\n", json["error"].get<std::string>());
    return std::nullopt;
  }
  return json;
}

int show(const OnlineOptions& options, const std::string& what) {
  return print_answer(options, "/v1/show/" + url_encode(what));
}

int list_events(const OnlineOptions& options) { return print_answer(options, "/v1/events"); }
int list_rule_log(const OnlineOptions& options) { return print_answer(options, "/v1/log"); }
int list_history(const OnlineOptions& options) { return print_answer(options, "/v1/history"); }

int list_flows(const OnlineOptions& options, const std::vector<std::string>& filter,
               std::size_t limit) {
  const auto answer = ask(options,
                          fmt::format("/v1/flows?limit={}&filter={}", limit,
                                      url_encode(fmt::format("{}", fmt::join(filter, " ")))),
                          "");
  if (!answer) return kFailed;
  print_rows(options, (*answer)["flows"]);
  const auto matched = (*answer)["matched"].get<std::size_t>();
  const std::size_t shown = (*answer)["flows"].size();
  if (matched > shown) {
    fmt::print(stderr, "{} of {} flows shown; raise --limit or give a filter\n", shown, matched);
  }
  return kDone;
}

int flush_flows(const OnlineOptions& options, const std::vector<std::string>& filter) {
  // A body makes it a POST.
  const auto answer = ask(
      options, "/v1/flush?filter=" + url_encode(fmt::format("{}", fmt::join(filter, " "))), "{}");
  if (!answer) return kFailed;
  if (options.is_json) {
    fmt::print("{}\n", answer->dump(2));
  } else {
    fmt::print("{} ended\n", plural((*answer)["flushed"].get<std::size_t>(), "flow"));
  }
  return kDone;
}

int explain_flow(const OnlineOptions& options, const std::string& flow) {
  const auto answer = ask(options, "/v1/explain?flow=" + url_encode(flow), "");
  if (!answer) return kFailed;
  if (options.is_json) {
    fmt::print("{}\n", answer->dump(2));
    return kDone;
  }
  for (const auto& [key, value] : (*answer)["flow"].items()) {
    fmt::print("{:>14}  {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  fmt::print("the policy in force makes of its first packet:\n");
  for (const Json& step : (*answer)["steps"]) fmt::print("  {}\n", step.get<std::string>());
  return kDone;
}

int trace_packet(const OnlineOptions& options, const std::vector<std::string>& words) {
  Json packet = Json::object();
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    const std::string key = word.substr(0, equals);
    if (equals == std::string::npos || packet.contains(key)) {
      fmt::print(stderr, "gannetctl: '{}' is {}\n", word,
                 equals == std::string::npos ? "not like eni=vm1 or proto=tcp" : "said twice");
      return 64;
    }
    packet[key] = number_or_text(word.substr(equals + 1));
  }
  // Who names only the sender means a packet that arrives, who names only the receiver one that
  // leaves.
  if (!packet.contains("direction") && packet.contains("from") != packet.contains("to")) {
    packet["direction"] = packet.contains("from") ? "ingress" : "egress";
  }
  const auto answer = ask(options, "/v1/trace", packet.dump());
  if (!answer) return kFailed;
  if (options.is_json) {
    fmt::print("{}\n", answer->dump(2));
  } else {
    for (const Json& step : (*answer)["steps"]) fmt::print("{}\n", step.get<std::string>());
  }
  return kDone;
}

int plan_policy(const OnlineOptions& options, const std::vector<std::string>& files) {
  const auto body = body_of(files);
  if (!body) return kFailed;
  const auto answer = ask(
      options,
      fmt::format("/v1/plan?format={}&subject={}", options.format, url_encode(subject_of(files))),
      *body);
  if (!answer) return kFailed;
  print_diagnostics(*answer);
  if (!(*answer)["ok"].get<bool>()) return kFailed;
  const Json& changes = (*answer)["changes"];
  if (options.is_json) {
    fmt::print("{}\n", changes.dump(2));
  } else {
    print_changes(changes);
    fmt::print("{}\n", plural(changes.size(), "change"));
  }
  return changes.empty() ? kDone : kChanges;
}

int apply_policy(const OnlineOptions& options, const ApplyOptions& apply) {
  const auto body = body_of(apply.files);
  if (!body) return kFailed;
  const std::string target =
      fmt::format("/v1/apply?format={}&subject={}&wait={}&confirm={}&expect={}", options.format,
                  url_encode(subject_of(apply.files)), url_encode(apply.wait),
                  url_encode(apply.confirm), url_encode(apply.expect));
  OnlineOptions patient = options;
  // The daemon waits for the connections as long before it gives up (docs/api.md).
  if (!apply.wait.empty()) patient.timeout_seconds += kConformanceSeconds;
  const auto answer = ask(patient, target, *body);
  return answer ? print_apply(options, apply.wait, *answer) : kFailed;
}

int confirm_policy(const OnlineOptions& options) {
  const auto answer = ask(options, "/v1/confirm", "{}");
  if (!answer) return kFailed;
  if (options.is_json) {
    fmt::print("{}\n", answer->dump(2));
  } else {
    fmt::print("revision {} is confirmed\n", (*answer)["revision"].get<unsigned>());
  }
  return kDone;
}

int set_offload(const OnlineOptions& options, const std::string& mode) {
  const auto answer = ask(options, "/v1/offload?mode=" + url_encode(mode), "{}");
  if (!answer) return kFailed;
  fmt::print("offload is {}\n", (*answer)["mode"].get<std::string>());
  return kDone;
}

int rollback_policy(const OnlineOptions& options, unsigned revision) {
  const auto answer = ask(options, fmt::format("/v1/rollback?revision={}", revision), "{}");
  return answer ? print_apply(options, "", *answer) : kFailed;
}

}  // namespace gannet::control
