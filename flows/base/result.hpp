// SPDX-License-Identifier: BSD-3-Clause
// A value or an error. The one alias behind which the tree uses tl::expected.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace gannet {

/// One clear sentence for a person, with the fix where there is one.
struct Error {
  std::string message;
};

template <typename T, typename E = Error>
using Result = tl::expected<T, E>;

[[nodiscard]] inline tl::unexpected<Error> fail(std::string message) {
  return tl::unexpected<Error>(Error{std::move(message)});
}

}  // namespace gannet
