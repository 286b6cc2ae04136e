// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/document.hpp"

#include "control/policy/encoding.hpp"
#include "control/policy/tree_builder.hpp"

#include <algorithm>
#include <istream>
#include <streambuf>

#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace gannet::control {
namespace {

// A stream that reads where the text lies.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* const begin = const_cast<char*>(text.data());  // Only read from.
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

std::optional<Document> Document::parse(std::shared_ptr<const SourceFile> file,
                                        Diagnostics& diagnostics) {
  diagnostics.keep(file);
  const auto text = file->text();
  if (text.size() > kMaxFileBytes) {
    diagnostics.error(Slug::too_large, {file.get()},
                      fmt::format("the file is larger than {} MiB", kMaxFileBytes >> 20));
    return std::nullopt;
  }
  if (!check_text(*file, diagnostics)) return std::nullopt;
  // yaml-cpp keeps all of an outermost [] or {} as tokens before it tells of the first one.
  if (const auto tokens =
          std::count_if(text.begin(), text.end(),
                        [](char c) { return c == '[' || c == '{' || c == ',' || c == ':'; });
      static_cast<std::size_t>(tokens) > kMaxNodes) {
    diagnostics.error(Slug::too_large, {file.get()},
                      fmt::format("the file holds more than {} values", kMaxNodes));
    return std::nullopt;
  }

  Document document(std::move(file));
  TreeBuilder builder(*document.file_, *document.memory_, document.roots_, diagnostics);
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    builder.report(error);
    return std::nullopt;
  } catch (const Stop&) {
    return std::nullopt;
  }
  return document;
}

}  // namespace gannet::control
