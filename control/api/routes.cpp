// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/routes.hpp"

#include "control/api/parameters.hpp"
#include "control/capture.hpp"
#include "control/flow_view.hpp"
#include "control/machine.hpp"
#include "control/offload_view.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/load.hpp"
#include "control/policy/render.hpp"
#include "control/policy/validate.hpp"
#include "control/rehearsal.hpp"
#include "control/top_view.hpp"
#include "control/views.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <event2/event.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace gannet::control {
namespace {

constexpr std::size_t kDefaultFlowLimit = 1'000;
constexpr std::size_t kDefaultTopLimit = 15;
constexpr std::size_t kMaxTopLimit = 1'000;
constexpr timeval kLookAgain{0, 1'000};  // While waiting for conformance.
constexpr std::uint64_t kAnyRevision = ~std::uint64_t{0};
constexpr const char* kNoFiles = R"(the body is not {"files": [{"name": .., "text": ..}]})";
constexpr const char* kTooManyPolicies = "too many policies are being read: try again later";
constexpr auto kPatience = std::chrono::seconds(30);

ApiResponse answer(const Json& json, int status = 200) {
  return {
      status, json.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json", {}};
}

ApiResponse refuse(std::string message, int status = 400) {
  return answer({{"error", std::move(message)}}, status);
}

std::string query(const ApiRequest& request, const std::string& key,
                  std::string_view otherwise = "") {
  const auto found = request.query.find(key);
  return found == request.query.end() ? std::string(otherwise) : found->second;
}

// Numbers that no revision can have stand for the highest, which none ever gets.
std::uint32_t revision_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(number, ~std::uint32_t{0}));
}

// A number of the query; an absent or empty one is `otherwise`.
Result<std::uint64_t> number(const ApiRequest& request, const std::string& key,
                             std::uint64_t otherwise) {
  const std::string text = query(request, key);
  if (text.empty()) return otherwise;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size()) return value;
  return fail(fmt::format("{} is no number: '{}'", key, text));
}

// {"files": [{"name": "shop.yaml", "text": "..."}]}; nothing if the body is anything else.
std::optional<std::vector<PolicyText>> texts_of(const std::string& bytes) {
  // A tree that keeps no order finds a key without a walk, and what lies deeper is not kept: a body
  // of a million keys or brackets costs no more than it is long.
  constexpr int kDepth = 3;
  const auto keeps = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    return depth <= kDepth;
  };
  const nlohmann::json body = nlohmann::json::parse(bytes, keeps, false);
  if (body.is_discarded()) return std::nullopt;
  std::vector<PolicyText> texts;
  const auto files = body.find("files");
  if (files == body.end() || !files->is_array() || files->empty()) return std::nullopt;
  for (const nlohmann::json& file : *files) {
    if (!file.is_object() || !file.contains("name") || !file["name"].is_string() ||
        !file.contains("text") || !file["text"].is_string()) {
      return std::nullopt;
    }
    texts.push_back({file["name"].get<std::string>(), file["text"].get<std::string>()});
  }
  return texts;
}

Json to_json(const std::vector<ObjectChange>& changes) {
  Json rows = Json::array();
  for (const ObjectChange& change : changes) {
    Json fields = Json::array();
    for (const FieldChange& f : change.fields) {
      fields.push_back({{"field", f.field}, {"before", f.before}, {"after", f.after}});
    }
    rows.push_back({{"kind", change.kind},
                    {"name", change.name},
                    {"change", to_string(change.change)},
                    {"fields", std::move(fields)}});
  }
  return rows;
}

Json to_json(const Diagnostics& diagnostics, const ApiRequest& request) {
  const Format format = parse_format(query(request, "format", "text")).value_or(Format::kText);
  return {{"errors", diagnostics.error_count()},
          {"warnings", diagnostics.warning_count()},
          {"rendered", render(format, diagnostics, query(request, "subject", "policy"))}};
}

std::string time_text(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

// What is wrong with a packet, in words: places in the text below mean nothing to its sender.
std::string sentences(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics.found()) {
    text += (text.empty() ? "" : "; ") + diagnostic.message;
  }
  return text;
}

