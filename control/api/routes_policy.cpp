// SPDX-License-Identifier: BSD-3-Clause
// Requests that change the policy, or say what they would change.
#include "control/api/replies.hpp"
#include "control/api/routes.hpp"
#include "control/capture.hpp"
#include "control/offload_view.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/render.hpp"
#include "control/top_view.hpp"

#include <algorithm>
#include <utility>

#include <event2/event.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

constexpr timeval kLookAgain{0, 1'000};  // While waiting for conformance.
constexpr std::uint64_t kAnyRevision = ~std::uint64_t{0};
constexpr const char* kNoFiles = R"(the body is not {"files": [{"name": .., "text": ..}]})";
constexpr const char* kTooManyPolicies = "too many policies are being read: try again later";
constexpr auto kPatience = std::chrono::seconds(30);

// Numbers that no revision can have stand for the highest, which none ever gets.
std::uint32_t revision_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(number, ~std::uint32_t{0}));
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
