// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/client.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace gannet::control {
namespace {

// A socket that closes itself.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

using Clock = std::chrono::steady_clock;

// Until when an exchange with the daemon has to be over.
class Deadline {
 public:
  explicit Deadline(Patience patience)
      : patience_(patience),
        end_(Clock::now() + std::chrono::duration_cast<Clock::duration>(patience)) {}

  // Waits until a socket can be read or written. \return false if that takes too long, or a signal
  // has come, which is left to the caller in errno.
  [[nodiscard]] bool await(int fd, short events) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
    pollfd wanted{fd, events, 0};
    const int ready = poll(&wanted, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready == 0) errno = ETIMEDOUT;
    return ready > 0;
  }
  [[nodiscard]] Patience patience() const { return patience_; }

 private:
  Patience patience_;
  Clock::time_point end_;
};

tl::unexpected<NoAnswer> no_answer(std::string message, bool has_taken_the_call = true) {
  return tl::unexpected<NoAnswer>(NoAnswer{{std::move(message)}, has_taken_the_call});
}

// Why sending or receiving has ended, by errno.
tl::unexpected<NoAnswer> broken_off(const std::string& socket, const Deadline& deadline) {
  if (errno != ETIMEDOUT) {
    return no_answer("the daemon closed the connection: it may have been stopped");
  }
  return no_answer(fmt::format(
      "the gannetd on {} has not answered within {:g} s: it is stopped, or busy and may "
      "still do what it was told; see 'ps', or wait longer with --timeout",
      socket, deadline.patience().count()));
}

bool send_all(int fd, std::string_view data, const Deadline& deadline) {
  while (!data.empty()) {
    const ssize_t sent = send(fd, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN && deadline.await(fd, POLLOUT)) continue;
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// Everything until the daemon closes the connection; false if that takes too long.
bool receive_all(int fd, const Deadline& deadline, std::string& data) {
  char buffer[65'536];
  for (;;) {
    if (!deadline.await(fd, POLLIN)) {
      if (errno == EINTR) continue;
      return false;
    }
    const ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received <= 0) return true;
    data.append(buffer, static_cast<std::size_t>(received));
  }
}

// The body of an answer that came in chunks (RFC 9112, 7.1); empty if they are malformed.
std::string join_chunks(std::string_view data) {
  std::string body;
  for (;;) {
    const auto line = data.find("\r\n");
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(data.data(), data.data() + data.size(), size, 16);
    static_cast<void>(end);
    if (line == std::string_view::npos || error != std::errc{}) return {};
    if (size == 0) return body;
    if (data.size() < line + 2 + size + 2) return {};
    body.append(data.substr(line + 2, size));
    data.remove_prefix(line + 2 + size + 2);
  }
}

Result<HttpAnswer, NoAnswer> parse_answer(std::string_view data) {
  const auto head_end = data.find("\r\n\r\n");
  if (head_end == std::string_view::npos || !data.starts_with("HTTP/1.1 ")) {
    return no_answer("the daemon closed the connection without an answer");
  }
  HttpAnswer answer;
  std::from_chars(data.data() + 9, data.data() + 12, answer.status);
  const std::string_view head = data.substr(0, head_end);
  const std::string_view body = data.substr(head_end + 4);
  const bool is_chunked = head.find("Transfer-Encoding: chunked") != std::string_view::npos;
  answer.body = is_chunked ? join_chunks(body) : std::string(body);
  return answer;
}

// A socket that is connected to the daemon.
Result<int, NoAnswer> connect_to(const std::string& socket, const Deadline& deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) {
    return no_answer("the socket's path is too long", false);
  }
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // A daemon that takes no calls lets them wait in a queue, which may be full.
  const auto seconds = static_cast<time_t>(std::ceil(deadline.patience().count()));
  const timeval limit{seconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  const int error = errno;
  if (fd >= 0) close(fd);
  if (error == EAGAIN) {
    errno = ETIMEDOUT;
    return broken_off(socket, deadline);
  }
  return no_answer(
      fmt::format("no gannetd answers on {}: {}; {}", socket, std::strerror(error),
                  error == EACCES ? "only its owner may talk to it: use sudo"
                                  : "start it, or name its socket with --socket or GANNET_SOCKET"),
      false);
}

// Takes whole chunks (RFC 9112, 7.1) off the front of `data` and gives their content to `take`.
// \return false after the last one, or if they are malformed.
bool take_chunks(std::string& data, const std::function<bool(std::string_view)>& take) {
  for (;;) {
    const auto line = data.find("\r\n");
    if (line == std::string::npos) return true;
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(data.data(), data.data() + line, size, 16);
    static_cast<void>(end);
    if (error != std::errc{} || size == 0) return false;
    if (data.size() < line + 2 + size + 2) return true;
    if (!take(std::string_view(data).substr(line + 2, size))) return false;
    data.erase(0, line + 2 + size + 2);
  }
}

}  // namespace

Result<HttpAnswer, NoAnswer> call_daemon(const std::string& socket, std::string_view target,
                                         std::string_view body, Patience patience) {
  const Deadline deadline(patience);
  auto connected = connect_to(socket, deadline);
  if (!connected) return tl::unexpected(connected.error());
  const Connection connection(*connected);
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: gannet\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
      body.empty() ? "GET" : "POST", target, body.size());
  std::string answer;
  // Who refuses a request may answer and close before it has all been sent.
  const bool is_sent =
      send_all(connection.fd(), request, deadline) && send_all(connection.fd(), body, deadline);
  if (!is_sent && errno == ETIMEDOUT) return broken_off(socket, deadline);
  if (!receive_all(connection.fd(), deadline, answer)) return broken_off(socket, deadline);
  if (!is_sent && answer.empty()) return broken_off(socket, deadline);
  return parse_answer(answer);
}

Result<HttpAnswer, NoAnswer> stream_from_daemon(const std::string& socket, std::string_view target,
                                                Patience patience,
                                                const std::function<bool(std::string_view)>& take) {
  const Deadline deadline(patience);
  auto connected = connect_to(socket, deadline);
  if (!connected) return tl::unexpected(connected.error());
  const Connection connection(*connected);
  if (!send_all(connection.fd(), fmt::format("GET {} HTTP/1.1\r\nHost: gannet\r\n\r\n", target),
                deadline)) {
    return broken_off(socket, deadline);
  }
  std::string data;
  char buffer[65'536];
  bool has_head = false;
  for (;;) {
    if (!has_head && !deadline.await(connection.fd(), POLLIN)) {
      if (errno == ETIMEDOUT) return broken_off(socket, deadline);
      break;
    }
    const ssize_t received = recv(connection.fd(), buffer, sizeof buffer, 0);
    // A signal ends the stream: the program decides what that means.
    if (received <= 0) break;
    data.append(buffer, static_cast<std::size_t>(received));
    if (!has_head) {
      const auto end = data.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const bool is_stream = data.substr(0, end).find("chunked") != std::string::npos;
      // Anything but a stream is an answer as any other; the daemon's are short.
      if (!is_stream) return parse_answer(data);
      data.erase(0, end + 4);
      has_head = true;
    }
    if (!take_chunks(data, take)) break;
  }
  if (!has_head) return no_answer("the daemon closed the connection without an answer");
  return HttpAnswer{200, {}};
}

std::string url_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
    if (is_plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace gannet::control
