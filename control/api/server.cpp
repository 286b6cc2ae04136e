// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/server.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace gannet::control {
namespace {

constexpr std::size_t kMaxBodyBytes = std::size_t{128} << 20;
constexpr std::size_t kMaxHeaderBytes = std::size_t{64} << 10;
constexpr int kBacklog = 64;
constexpr int kIdleSeconds = 15;

std::string reason() { return std::strerror(errno); }

Result<sockaddr_un> address_of(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) {
    return fail("api.socket is longer than the 107 bytes that the kernel allows: " + socket);
  }
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  return address;
}

// Nothing if it is not like key=value&key=value, each key once.
std::optional<std::map<std::string, std::string>> query_of(const evhttp_uri* uri) {
  std::map<std::string, std::string> query;
  const char* const text = evhttp_uri_get_query(uri);
  if (text == nullptr || *text == '\0') return query;
  evkeyvalq values;
  if (evhttp_parse_query_str(text, &values) != 0) return std::nullopt;
  bool is_once = true;
  for (const evkeyval* v = values.tqh_first; v != nullptr; v = v->next.tqe_next) {
    is_once &= query.emplace(v->key, v->value).second;
  }
  evhttp_clear_headers(&values);
  return is_once ? std::optional(std::move(query)) : std::nullopt;
}

std::string body_of(evhttp_request* request) {
  evbuffer* const buffer = evhttp_request_get_input_buffer(request);
  std::string body(evbuffer_get_length(buffer), '\0');
  evbuffer_copyout(buffer, body.data(), body.size());
  return body;
}

void send(evhttp_request* request, const ApiResponse& response) {
  evbuffer* const buffer = evbuffer_new();
  evbuffer_add(buffer, response.body.data(), response.body.size());
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                    response.content_type.c_str());
  evhttp_send_reply(request, response.status, nullptr, buffer);
  evbuffer_free(buffer);
}

// A chunked answer. `request` becomes null when the connection closes.
void refuse(evhttp_request* request, int status, const char* json) {
  ApiResponse response;
  response.status = status;
  response.body = json;
  send(request, response);
}

class HttpStream final : public ApiStream {
 public:
  HttpStream(std::shared_ptr<evhttp_request*> request, const std::string& content_type)
      : request_(std::move(request)) {
    evhttp_add_header(evhttp_request_get_output_headers(*request_), "Content-Type",
                      content_type.c_str());
    evhttp_send_reply_start(*request_, 200, "OK");
  }

  [[nodiscard]] bool is_open() const override { return *request_ != nullptr && !has_hung_up(); }

  void send(std::string_view bytes) override {
    if (*request_ == nullptr || bytes.empty()) return;
    evbuffer* const buffer = evbuffer_new();
    evbuffer_add(buffer, bytes.data(), bytes.size());
    evhttp_send_reply_chunk(*request_, buffer);
    evbuffer_free(buffer);
  }

  [[nodiscard]] std::size_t unsent_bytes() const override {
    return *request_ == nullptr ? 0 : evbuffer_get_length(bufferevent_get_output(channel()));
  }

  void finish() override {
    if (*request_ != nullptr) evhttp_send_reply_end(std::exchange(*request_, nullptr));
  }

 private:
  [[nodiscard]] bufferevent* channel() const {
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(*request_));
  }
  // libevent does not read while it answers, and so does not see that the other end has closed.
  [[nodiscard]] bool has_hung_up() const {
    char byte = 0;
    const ssize_t got = recv(bufferevent_getfd(channel()), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  }

  std::shared_ptr<evhttp_request*> request_;
};

}  // namespace

Result<std::unique_ptr<ApiServer>> ApiServer::listen(event_base* base, const std::string& socket,
                                                     ApiHandler handler) {
  std::unique_ptr<ApiServer> server(new ApiServer(socket, std::move(handler)));
  if (const auto claimed = server->claim(); !claimed) return tl::unexpected(claimed.error());
  if (const auto bound = server->bind(base); !bound) return tl::unexpected(bound.error());
  return server;
}

