// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/routes.hpp"

#include "control/api/parameters.hpp"
#include "control/api/replies.hpp"
#include "control/capture.hpp"
#include "control/flow_view.hpp"
#include "control/machine.hpp"
#include "control/offload_view.hpp"
#include "control/policy/json_value.hpp"
#include "control/policy/load.hpp"
#include "control/policy/validate.hpp"
#include "control/rehearsal.hpp"
#include "control/top_view.hpp"
#include "control/views.hpp"

#include <algorithm>
#include <utility>

#include <event2/event.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace gannet::control {
namespace {

constexpr std::size_t kDefaultFlowLimit = 1'000;
constexpr std::size_t kDefaultTopLimit = 15;
constexpr std::size_t kMaxTopLimit = 1'000;

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

}  // namespace

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

}  // namespace gannet::control
