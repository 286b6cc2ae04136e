// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/load.hpp"

#include "control/policy/decode.hpp"
#include "control/policy/document.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace gannet::control {
namespace {

namespace fs = std::filesystem;

void report_file(const std::string& path, Slug slug, std::string message,
                 Diagnostics& diagnostics) {
  auto file = std::make_shared<const SourceFile>(path, "");
  diagnostics.keep(file);
  diagnostics.error(slug, {file.get()}, std::move(message));
}

std::shared_ptr<const SourceFile> read_stream(const std::string& name, std::FILE* stream,
                                              Diagnostics& diagnostics) {
  std::string text;
  std::size_t size = 0;
  do {
    text.resize(size + (1U << 20));
    size += std::fread(text.data() + size, 1, text.size() - size, stream);
    // One byte more than is allowed is enough for parse() to refuse it.
  } while (size == text.size() && size <= kMaxFileBytes);
  if (std::ferror(stream) != 0) {
    report_file(name, Slug::cannot_read, fmt::format("cannot read: {}", std::strerror(errno)),
                diagnostics);
    return nullptr;
  }
  text.resize(size);
  return std::make_shared<const SourceFile>(name, std::move(text));
}

std::shared_ptr<const SourceFile> read_file(const std::string& path, Diagnostics& diagnostics) {
  if (path == "-") return read_stream("<stdin>", stdin, diagnostics);
  // Without waiting: a pipe that nobody writes to would take for ever to open.
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(
      fd < 0 ? nullptr : fdopen(fd, "rb"), [](std::FILE* f) { return f ? std::fclose(f) : 0; });
  struct stat status {};
  if (stream == nullptr || fstat(fd, &status) != 0) {
    report_file(path, Slug::cannot_read, fmt::format("cannot open: {}", std::strerror(errno)),
                diagnostics);
    return nullptr;
  }
  if (!S_ISREG(status.st_mode)) {
    report_file(path, Slug::cannot_read,
                "is no regular file; what comes out of a pipe is read as '-', the standard input",
                diagnostics);
    return nullptr;
  }
  return read_stream(path, stream.get(), diagnostics);
}

bool is_policy_file(const fs::directory_entry& entry) {
  const auto name = entry.path().filename().string();
  const auto extension = entry.path().extension();
  std::error_code ignored;
  return !name.starts_with('.') && (extension == ".yaml" || extension == ".yml") &&
         entry.is_regular_file(ignored);
}

std::vector<std::string> list_directory(const std::string& path, Diagnostics& diagnostics) {
  std::vector<std::string> files;
  std::error_code code;
  for (fs::directory_iterator it(path, code), end; !code && it != end; it.increment(code)) {
    if (is_policy_file(*it)) files.push_back(it->path().string());
  }
  if (code) {
    report_file(path, Slug::cannot_read, fmt::format("cannot read: {}", code.message()),
                diagnostics);
  } else if (files.empty()) {
    report_file(path, Slug::no_document, "the directory holds no .yaml or .yml file", diagnostics);
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Decodes documents into whatever kinds the caller wants.
class Loader {
 public:
  /// \param wanted the only kind that named files may hold; none: any.
  Loader(std::optional<Kind> wanted, Diagnostics& diagnostics)
      : wanted_(wanted), diagnostics_(diagnostics) {}

  std::optional<Loaded> load(std::span<const Source> sources) {
    for (const Source& source : sources) load_file(source);
    if (!is_readable_) return std::nullopt;
    return std::move(loaded_);
  }

 private:
  void load_file(const Source& source) {
    const auto document = Document::parse(source.file, diagnostics_);
    if (!document) {
      is_readable_ = false;
      return;
    }
    for (const Node& root : document->roots()) {
      // What follows a last '---' is no document.
      if (!root.is_null()) load_document(*document, root, source.is_from_directory);
    }
  }

  void load_document(const Document& document, const Node& root, bool is_from_directory) {
    const auto header = decode_header(document.file(), root, diagnostics_);
    if (!header) {
      is_readable_ = false;
      return;
    }
    if (wanted_ && header->kind != *wanted_) {
      if (!is_from_directory) {
        diagnostics_.error(
            Slug::wrong_kind, header->place,
            fmt::format("expected a {}, found a {}", to_string(*wanted_), to_string(header->kind)));
      }
      return;
    }
    switch (header->kind) {
      case Kind::kPolicy:
        if (!loaded_.policy) loaded_.policy.emplace();
        add(document, root, *loaded_.policy);
        break;
      case Kind::kHostConfig: add_host(document, root, header->place); break;
      case Kind::kPolicyTest: add(document, root, loaded_.tests.emplace_back()); break;
    }
  }

  template <typename T>
  void add(const Document& document, const Node& root, T& out) {
    out.sources.push_back(document.shared_file());
    decode(document.file(), root, out, diagnostics_);
  }

  void add_host(const Document& document, const Node& root, const Place& place) {
    if (loaded_.host) {
      diagnostics_.error(Slug::duplicate_name, place, "a host has one HostConfig")
          .note(host_place_, "the other one is here");
      return;
    }
    host_place_ = place;
    add(document, root, loaded_.host.emplace());
  }

  std::optional<Kind> wanted_;
  Diagnostics& diagnostics_;
  Loaded loaded_;
  Place host_place_;
  bool is_readable_ = true;
};

// Loads documents of one kind, of which there must be one at least.
std::optional<Loaded> load_kind(Kind kind, std::span<const Source> sources,
                                Diagnostics& diagnostics) {
  auto loaded = Loader(kind, diagnostics).load(sources);
  if (!loaded) return std::nullopt;
  const bool is_there = loaded->policy || loaded->host || !loaded->tests.empty();
  if (is_there) return loaded;
  if (!diagnostics.has_errors() && !sources.empty()) {
    diagnostics.error(Slug::no_document, {sources.front().file.get()},
                      fmt::format("there is no document of kind {}", to_string(kind)));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<Source>> open_sources(std::span<const std::string> paths,
                                                Diagnostics& diagnostics) {
  std::vector<Source> sources;
  const auto errors_before = diagnostics.error_count();
  const auto add = [&](const std::string& path, bool is_from_directory) {
    if (auto file = read_file(path, diagnostics))
      sources.push_back({std::move(file), is_from_directory});
  };
  for (const auto& path : paths) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      add(path, false);
      continue;
    }
    for (const auto& file : list_directory(path, diagnostics)) add(file, true);
  }
  if (diagnostics.error_count() != errors_before) return std::nullopt;
  return sources;
}

std::optional<Policy> load_policy(std::span<const Source> sources, Diagnostics& diagnostics) {
  auto loaded = load_kind(Kind::kPolicy, sources, diagnostics);
  return loaded ? std::move(loaded->policy) : std::nullopt;
}

std::optional<HostConfig> load_host_config(std::span<const Source> sources,
                                           Diagnostics& diagnostics) {
  auto loaded = load_kind(Kind::kHostConfig, sources, diagnostics);
  return loaded ? std::move(loaded->host) : std::nullopt;
}

std::optional<std::vector<PolicyTest>> load_policy_tests(std::span<const Source> sources,
                                                         Diagnostics& diagnostics) {
  auto loaded = load_kind(Kind::kPolicyTest, sources, diagnostics);
  if (!loaded) return std::nullopt;
  return std::move(loaded->tests);
}

std::optional<Loaded> load_any(std::span<const Source> sources, Diagnostics& diagnostics) {
  auto loaded = Loader(std::nullopt, diagnostics).load(sources);
  if (!loaded || loaded->policy || loaded->host || !loaded->tests.empty()) return loaded;
  if (!diagnostics.has_errors() && !sources.empty()) {
    diagnostics.error(Slug::no_document, {sources.front().file.get()},
                      fmt::format("there is no document, neither a {} nor a {} nor a {}",
                                  to_string(Kind::kPolicy), to_string(Kind::kHostConfig),
                                  to_string(Kind::kPolicyTest)));
  }
  return std::nullopt;
}

}  // namespace gannet::control