// Takes the lock that says: this socket is ours. It is let go by the kernel however the daemon
// ends.
Result<void> ApiServer::claim() {
  const std::filesystem::path folder = std::filesystem::path(socket_).parent_path();
  std::error_code error;
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  const std::string lock = socket_ + ".lock";
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) {
    return fail("cannot write " + lock + ": " + reason() +
                "; choose another api.socket or run as root");
  }
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    close(lock_);
    lock_ = -1;
    return fail("another gannetd is running on " + socket_ +
                ": stop it, or give this one another api.socket");
  }
  return {};
}

Result<void> ApiServer::bind(event_base* base) {
  const auto address = address_of(socket_);
  if (!address) return tl::unexpected(address.error());
  struct stat found {};
  if (lstat(socket_.c_str(), &found) == 0 && !S_ISSOCK(found.st_mode)) {
    return fail(socket_ + " exists and is no socket: remove it, or choose another api.socket");
  }
  unlink(socket_.c_str());  // A leftover: the lock is ours.
  // Made inaccessible first, so that there is no moment in which others could connect.
  const mode_t mask = umask(0177);
  evconnlistener* const listener = evconnlistener_new_bind(
      base, nullptr, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, kBacklog,
      reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  umask(mask);
  if (listener == nullptr) return fail("cannot listen on " + socket_ + ": " + reason());
  is_bound_ = true;
  http_ = evhttp_new(base);
  evhttp_set_max_headers_size(http_, static_cast<ssize_t>(kMaxHeaderBytes));
  evhttp_set_max_body_size(http_, static_cast<ssize_t>(kMaxBodyBytes));
  // A client that sends nothing, or half of something, does not keep its connection for ever.
  evhttp_set_timeout(http_, kIdleSeconds);
  // All that libevent knows: its own refusals are HTML, ours are JSON.
  evhttp_set_allowed_methods(http_, 0xffff);
  evhttp_set_gencb(http_, &ApiServer::on_request, this);
  evhttp_bind_listener(http_, listener);
  return {};
}

void ApiServer::on_request(evhttp_request* request, void* self) {
  const evhttp_uri* const uri = evhttp_request_get_evhttp_uri(request);
  const auto method = evhttp_request_get_command(request);
  if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_POST) {
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, POST");
    return refuse(request, 405, R"({"error":"there are GET and POST, no other methods"})");
  }
  ApiRequest parsed;
  parsed.method = method == EVHTTP_REQ_POST ? "POST" : "GET";
  const char* const path = evhttp_uri_get_path(uri);
  parsed.path = path == nullptr ? "/" : path;
  auto query = query_of(uri);
  if (!query) {
    return refuse(request, 400,
                  R"({"error":"the query is not like key=value&key=value, each key once"})");
  }
  parsed.query = std::move(*query);
  parsed.body = body_of(request);
  auto& server = *static_cast<ApiServer*>(self);
  evhttp_connection* const connection = evhttp_request_get_connection(request);
  auto pending = std::make_shared<evhttp_request*>(request);
  server.pending_[connection] = pending;
  evhttp_connection_set_closecb(connection, &ApiServer::on_close, self);
  server.handler_(parsed, [&server, pending, connection](const ApiResponse& response) {
    if (*pending != nullptr) server.answer(connection, pending, response);
  });
}

void ApiServer::answer(evhttp_connection* connection,
                       const std::shared_ptr<evhttp_request*>& pending,
                       const ApiResponse& response) {
  if (response.start_stream) {
    response.start_stream(std::make_shared<HttpStream>(pending, response.content_type));
    return;
  }
  pending_.erase(connection);
  send(std::exchange(*pending, nullptr), response);
}

void ApiServer::on_close(evhttp_connection* connection, void* self) {
  auto& pending = static_cast<ApiServer*>(self)->pending_;
  const auto found = pending.find(connection);
  if (found == pending.end()) return;
  *found->second = nullptr;
  pending.erase(found);
}

ApiServer::~ApiServer() {
  if (http_ != nullptr) evhttp_free(http_);
  if (is_bound_) unlink(socket_.c_str());
  if (lock_ >= 0) {
    unlink((socket_ + ".lock").c_str());
    close(lock_);
  }
}

}  // namespace gannet::control