// A packet as a policy test writes it, read and checked by the same rules.
Result<TestPacket> read_packet(const std::string& body, const Policy& policy) {
  constexpr const char* kExample =
      R"({"eni": "vm1", "proto": "tcp", "from": "8.8.8.8", "port": 443})";
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return fail(fmt::format("the body is no packet such as {}", kExample));
  const std::string text = fmt::format(
      "apiVersion: gannet/v1\nkind: PolicyTest\npolicy: any\n"
      "cases: [{{name: trace, packet: {}, expect: {{verdict: allow}}}}]\n",
      json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  Diagnostics diagnostics;
  const std::vector<Source> sources{{std::make_shared<SourceFile>("trace", text), false}};
  auto tests = load_policy_tests(sources, diagnostics);
  if (tests && !diagnostics.has_errors()) {
    tests->front().policy = {};
    validate(tests->front(), policy, diagnostics);
  }
  if (!tests || diagnostics.has_errors() || tests->front().cases.size() != 1) {
    return fail("no packet can be made of it: " + sentences(diagnostics));
  }
  return tests->front().cases.front().packet;
}

// ENIs of this host that may take every place in their worker's table of connections, if there are
// others from which to take them.
std::size_t unlimited_enis(const Controller& controller) {
  std::size_t here = 0;
  std::size_t unlimited = 0;
  for (const Eni& eni : controller.current().policy.enis) {
    if (!eni.port.is_given) continue;
    ++here;
    if (eni.qos.max_flows == 0 || eni.qos.max_flows >= controller.host().capacity.connections) {
      ++unlimited;
    }
  }
  return here > 1 ? unlimited : 0;
}

void free_event(event* e) {
  event_del(e);
  event_free(e);
}

}  // namespace

// Policies are read by a thread of their own, one after the other, which takes nearly all the time
// that an apply takes; what it has made of them is put in force by the control thread.
struct ApiRoutes::Checked {
  std::optional<std::uint32_t> expected;
  std::optional<Duration> confirm_within;
  std::vector<PolicyText> texts;
  std::optional<Policy> policy;
  Diagnostics diagnostics;
};

struct ApiRoutes::Waiter {
  Controller& controller;
  std::uint32_t generation;
  bool waits_for_card;
  Json body;
  ApiReply reply;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  event* timer = nullptr;

  [[nodiscard]] bool conforms() const {
    if (controller.dataplane().conforming_generation() < generation) return false;
    return !waits_for_card || controller.offload() == nullptr ||
           controller.offload()->conforming_generation() >= generation;
  }

  static void look(evutil_socket_t, short, void* self) {
    auto* const waiter = static_cast<Waiter*>(self);
    const auto waited = std::chrono::steady_clock::now() - waiter->started;
    const bool conforms = waiter->conforms();
    if (!conforms && waited < kPatience) {
      event_add(waiter->timer, &kLookAgain);
      return;
    }
    waiter->body["conforming"] = conforms;
    if (!conforms) waiter->body["not_conforming"] = stuck_rules(waiter->controller);
    waiter->body["waited_ms"] =
        std::chrono::duration_cast<std::chrono::microseconds>(waited).count() / 1000.0;
    waiter->reply(answer(waiter->body, conforms ? 200 : 503));
    free_event(waiter->timer);
    delete waiter;
  }
};

ApiRoutes::ApiRoutes(event_base* base, Controller& controller)
    : base_(base), controller_(controller), background_(base) {}

ApiRoutes::~ApiRoutes() { take_guard_away(); }

void ApiRoutes::handle(const ApiRequest& request, ApiReply reply) {
  if (const auto flaw = flaw_of_query(request); !flaw.empty()) return reply(refuse(flaw));
  if (request.method == "GET") return reply(get(request));
  if (request.path == "/v1/apply") return apply(request, std::move(reply));
  if (request.path == "/v1/rollback") return rollback(request, std::move(reply));
  if (request.path == "/v1/plan") return plan(request, std::move(reply));
  if (request.path == "/v1/trace") return reply(trace(request));
  if (request.path == "/v1/confirm") return reply(confirm());
  if (request.path == "/v1/offload") return reply(set_offload(request));
  if (request.path == "/v1/flush") return reply(flush(request));
  reply(refuse("there is no POST " + request.path, 404));
}

