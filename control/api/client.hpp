// SPDX-License-Identifier: BSD-3-Clause
// The command line's side of the API: one request, one answer, over the daemon's Unix socket.
// HTTP/1.1 with `Connection: close`, which is all that this needs of it; a full client library
// would take longer to load than a command to run (docs/decisions/api.md).
#pragma once

#include "flows/base/result.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace gannet::control {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

/// Why there is no answer: one sentence with the fix.
struct NoAnswer : Error {
  bool has_taken_the_call = false;  // Somebody listens there, but says nothing in time.
};

/// How long an answer may take: a daemon that is stopped or hangs never gives one.
using Patience = std::chrono::duration<double>;

/// Sends a request and waits for the answer. \param body empty: GET, else POST.
[[nodiscard]] Result<HttpAnswer, NoAnswer> call_daemon(const std::string& socket,
                                                       std::string_view target,
                                                       std::string_view body, Patience patience);

/// Asks for an answer that comes piece by piece and gives each piece to `take` until that returns
/// false, the daemon has finished, or a signal arrives. \return status 200 with an empty body after
/// a stream, or the answer that came instead of one. \param patience until the first piece.
[[nodiscard]] Result<HttpAnswer, NoAnswer> stream_from_daemon(
    const std::string& socket, std::string_view target, Patience patience,
    const std::function<bool(std::string_view)>& take);

/// Text as part of a URL's query.
[[nodiscard]] std::string url_encode(std::string_view text);

}  // namespace gannet::control
