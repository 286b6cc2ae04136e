// SPDX-License-Identifier: BSD-3-Clause
// Objects that may also be written as one word: `from: any`, `via: internet`.
// Control thread and command line.
#pragma once

#include "control/policy/model.hpp"
#include "control/policy/values.hpp"

#include <string_view>

namespace gannet::control {

/// Of an object that has a short form:
///   kExpected  what people read that it is
///   read       makes an object of a scalar; `place` is the scalar's
///   applies    whether an object can be written in its short form, and then is
///   json       that form
///   schema     JSON Schema of the short forms
template <typename T>
struct ShortForm;

template <>
struct ShortForm<Via> {
  static constexpr std::string_view kExpected =
      "internet, drop, {nat_gateway: NAME} or {peer_vpc: NAME}";
  static ValueResult<Via> read(const Scalar& scalar, const Place& place);
  static bool applies(const Via& via);
  static Json json(const Via& via);
  static Json schema();
};

template <>
struct ShortForm<Remote> {
  static constexpr std::string_view kExpected =
      "any, an address block, {cidr: BLOCK}, {prefix_list: NAME} or {security_group: NAME}";
  static ValueResult<Remote> read(const Scalar& scalar, const Place& place);
  static bool applies(const Remote& remote);
  static Json json(const Remote& remote);
  static Json schema();
};

template <typename T>
concept HasShortForm = requires {
  ShortForm<T>::kExpected;
};

}  // namespace gannet::control