ApiResponse ApiRoutes::get(const ApiRequest& request) {
  constexpr std::string_view kShow = "/v1/show/";
  if (request.path.starts_with(kShow)) {
    const std::string what = request.path.substr(kShow.size());
    const auto rows = show(what, controller_);
    return rows ? answer(*rows)
                : refuse(fmt::format("cannot show '{}': there are {}", what,
                                     fmt::join(showable(), ", ")),
                         404);
  }
  if (request.path == "/v1/flows") return get_flows(request);
  if (request.path == "/v1/explain") return explain(request);
  if (request.path == "/v1/history") return history();
  if (request.path == "/v1/top") {
    const auto limit = number(request, "limit", kDefaultTopLimit);
    if (!limit) return refuse(limit.error().message);
    if (!top_) top_ = std::make_unique<TopSampler>(controller_.dataplane());
    return answer(top_->look(controller_.names(), std::min<std::uint64_t>(*limit, kMaxTopLimit)));
  }
  if (request.path == "/v1/capture") return capture(request);
  if (request.path == "/v1/events") return answer(recent_drops(controller_));
  if (request.path == "/v1/log") return answer(rule_log(controller_));
  if (request.path == "/v1/policy") {
    Json files = Json::array();
    for (const PolicyText& text : controller_.current().texts) {
      files.push_back({{"name", text.name}, {"text", text.text}});
    }
    return answer({{"revision", controller_.current().number}, {"files", std::move(files)}});
  }
  if (request.path == "/v1/status") return status();
  return refuse("there is no GET " + request.path, 404);
}

ApiResponse ApiRoutes::status() {
  Json json{{"revision", controller_.current().number},
            {"generation", controller_.generation()},
            {"conforming_generation", controller_.dataplane().conforming_generation()},
            {"workers", controller_.dataplane().worker_count()},
            {"unlimited_enis", unlimited_enis(controller_)},
            {"pid", getpid()},
            {"network_namespace", network_namespace()}};
  if (unconfirmed_) json["unconfirmed_goes_back_to"] = unconfirmed_->back_to->number;
  return answer(json);
}

ApiResponse ApiRoutes::get_flows(const ApiRequest& request) {
  const auto filter = FlowFilter::parse(query(request, "filter"), controller_.names());
  if (!filter) return refuse(filter.error().message);
  const auto limit = number(request, "limit", kDefaultFlowLimit);
  if (!limit) return refuse(limit.error().message);
  const FlowList list = list_flows(controller_.dataplane(), *filter, *limit);
  Json rows = Json::array();
  const PathTexts paths(controller_);
  for (const FlowRecord& record : list.records)
    rows.push_back(to_json(record, controller_.names(), paths));
  const std::vector<FlowRecord> stuck = stuck_flows(controller_, *filter);
  for (const FlowRecord& record : stuck) {
    if (rows.size() < *limit) rows.push_back(to_json(record, controller_.names(), paths));
  }
  return answer({{"matched", list.matched + stuck.size()}, {"flows", std::move(rows)}});
}

ApiResponse ApiRoutes::flush(const ApiRequest& request) {
  const std::string conditions = query(request, "filter");
  if (conditions.empty()) {
    return refuse("say which flows are to end, as for GET /v1/flows, or filter=all");
  }
  const auto filter =
      FlowFilter::parse(conditions == "all" ? std::string() : conditions, controller_.names());
  if (!filter) return refuse(filter.error().message);
  return answer({{"flushed", flush_flows(controller_.dataplane(), *filter)}});
}

ApiResponse ApiRoutes::capture(const ApiRequest& request) {
  if (capture_ && !capture_->is_over()) {
    return refuse("somebody is capturing already: one capture at a time", 409);
  }
  auto wanted = CaptureRequest::parse(request.query, controller_);
  if (!wanted) return refuse(wanted.error().message);
  auto created = Capture::create(base_, controller_, std::move(*wanted));
  if (!created) return refuse(created.error().message);
  capture_ = std::move(*created);
  ApiResponse response;
  response.content_type = "application/octet-stream";
  response.start_stream = [this](std::shared_ptr<ApiStream> stream) {
    capture_->start(std::move(stream));
  };
  return response;
}

// A flow and what the policy in force makes of it, step by step.
ApiResponse ApiRoutes::explain(const ApiRequest& request) {
  const auto filter = FlowFilter::parse("id=" + query(request, "flow"), controller_.names());
  if (!filter) return refuse(filter.error().message);
  const FlowList list = list_flows(controller_.dataplane(), *filter, 1);
  if (list.records.empty()) return refuse("there is no flow " + query(request, "flow"), 404);
  const FlowRecord& record = list.records.front();
  const RehearsalResult result =
      rehearse(record.original, record.in, *controller_.dataplane().policy(), controller_.names());
  Json json;
  json["flow"] = to_json(record, controller_.names(), PathTexts(controller_));
  json["steps"] = describe(result, controller_.names());
  return answer(json);
}

