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

struct ApiResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
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
