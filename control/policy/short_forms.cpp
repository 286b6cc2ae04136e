// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/short_forms.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gannet::control {

ValueResult<Via> ShortForm<Via>::read(const Scalar& scalar, const Place&) {
  Via via;
  via.is_internet = scalar.text == "internet";
  if (via.is_internet || scalar.text == "drop") return via;
  return tl::unexpected(ValueError{Slug::invalid_value,
                                   fmt::format("expected {}, found '{}'", kExpected, scalar.text)});
}
bool ShortForm<Via>::applies(const Via& via) {
  return via.kind() == ViaKind::kInternet || via.kind() == ViaKind::kDrop;
}
Json ShortForm<Via>::json(const Via& via) { return via.is_internet ? "internet" : "drop"; }
Json ShortForm<Via>::schema() { return {{"enum", {"internet", "drop"}}}; }

ValueResult<Remote> ShortForm<Remote>::read(const Scalar& scalar, const Place& place) {
  Remote remote;
  if (scalar.text == "any") return remote;
  auto prefix = Leaf<Prefix>::read(scalar);
  if (!prefix && prefix.error().slug == Slug::invalid_prefix) {
    prefix.error().message = fmt::format("expected {}, found '{}'", kExpected, scalar.text);
  }
  if (!prefix) return tl::unexpected(prefix.error());
  remote.cidrs.emplace_back(*prefix, place);
  return remote;
}
bool ShortForm<Remote>::applies(const Remote& remote) { return remote.kind() == RemoteKind::kAny; }
Json ShortForm<Remote>::json(const Remote&) { return "any"; }
Json ShortForm<Remote>::schema() {
  return {{"anyOf", {{{"const", "any"}}, Leaf<Prefix>::schema()}}};
}

}  // namespace gannet::control