ApiResponse ApiRoutes::trace(const ApiRequest& request) {
  const auto packet = read_packet(request.body, controller_.current().policy);
  if (!packet) return refuse(packet.error().message);
  const auto result = rehearse(*packet, *controller_.dataplane().policy(), controller_.names());
  if (!result) return refuse(result.error().message);
  return answer({{"verdict", result->is_allowed() ? "allow" : "deny"},
                 {"reason", dataplane::name_of(result->reason)},
                 {"rule", result->rule.empty() ? "-" : result->rule},
                 {"packet", to_string(result->original)},
                 {"leaves_as", result->is_allowed() ? to_string(result->leaving) : "-"},
                 {"goes_to", result->goes_to},
                 {"steps", describe(*result, controller_.names())}});
}

void ApiRoutes::plan(const ApiRequest& request, ApiReply reply) {
  Background::Job job = [request, reply, current = controller_.history().back(),
                         &controller = controller_]() -> Background::Then {
    const auto texts = texts_of(request.body);
    if (!texts) return [reply] { reply(refuse(kNoFiles)); };
    Diagnostics diagnostics;
    const auto policy = controller.check(*texts, diagnostics);
    Json json{{"ok", policy.has_value()}, {"diagnostics", to_json(diagnostics, request)}};
    if (policy) json["changes"] = to_json(diff(current->policy, *policy));
    auto response = answer(json, policy ? 200 : 422);
    return [reply, response = std::move(response)] { reply(response); };
  };
  if (!background_.run(std::move(job))) reply(refuse(kTooManyPolicies, 503));
}

void ApiRoutes::apply(const ApiRequest& request, ApiReply reply) {
  const auto expect = number(request, "expect", kAnyRevision);
  if (!expect) return reply(refuse(expect.error().message));
  const auto checked = std::make_shared<Checked>();
  if (*expect != kAnyRevision) checked->expected = revision_of(*expect);
  if (const std::string text = query(request, "confirm"); !text.empty()) {
    const auto duration = parse_duration(text);
    if (!duration || duration->count() == 0) {
      return reply(refuse("'" + text + "' is no duration above zero: write 2m or 90s"));
    }
    checked->confirm_within = *duration;
  }
  Background::Job job = [this, request, reply, checked]() -> Background::Then {
    auto texts = texts_of(request.body);
    if (!texts) return [reply] { reply(refuse(kNoFiles)); };
    checked->policy = controller_.check(*texts, checked->diagnostics);
    checked->texts = std::move(*texts);
    return [this, request, reply, checked] { put_in_force(*checked, request, reply); };
  };
  if (!background_.run(std::move(job))) reply(refuse(kTooManyPolicies, 503));
}

void ApiRoutes::put_in_force(Checked& checked, const ApiRequest& request, ApiReply reply) {
  const std::shared_ptr<const Revision> before = controller_.history().back();
  const ApplyResult result = controller_.put_in_force(std::move(checked.texts),
                                                      std::move(checked.policy), checked.expected);
  std::optional<Unconfirmed> ended;
  if (result.is_applied) {
    ended = end_guard();
    // What was never confirmed is nothing to go back to.
    const auto back_to = ended ? ended->back_to : before;
    if (checked.confirm_within && result.revision != back_to->number) {
      guard(*checked.confirm_within, back_to);
    }
  }
  if (unconfirmed_) ended.reset();  // It goes on with another policy, or for longer.
  finish_apply(result, checked.diagnostics, ended, request, std::move(reply));
}

void ApiRoutes::rollback(const ApiRequest& request, ApiReply reply) {
  const auto revision = number(request, "revision", kAnyRevision);
  if (!revision) return reply(refuse(revision.error().message));
  if (*revision == kAnyRevision) {
    return reply(refuse("say what to go back to: revision=N, one of those of GET /v1/history"));
  }
  const ApplyResult result = controller_.rollback(revision_of(*revision));
  std::optional<Unconfirmed> ended;
  if (result.is_applied) ended = end_guard();
  finish_apply(result, {}, ended, request, std::move(reply));
}

