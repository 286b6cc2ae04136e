// SPDX-License-Identifier: BSD-3-Clause
#include "control/capture.hpp"

#include "control/pcapng.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <numeric>

#include <event2/event.h>
#include <fmt/format.h>
#include <pcap/pcap.h>

namespace gannet::control {
namespace {

constexpr timeval kCarryEvery{0, 10'000};
constexpr std::uint32_t kPacketsPerTurn = dataplane::CaptureTap::kSlots;
// What may wait for a slow client before its taps are left to fill.
constexpr std::size_t kMaxUnsentBytes = std::size_t{4} << 20;
constexpr std::uint32_t kDefaultSnapBytes = 2'048;
constexpr std::uint32_t kMaxSnapBytes = 9'728;

class TapCommand final : public dataplane::WorkerCommand {
 public:
  explicit TapCommand(dataplane::CaptureTap* tap) : tap_(tap) {}
  bool step(dataplane::Worker& worker) override {
    worker.set_tap(tap_);
    return true;
  }

 private:
  dataplane::CaptureTap* tap_;
};

template <typename T>
Result<void> read_number(const std::map<std::string, std::string>& query, const char* key, T& out) {
  const auto found = query.find(key);
  if (found == query.end() || found->second.empty()) return {};
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc{} && end == text.data() + text.size() && out >= T{}) return {};
  return fail(fmt::format("'{}' is no number for {}", text, key));
}

// Adds the port with a name, of ports or of ENIs.
Result<void> add_port(Controller& controller, const std::string& port, const std::string& eni,
                      std::vector<std::uint16_t>& ports) {
  std::string name = port;
  if (!eni.empty()) {
    const Eni* const found = controller.current().policy.enis.find(eni);
    if (found == nullptr) return fail(fmt::format("there is no ENI '{}'", eni));
    if (!found->port.is_given) return fail(fmt::format("ENI '{}' has no port on this host", eni));
    name = *found->port;
  }
  const auto& names = controller.facts().ports;
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return fail(fmt::format("there is no port '{}'", name));
  ports.push_back(static_cast<std::uint16_t>(at - names.begin()));
  return {};
}

std::string value_of(const std::map<std::string, std::string>& query, const char* key) {
  const auto found = query.find(key);
  return found == query.end() ? std::string() : found->second;
}

}  // namespace

Result<CaptureRequest> CaptureRequest::parse(const std::map<std::string, std::string>& query,
                                             Controller& controller) {
  CaptureRequest request;
  const std::string port = value_of(query, "port");
  const std::string eni = value_of(query, "eni");
  if (!port.empty() && !eni.empty())
    return fail("either a port or an ENI can be captured, not both");
  if (!port.empty() || !eni.empty()) {
    if (const auto added = add_port(controller, port, eni, request.ports); !added) {
      return tl::unexpected(added.error());
    }
  } else {
    request.ports.resize(controller.facts().ports.size());
    std::iota(request.ports.begin(), request.ports.end(), std::uint16_t{0});
  }
  request.filter = value_of(query, "filter");
  request.snap_bytes = kDefaultSnapBytes;
  for (const auto& read : {read_number(query, "count", request.packet_limit),
                           read_number(query, "seconds", request.seconds_limit),
                           read_number(query, "snap", request.snap_bytes)}) {
    if (!read) return tl::unexpected(read.error());
  }
  request.snap_bytes = std::clamp(request.snap_bytes, 64u, kMaxSnapBytes);
  return request;
}

Result<std::unique_ptr<Capture>> Capture::create(event_base* base, Controller& controller,
                                                 CaptureRequest request) {
  std::unique_ptr<Capture> capture(new Capture(base, controller, std::move(request)));
  if (const auto compiled = capture->compile_filter(); !compiled) {
    return tl::unexpected(compiled.error());
  }
  return capture;
}

Capture::Capture(event_base* base, Controller& controller, CaptureRequest request)
    : base_(base), controller_(controller), request_(std::move(request)) {}

Result<void> Capture::compile_filter() {
  if (request_.filter.empty()) return {};
  pcap_t* const ethernet = pcap_open_dead(DLT_EN10MB, static_cast<int>(request_.snap_bytes));
  if (ethernet == nullptr) return fail("no memory for a capture filter");
  auto program = std::make_unique<bpf_program>();
  const int error =
      pcap_compile(ethernet, program.get(), request_.filter.c_str(), 1, PCAP_NETMASK_UNKNOWN);
  const std::string why = error == 0 ? "" : pcap_geterr(ethernet);
  pcap_close(ethernet);
  if (error != 0) {
    return fail(fmt::format("the filter '{}' cannot be used: {}; write it as for tcpdump",
                            request_.filter, why));
  }
  filter_ = std::move(program);
  return {};
}

void Capture::start(std::shared_ptr<ApiStream> stream) {
  stream_ = std::move(stream);
  started_ = controller_.dataplane().clock().now();
  const auto since_epoch = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  clock_to_epoch_ = static_cast<Nanos>(since_epoch.count()) - started_;
  std::string head;
  pcapng_section(head, "gannet");
  interface_of_port_.resize(controller_.facts().ports.size());
  for (std::uint32_t i = 0; i < request_.ports.size(); ++i) {
    interface_of_port_[request_.ports[i]] = i;
    pcapng_interface(head, controller_.facts().ports[request_.ports[i]], request_.snap_bytes);
  }
  stream_->send(head);
  for (unsigned i = 0; i < controller_.dataplane().worker_count(); ++i) {
    taps_.push_back(std::make_unique<dataplane::CaptureTap>(
        request_.ports, interface_of_port_.size(), filter_ ? filter_->bf_insns : nullptr,
        request_.snap_bytes));
  }
  set_taps(true);
  timer_ = event_new(
      base_, -1, EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<Capture*>(self)->carry(); }, this);
  event_add(timer_, &kCarryEvery);
}

