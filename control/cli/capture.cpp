// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/capture.hpp"

#include "control/api/client.hpp"
#include "control/cli/exit_status.hpp"
#include "control/policy/render.hpp"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace gannet::control {
namespace {

constexpr int kOk = 200;
constexpr std::uint32_t kEnhancedPacket = 6;

// Counts the packets of a pcapng stream that comes in pieces.
class PacketCounter {
 public:
  void add(std::string_view piece) {
    pending_ += piece;
    std::uint32_t head[2];  // Type and length of a block.
    while (pending_.size() >= sizeof head) {
      std::memcpy(head, pending_.data(), sizeof head);
      if (head[1] < sizeof head || pending_.size() < head[1]) return;
      if (head[0] == kEnhancedPacket) ++count_;
      pending_.erase(0, head[1]);
    }
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  std::string pending_;
  std::uint64_t count_ = 0;
};

// Only ends the wait for the daemon: recv() returns.
void stop_at(int number) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(number, &action, nullptr);
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_output(const std::string& name) {
  if (name == "-") return {stdout, [](std::FILE* f) { return std::fflush(f); }};
  return {std::fopen(name.c_str(), "wb"), &std::fclose};
}

std::string error_of(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  return json.is_object() ? json.value("error", body) : body;
}

}  // namespace

int capture_packets(const OnlineOptions& options, const CaptureOptions& capture) {
  if (capture.file == "-" && isatty(STDOUT_FILENO) != 0) {
    fmt::print(stderr,
               "gannetctl: packets are no text for a terminal: give -w FILE, or pipe into "
               "'tcpdump -nr -'\n");
    return kFailed;
  }
  std::string target = fmt::format("/v1/capture?port={}&eni={}&filter={}&count={}&seconds={}",
                                   url_encode(capture.port), url_encode(capture.eni),
                                   url_encode(capture.filter), capture.count, capture.seconds);
  if (capture.snap_bytes != 0) target += fmt::format("&snap={}", capture.snap_bytes);
  File file(nullptr, &std::fclose);
  PacketCounter packets;
  bool can_write = true;
  stop_at(SIGINT);
  stop_at(SIGTERM);
  const Patience patience(options.timeout_seconds);
  const auto answer =
      stream_from_daemon(options.socket, target, patience, [&](std::string_view piece) {
        // Not before there is something for it: a refused capture leaves no empty file.
        if (!file) file = open_output(capture.file);
        can_write = file &&
                    std::fwrite(piece.data(), 1, piece.size(), file.get()) == piece.size() &&
                    std::fflush(file.get()) == 0;
        packets.add(piece);
        return can_write;
      });
  if (!answer || answer->status != kOk) {
    fmt::print(stderr, "gannetctl: {}\n", answer ? error_of(answer->body) : answer.error().message);
    return kFailed;
  }
  if (!can_write) {
    fmt::print(stderr, "gannetctl: cannot write {}: {}\n", capture.file, std::strerror(errno));
    return kFailed;
  }
  if (options.is_json && capture.file != "-") {
    fmt::print("{}\n", nlohmann::json{{"packets", packets.count()}, {"file", capture.file}}.dump());
  } else {
    fmt::print(stderr, "{} captured\n", plural(packets.count(), "packet"));
  }
  return kDone;
}

}  // namespace gannet::control
