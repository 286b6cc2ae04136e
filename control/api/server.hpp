// SPDX-License-Identifier: BSD-3-Clause
// HTTP over a Unix socket, by libevent: bytes in, JSON out. What the requests mean is not known
// here. The socket is the daemon's claim to be the only one: a lock beside it is held for as long
// as it lives, and only its owner may connect (mode 0600). Control thread only.
#pragma once

#include "flows/base/result.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

struct event_base;
struct evhttp;
struct evhttp_connection;
struct evhttp_request;

namespace gannet::control {

struct ApiRequest {
  std::string method;  // "GET" or "POST".
  std::string path;    // Without the query.
  std::map<std::string, std::string> query;
  std::string body;
};

/// An answer that comes piece by piece, for as long as the client listens.
class ApiStream {
 public:
  virtual ~ApiStream() = default;
  /// False once the client is gone, or finish() has been called.
  [[nodiscard]] virtual bool is_open() const = 0;
  virtual void send(std::string_view bytes) = 0;
  /// What the client has not taken yet; a sender that minds its memory waits for it to shrink.
  [[nodiscard]] virtual std::size_t unsent_bytes() const = 0;
  virtual void finish() = 0;
};

struct ApiResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  // If given: called with the stream that the answer becomes; `body` is not sent.
  std::function<void(std::shared_ptr<ApiStream>)> start_stream;
};

/// Called once for each request, at once or later; by then the client may be gone, which does no
/// harm.
using ApiReply = std::function<void(ApiResponse)>;
using ApiHandler = std::function<void(const ApiRequest&, ApiReply)>;

class ApiServer final {
 public:
  /// \return one sentence with the fix if the socket cannot be had, or belongs to a living daemon.
  [[nodiscard]] static Result<std::unique_ptr<ApiServer>> listen(event_base* base,
                                                                 const std::string& socket,
                                                                 ApiHandler handler);
  /// Removes the socket and its lock.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

 private:
  explicit ApiServer(std::string socket, ApiHandler handler)
      : socket_(std::move(socket)), handler_(std::move(handler)) {}

  [[nodiscard]] Result<void> claim();
  [[nodiscard]] Result<void> bind(event_base* base);
  static void on_request(evhttp_request* request, void* self);
  void answer(evhttp_connection* connection, const std::shared_ptr<evhttp_request*>& pending,
              const ApiResponse& response);
  static void on_close(evhttp_connection* connection, void* self);

  std::string socket_;
  ApiHandler handler_;
  int lock_ = -1;
  bool is_bound_ = false;
  evhttp* http_ = nullptr;
  // Requests that have not been answered, until their connection closes.
  std::map<evhttp_connection*, std::shared_ptr<evhttp_request*>> pending_;
};

}  // namespace gannet::control