void ApiRoutes::finish_apply(const ApplyResult& result, const Diagnostics& diagnostics,
                             const std::optional<Unconfirmed>& ended, const ApiRequest& request,
                             ApiReply reply) {
  if (!result.error.empty()) return reply(refuse(result.error, 409));
  Json json{{"ok", result.is_applied},
            {"revision", result.revision},
            {"generation", result.generation},
            {"diagnostics", to_json(diagnostics, request)},
            {"changes", to_json(result.changes)}};
  if (!result.is_applied) return reply(answer(json, 422));
  if (unconfirmed_) json["unconfirmed_goes_back_to"] = unconfirmed_->back_to->number;
  if (ended) {
    json["ended_guard"] = {{"revision", ended->guarded}, {"went_back_to", ended->back_to->number}};
  }
  if (query(request, "wait").empty()) return reply(answer(json));
  const bool waits_for_card = query(request, "wait") == "hw";
  auto* const waiter =
      new Waiter{controller_, result.generation, waits_for_card, std::move(json), std::move(reply)};
  waiter->timer = evtimer_new(base_, &Waiter::look, waiter);
  Waiter::look(-1, 0, waiter);
}

// Takes an apply back after a while, unless it is confirmed before.
void ApiRoutes::guard(std::chrono::nanoseconds within, std::shared_ptr<const Revision> back_to) {
  unconfirmed_ = Unconfirmed{controller_.current().number, std::move(back_to), nullptr};
  unconfirmed_->timer = evtimer_new(
      base_,
      [](evutil_socket_t, short, void* self) {
        auto& routes = *static_cast<ApiRoutes*>(self);
        const auto result = routes.controller_.go_back_to(*routes.unconfirmed_->back_to);
        fmt::print(stderr, "gannetd: the last policy was not confirmed in time; {}\n",
                   result.is_applied ? "the one before is in force again" : result.error);
        routes.take_guard_away();
      },
      this);
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(within).count();
  const timeval delay{us / 1'000'000, us % 1'000'000};
  event_add(unconfirmed_->timer, &delay);
}

std::optional<ApiRoutes::Unconfirmed> ApiRoutes::end_guard() {
  const std::optional<Unconfirmed> ended = unconfirmed_;
  take_guard_away();
  return ended;
}

void ApiRoutes::take_guard_away() {
  if (unconfirmed_) free_event(unconfirmed_->timer);
  unconfirmed_.reset();
}

ApiResponse ApiRoutes::set_offload(const ApiRequest& request) {
  if (controller_.offload() == nullptr) return refuse("there is no card that can hold rules", 409);
  const std::string mode = query(request, "mode");
  if (mode != "auto" && mode != "disabled") return refuse("mode is auto or disabled");
  if (controller_.offload()->set_enabled(mode == "auto")) {
    return answer({{"ok", true}, {"mode", mode}});
  }
  if (mode == "auto") {
    return refuse("the card refuses the guard rules: offload stays disabled; say it again", 503);
  }
  const OffloadManager::Status status = controller_.offload()->status();
  return refuse(
      fmt::format(
          "offload is disabled, but the card has not let go of {} rules of flows, {} guards "
          "and {} watches{}, and may go on forwarding packets; it is asked again, and "
          "'show offload' says when they have gone",
          status.stuck_count + status.under_way_count, status.guard_count, status.watch_count,
          status.is_card_usable ? "" : ", nor carried out a flush"),
      503);
}

ApiResponse ApiRoutes::confirm() {
  if (!unconfirmed_) return refuse("nothing waits for a confirmation", 409);
  take_guard_away();
  return answer({{"ok", true}, {"revision", controller_.current().number}});
}

ApiResponse ApiRoutes::history() const {
  Json rows = Json::array();
  for (const auto& entry : controller_.history()) {
    const Revision& revision = *entry;
    if (revision.number == 0) continue;
    Json files = Json::array();
    for (const PolicyText& text : revision.texts) files.push_back(text.name);
    const std::string& name = revision.policy.metadata->name.value;
    rows.push_back({{"revision", revision.number},
                    {"applied", time_text(revision.applied)},
                    {"policy", name.empty() ? "-" : name},
                    {"files", std::move(files)},
                    {"in_force", revision.number == controller_.current().number}});
  }
  return answer(rows);
}

}  // namespace gannet::control