void Capture::carry() {
  if (!stream_->is_open()) return finish();
  if (stream_->unsent_bytes() <= kMaxUnsentBytes) drain();
  const double seconds =
      static_cast<double>(controller_.dataplane().clock().now() - started_) / 1e9;
  const bool has_enough = request_.packet_limit != 0 && packets_ >= request_.packet_limit;
  if (has_enough || (request_.seconds_limit > 0 && seconds >= request_.seconds_limit)) finish();
}

void Capture::drain() {
  std::string blocks;
  const auto take = [&](const dataplane::CaptureHead& head, const std::uint8_t* bytes) {
    pcapng_packet(blocks, {interface_of_port_[head.port],
                           head.when + clock_to_epoch_,
                           head.frame_bytes,
                           head.side == dataplane::CaptureSide::kSent,
                           {bytes, head.kept_bytes}});
  };
  for (const auto& tap : taps_) {
    const std::uint64_t wanted =
        request_.packet_limit == 0 ? kPacketsPerTurn : request_.packet_limit - packets_;
    packets_ += tap->drain(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, kPacketsPerTurn)), take);
  }
  if (!blocks.empty()) stream_->send(blocks);
}

void Capture::finish() {
  if (is_over_) return;
  is_over_ = true;
  if (timer_ != nullptr) event_free(timer_);
  timer_ = nullptr;
  set_taps(false);
  if (stream_ && stream_->is_open()) {
    std::uint64_t missed = 0;
    for (const auto& tap : taps_) missed += tap->missed();
    std::string tail;
    pcapng_statistics(tail, 0, controller_.dataplane().clock().now() + clock_to_epoch_,
                      packets_ + missed, missed);
    stream_->send(tail);
    stream_->finish();
  }
  stream_.reset();
}

void Capture::set_taps(bool are_set) {
  for (unsigned i = 0; i < taps_.size(); ++i) {
    TapCommand command(are_set ? taps_[i].get() : nullptr);
    controller_.dataplane().execute(i, command);
  }
}

Capture::~Capture() {
  finish();
  if (filter_) pcap_freecode(filter_.get());
}

}  // namespace gannet::control
