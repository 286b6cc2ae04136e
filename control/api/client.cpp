// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/client.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>

#include <fmt/format.h>
#include <sys/socket.h>
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

bool send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string receive_all(int fd) {
  std::string data;
  char buffer[65'536];
  for (;;) {
    const ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return data;
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

Result<HttpAnswer> parse_answer(std::string_view data) {
  const auto head_end = data.find("\r\n\r\n");
  if (head_end == std::string_view::npos || !data.starts_with("HTTP/1.1 ")) {
    return fail("the daemon closed the connection without an answer");
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
Result<int> connect_to(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return fail("the socket's path is too long");
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  const int error = errno;
  if (fd >= 0) close(fd);
  return fail(fmt::format("no gannetd answers on {}: {}; {}", socket, std::strerror(error),
                          error == EACCES
                              ? "only its owner may talk to it: use sudo"
                              : "start it, or name its socket with --socket or GANNET_SOCKET"));
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

Result<HttpAnswer> call_daemon(const std::string& socket, std::string_view target,
                               std::string_view body) {
  auto connected = connect_to(socket);
  if (!connected) return tl::unexpected(connected.error());
  const Connection connection(*connected);
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: gannet\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
      body.empty() ? "GET" : "POST", target, body.size());
  if (!send_all(connection.fd(), request) || !send_all(connection.fd(), body)) {
    return fail("the daemon closed the connection: it may have been stopped");
  }
  return parse_answer(receive_all(connection.fd()));
}

Result<HttpAnswer> stream_from_daemon(const std::string& socket, std::string_view target,
                                      const std::function<bool(std::string_view)>& take) {
  auto connected = connect_to(socket);
  if (!connected) return tl::unexpected(connected.error());
  const Connection connection(*connected);
  if (!send_all(connection.fd(), fmt::format("GET {} HTTP/1.1\r\nHost: gannet\r\n\r\n", target))) {
    return fail("the daemon closed the connection: it may have been stopped");
  }
  std::string data;
  char buffer[65'536];
  bool has_head = false;
  for (;;) {
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
  if (!has_head) return fail("the daemon closed the connection without an answer");
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
